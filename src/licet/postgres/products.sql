-- lock --
-- Hold the rows of these products until the transaction ends, in the order of their ids, so that no two transactions
-- wait for each other. What else is decided under the lock is read by later statements, and nothing is joined here: this
-- statement's snapshot is older than the wait, and only the rows it holds are as they are now. Deleted products are not
-- returned.
SELECT p.id, p.product_key, p.account_id, p.name, p.auto_renewal, p.renewal_policy, p.dynamic_authentication,
       p.package_id, p.renewed_until
FROM products p
WHERE p.id = ANY (%(ids)s::integer[]) AND p.deleted_at IS NULL
ORDER BY p.id
FOR NO KEY UPDATE;

-- identify --
-- The ids of products by their keys; deleted ones are not found.
SELECT p.product_key, p.id
FROM products p
WHERE p.product_key = ANY (%(product_keys)s::text[]) AND p.deleted_at IS NULL;

-- page --
-- Products of one account, or of all, whose name contains or whose key begins with the words searched for, in the order
-- of their ids, with their package and their codes as they are at that instant (B1 to B3).
SELECT p.id, p.product_key, p.account_id, p.name, p.auto_renewal, p.renewal_policy, p.dynamic_authentication,
       p.created_at, k.id, k.name, k.term_months, k.term_days, k.day_count, k.messages_per_day, k.ota_per_month,
       k.storage_days, c.available, c.consumed,
       (SELECT x.keep_days FROM product_keeps x WHERE x.product_id = p.id ORDER BY x.starts_on DESC LIMIT 1)
FROM products p
LEFT JOIN packages k ON k.id = p.package_id
CROSS JOIN LATERAL (
    SELECT coalesce(sum(r.quantity - r.consumed)
                    FILTER (WHERE r.use_by IS NULL OR r.use_by > %(now)s::timestamptz), 0)::bigint AS available,
           coalesce(sum(r.consumed), 0)::bigint AS consumed
    FROM ranges r
    WHERE r.product_id = p.id
) c
WHERE p.deleted_at IS NULL
  AND (%(account_id)s::text IS NULL OR p.account_id = %(account_id)s)
  AND (%(product_key)s::text IS NULL OR p.product_key = %(product_key)s)
  AND (%(search)s::text IS NULL
       OR position(lower(%(search)s) IN lower(p.name)) > 0 OR starts_with(p.product_key, %(search)s))
  AND p.id > %(after)s
ORDER BY p.id
LIMIT %(limit)s;

-- count --
-- How many products an account has.
SELECT count(*) FROM products p WHERE p.account_id = %(account_id)s AND p.deleted_at IS NULL;

-- insert_product --
-- A new product, without package and codes.
INSERT INTO products (product_key, account_id, name, sealed_secret, auto_renewal, renewal_policy,
                      dynamic_authentication, renewed_until, created_at)
VALUES (%(product_key)s, %(account_id)s, %(name)s, %(sealed_secret)s, true, 'on_schedule', true, %(now)s, %(now)s)
RETURNING id;

-- change --
-- Change what is given; None leaves it as it is.
UPDATE products
SET name = coalesce(%(name)s::text, name),
    auto_renewal = coalesce(%(auto_renewal)s::boolean, auto_renewal),
    renewal_policy = coalesce(%(renewal_policy)s::text, renewal_policy),
    dynamic_authentication = coalesce(%(dynamic_authentication)s::boolean, dynamic_authentication)
WHERE id = %(id)s;

-- set_secret --
-- A new product secret, sealed.
UPDATE products SET sealed_secret = %(sealed_secret)s WHERE id = %(id)s;

-- set_package --
-- The one package of a product, from now on (A6, A7).
UPDATE products SET package_id = %(package_id)s WHERE id = %(id)s;

-- record_package --
-- The same, in the product's history: what counted since when.
INSERT INTO product_packages (product_id, ordinal, package_id, set_at, counts_from, set_by)
SELECT %(product_id)s, coalesce(max(h.ordinal), 0) + 1, %(package_id)s, %(now)s, %(counts_from)s, %(set_by)s
FROM product_packages h
WHERE h.product_id = %(product_id)s;

-- packages_of --
-- Every package the product ever had: since when, from when its messages and OTA upgrades count, who set it (A7).
SELECT k.id, k.name, k.term_months, k.term_days, k.day_count, k.messages_per_day, k.ota_per_month, k.storage_days,
       h.set_at, h.counts_from, h.set_by
FROM product_packages h
JOIN packages k ON k.id = h.package_id
WHERE h.product_id = %(product_id)s
ORDER BY h.ordinal;

-- set_renewed_until --
-- Renewals are in the books up to here.
UPDATE products SET renewed_until = %(renewed_until)s WHERE id = %(id)s AND renewed_until <> %(renewed_until)s;

-- delete --
-- A deleted product is never found again; its codes are forfeited with it (C6).
UPDATE products SET deleted_at = %(now)s, sealed_secret = '' WHERE id = %(id)s AND deleted_at IS NULL;

-- secrets_of --
-- The sealed secrets of products that let devices register themselves, or not, by key.
SELECT p.product_key, p.id, p.sealed_secret, p.dynamic_authentication
FROM products p
WHERE p.product_key = ANY (%(product_keys)s::text[]) AND p.deleted_at IS NULL;

-- due --
-- Products in which a span has ended since renewals were last brought up to date, the longest overdue first.
SELECT p.id
FROM products p
WHERE p.deleted_at IS NULL
  AND EXISTS (SELECT FROM activations a
              WHERE a.product_id = p.id AND a.ends_at > p.renewed_until AND a.ends_at <= %(now)s)
ORDER BY p.renewed_until, p.id;
