-- enrolled --
-- Of each of these product keys and device keys: whose product it is, which device of it, and from when until when that
-- is enrolled. Where there is no such device the account comes back alone, and where there is no such product nothing.
SELECT t.place - 1, p.account_id, d.id, d.enrolled_at, least(d.deleted_at, p.deleted_at)
FROM unnest(%(product_keys)b::text[], %(device_keys)b::text[]) WITH ORDINALITY AS t (product_key, device_key, place)
JOIN products p ON p.product_key = t.product_key
LEFT JOIN devices d ON d.product_id = p.id AND d.device_key = t.device_key;

-- remember --
-- These reports are remembered for ever, in one order whoever writes them. Returned: the places of those that were not
-- known before. Each of them is given once.
WITH told AS (
    SELECT t.account_id, t.source, t.id, t.place
    FROM unnest(%(account_ids)b::text[], %(sources)b::text[], %(ids)b::text[]) WITH ORDINALITY
             AS t (account_id, source, id, place)
), new AS (
    INSERT INTO usage_reports (account_id, source, id, reported_at)
    SELECT t.account_id, t.source, t.id, %(now)s
    FROM told t
    ORDER BY t.account_id COLLATE "C", t.source COLLATE "C", t.id COLLATE "C"
    ON CONFLICT ON CONSTRAINT usage_reports_pkey DO NOTHING
    RETURNING account_id, source, id
)
SELECT t.place - 1
FROM new n
JOIN told t ON t.account_id = n.account_id AND t.source = n.source AND t.id = n.id;

-- note_reported --
-- What was counted of reports, by device and day of its account's calendar: so that a day can be held against the streams.
INSERT INTO reported_messages (used_on, device_id, up, down)
SELECT (to_timestamp(t.slot * 900.0) AT TIME ZONE a.time_zone)::date, d.id, sum(t.up), sum(t.down)
FROM unnest(%(product_keys)b::text[], %(device_keys)b::text[], %(slots)b::bigint[], %(ups)b::integer[],
            %(downs)b::integer[]) AS t (product_key, device_key, slot, up, down)
JOIN products p ON p.product_key = t.product_key
JOIN accounts a ON a.id = p.account_id
JOIN devices d ON d.product_id = p.id AND d.device_key = t.device_key
GROUP BY 1, 2;

-- quarantine_size --
-- How much is in quarantine; counted up to 100,000, so that asking costs little whatever was sent.
SELECT count(*) FROM (SELECT q.id FROM quarantine q LIMIT 100000) k;
