-- cut_off_until --
-- When the day ends until which a device is cut off (E4); null if it is not.
SELECT max(c.ends_at) FROM cut_offs c WHERE c.device_id = %(device_id)s AND c.ends_at > %(now)s;

-- insert --
-- A message to a device, which waits to be sent.
INSERT INTO downlinks (product_id, device_id, topic, bytes, payload, asked_at, asked_by)
VALUES (%(product_id)s, %(device_id)s, %(topic)s, octet_length(%(payload)s::bytea), %(payload)s, %(now)s, %(asked_by)s)
RETURNING id, ordinal, topic, bytes, asked_at, asked_by, sequence, delivered_at;

-- page --
-- Messages to a device, the latest first; or the one with that id.
SELECT w.id, w.ordinal, w.topic, w.bytes, w.asked_at, w.asked_by, w.sequence, w.delivered_at
FROM downlinks w
WHERE w.device_id = %(device_id)s
  AND (%(id)s::text IS NULL OR w.id = %(id)s)
  AND (%(after)s::bigint IS NULL OR w.ordinal < %(after)s)
ORDER BY w.ordinal DESC
LIMIT %(limit)s;

-- waiting --
-- The oldest messages that the broker does not have yet, in the order in which they were written down. Those with an
-- after_sequence may be there all the same: whoever sent them has not come back to say so.
SELECT w.id, p.product_key, d.device_key, w.topic, w.payload, w.after_sequence
FROM downlinks w
JOIN products p ON p.id = w.product_id
JOIN devices d ON d.id = w.device_id
WHERE w.sequence IS NULL
ORDER BY w.ordinal
LIMIT %(limit)s;

-- begin --
-- These messages are about to be sent, and nobody has tried before: they are not at or before this sequence.
UPDATE downlinks SET after_sequence = %(after_sequence)s
WHERE id = ANY (%(ids)b::text[]) AND after_sequence IS NULL AND sequence IS NULL;

-- sent --
-- These messages lie in the broker's stream; their payload is there, and no longer here.
UPDATE downlinks w SET sequence = t.sequence, payload = NULL
FROM unnest(%(ids)b::text[], %(sequences)b::bigint[]) AS t (id, sequence)
WHERE w.id = t.id AND w.sequence IS NULL;

-- delivered --
-- Devices have acknowledged what lies at these sequences. Returned: those at which a message is known.
UPDATE downlinks SET delivered_at = %(now)s
WHERE sequence = ANY (%(sequences)b::bigint[]) AND delivered_at IS NULL
RETURNING sequence;

-- forget --
-- Messages of these products that were written down before an instant are gone, as they are from the broker's disks.
DELETE FROM downlinks w
USING unnest(%(product_ids)s::integer[], %(untils)s::timestamptz[]) AS t (product_id, until)
WHERE w.product_id = t.product_id AND w.asked_at < t.until;
