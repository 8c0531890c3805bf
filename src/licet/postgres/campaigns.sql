-- insert_campaign --
-- A new campaign of a product.
INSERT INTO ota_campaigns (product_id, firmware_id, started_at, started_by)
VALUES (%(product_id)s, %(firmware_id)s, %(now)s, %(started_by)s)
RETURNING id;

-- offer --
-- Each of these devices of the product, or all of them, is offered the campaign's firmware. Returned: their keys.
WITH chosen AS (
    SELECT d.id, d.device_key
    FROM devices d
    WHERE d.product_id = %(product_id)s AND d.deleted_at IS NULL
      AND (%(device_keys)s::text[] IS NULL OR d.device_key = ANY (%(device_keys)s))
), made AS (
    INSERT INTO ota_upgrades (device_id, product_id, campaign_id, firmware_id, bytes, sent, attempts, state, began_at,
                              moved_at)
    SELECT c.id, %(product_id)s, %(campaign_id)s, %(firmware_id)s, %(bytes)s, 0, %(attempts)s, 'offered', %(now)s, %(now)s
    FROM chosen c
)
SELECT c.device_key FROM chosen c ORDER BY c.device_key;

-- tell --
-- Each device that the campaign has offered something is sent a message, which waits for the broker; it is never counted
-- (E3).
INSERT INTO downlinks (product_id, device_id, topic, bytes, payload, asked_at, asked_by)
SELECT u.product_id, u.device_id, %(topic)s, octet_length(%(payload)s::bytea), %(payload)s, %(now)s, %(asked_by)s
FROM ota_upgrades u
WHERE u.campaign_id = %(campaign_id)s AND u.state = 'offered'
ORDER BY u.device_id;

-- stop --
-- The campaign is stopped: one row, or it was before.
UPDATE ota_campaigns SET stopped_at = %(now)s WHERE id = %(id)s AND stopped_at IS NULL;

-- withdraw --
-- What the campaign has offered and nobody has taken up is withdrawn.
UPDATE ota_upgrades SET state = 'withdrawn', moved_at = %(now)s, ended_at = %(now)s
WHERE campaign_id = %(id)s AND state = 'offered';

-- page --
-- Campaigns, the latest first, with how many of their upgrades are in each state.
SELECT c.id, p.account_id, p.product_key, c.firmware_id, c.started_at, c.started_by, c.stopped_at, n.offered, n.reserved,
       n.completed, n.failed, n.withdrawn
FROM (SELECT x.id, x.product_id, x.firmware_id, x.started_at, x.started_by, x.stopped_at
      FROM ota_campaigns x
      JOIN products q ON q.id = x.product_id
      WHERE (%(account_id)s::text IS NULL OR q.account_id = %(account_id)s)
        AND (%(id)s::text IS NULL OR x.id = %(id)s)
        AND (%(product_key)s::text IS NULL OR q.product_key = %(product_key)s)
        AND (%(after_at)s::timestamptz IS NULL OR (x.started_at, x.id) < (%(after_at)s, %(after_id)s::text))
      ORDER BY x.started_at DESC, x.id DESC
      LIMIT %(limit)s) c
JOIN products p ON p.id = c.product_id
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE u.state = 'offered') AS offered,
           count(*) FILTER (WHERE u.state = 'reserved') AS reserved,
           count(*) FILTER (WHERE u.state = 'completed') AS completed,
           count(*) FILTER (WHERE u.state = 'failed') AS failed,
           count(*) FILTER (WHERE u.state = 'withdrawn') AS withdrawn
    FROM ota_upgrades u
    WHERE u.campaign_id = c.id
) n
ORDER BY c.started_at DESC, c.id DESC;
