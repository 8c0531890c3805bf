-- insert_package --
-- A new package; its name is its own.
INSERT INTO packages (name, term_months, term_days, day_count, messages_per_day, ota_per_month, storage_days, defined_at)
VALUES (%(name)s, %(term_months)s, %(term_days)s, %(day_count)s, %(messages_per_day)s, %(ota_per_month)s,
        %(storage_days)s, %(now)s)
RETURNING id;

-- ensure_package --
-- The package of this name is there, whoever makes it first.
INSERT INTO packages (name, term_months, term_days, day_count, messages_per_day, ota_per_month, storage_days, defined_at)
VALUES (%(name)s, %(term_months)s, %(term_days)s, %(day_count)s, %(messages_per_day)s, %(ota_per_month)s,
        %(storage_days)s, %(now)s)
ON CONFLICT ON CONSTRAINT packages_name_once DO NOTHING;

-- get --
-- One package, if there is one.
SELECT k.id, k.name, k.term_months, k.term_days, k.day_count, k.messages_per_day, k.ota_per_month, k.storage_days
FROM packages k
WHERE k.id = %(id)s;

-- named --
-- One package by its name.
SELECT k.id, k.name, k.term_months, k.term_days, k.day_count, k.messages_per_day, k.ota_per_month, k.storage_days
FROM packages k
WHERE k.name = %(name)s;

-- terms --
-- How long codes of these packages last.
SELECT k.id, k.term_months, k.term_days, k.day_count
FROM packages k
WHERE k.id = ANY (%(ids)s::text[]);

-- page --
-- Packages by name.
SELECT k.id, k.name, k.term_months, k.term_days, k.day_count, k.messages_per_day, k.ota_per_month, k.storage_days
FROM packages k
WHERE k.name > %(after)s
ORDER BY k.name
LIMIT %(limit)s;

-- counting --
-- By which packages an account's products counted messages and OTA upgrades between two instants, and since when each of
-- them (A7). Of several set for one midnight the last counts.
SELECT h.product_key, h.product_name, h.counts_from, k.id, k.name, k.term_months, k.term_days, k.day_count,
       k.messages_per_day, k.ota_per_month, k.storage_days
FROM (SELECT p.product_key, p.name AS product_name, x.package_id, x.counts_from,
             lead(x.counts_from) OVER (PARTITION BY p.id ORDER BY x.ordinal) AS counts_until
      FROM products p
      JOIN product_packages x ON x.product_id = p.id
      WHERE p.account_id = %(account_id)s) h
JOIN packages k ON k.id = h.package_id
WHERE h.counts_from < %(until)s
  AND (h.counts_until IS NULL OR h.counts_until > greatest(h.counts_from, %(since)s::timestamptz))
ORDER BY h.product_key, h.counts_from;
