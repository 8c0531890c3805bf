-- Allowances: messages, OTA upgrades and storage are metered; accounts charge or block.

-- How long a product's messages are kept, if longer than its package grants (E5).
ALTER TABLE products ADD COLUMN keep_days integer CHECK (keep_days > 0);

-- Whether an account's excess is charged or its devices are cut off, and since which midnight of its calendar (E4).
CREATE TABLE account_modes (
    account_id text COLLATE "C" NOT NULL REFERENCES accounts,
    starts_on  date        NOT NULL,
    mode       text        NOT NULL CHECK (mode IN ('charge', 'block')),
    set_at     timestamptz NOT NULL,
    set_by     text        NOT NULL,
    CONSTRAINT account_modes_pkey PRIMARY KEY (account_id, starts_on)
);

-- How far each of the broker's streams is taken up for counting: every sequence up to claimed_sequence was claimed once.
CREATE TABLE message_streams (
    stream        text   COLLATE "C" NOT NULL,
    claimed_sequence bigint NOT NULL CHECK (claimed_sequence >= 0),
    CONSTRAINT message_streams_pkey PRIMARY KEY (stream)
);

-- Claims that are not counted yet. The row goes in the transaction that counts its messages: so each is counted once.
CREATE TABLE message_claims (
    stream         text   COLLATE "C" NOT NULL REFERENCES message_streams,
    first_sequence bigint NOT NULL,
    last_sequence  bigint NOT NULL,
    claimed_by     text   NOT NULL,
    claimed_at     timestamptz NOT NULL,
    CONSTRAINT message_claims_pkey PRIMARY KEY (stream, first_sequence),
    CHECK (first_sequence <= last_sequence)
);

-- What was counted and is not yet folded into the day's counters: append only, many at a time.
CREATE TABLE message_deltas (
    used_on   date    NOT NULL,
    device_id bigint  NOT NULL,
    up        integer NOT NULL,
    down      integer NOT NULL
);
CREATE INDEX message_deltas_device ON message_deltas (device_id, used_on);

-- Messages used by a device on a day of its account's calendar (E1, E2); one row at the most. A partition a month is made
-- when the first count of that month is folded.
CREATE TABLE message_counts (
    used_on   date    NOT NULL,
    device_id bigint  NOT NULL,
    up        integer NOT NULL,
    down      integer NOT NULL,
    CONSTRAINT message_counts_pkey PRIMARY KEY (used_on, device_id)
) PARTITION BY RANGE (used_on);

-- Bytes that a product's devices sent and were sent on a day: what is stored, for as long as it is kept (E5).
CREATE TABLE stored_bytes (
    stored_on  date    NOT NULL,
    product_id integer NOT NULL REFERENCES products,
    bytes      bigint  NOT NULL,
    CONSTRAINT stored_bytes_pkey PRIMARY KEY (product_id, stored_on)
);

-- Devices that are cut off, of accounts that block: until the account's next midnight (E4).
CREATE TABLE cut_offs (
    device_id bigint      NOT NULL,
    cut_on    date        NOT NULL,
    ends_at   timestamptz NOT NULL,
    CONSTRAINT cut_offs_pkey PRIMARY KEY (device_id, cut_on)
);

-- Use that no device of ours can be named for, kept for somebody to look at.
CREATE TABLE quarantine (
    id       bigint GENERATED ALWAYS AS IDENTITY,
    at       timestamptz NOT NULL,
    source   text        NOT NULL,
    reason   text        NOT NULL,
    reported jsonb       NOT NULL,
    CONSTRAINT quarantine_pkey PRIMARY KEY (id)
);

-- Use that was reported from outside: each source and id counts once, for ever.
CREATE TABLE usage_reports (
    source      text COLLATE "C" NOT NULL,
    id          text COLLATE "C" NOT NULL,
    reported_at timestamptz NOT NULL,
    CONSTRAINT usage_reports_pkey PRIMARY KEY (source, id)
);

-- Files that devices are upgraded with; their bytes lie in licet's own folder, by their hash.
CREATE TABLE firmwares (
    id          text COLLATE "C" DEFAULT 'fw_' || left(replace(gen_random_uuid()::text, '-', ''), 20),
    account_id  text COLLATE "C" NOT NULL REFERENCES accounts,
    name        text        NOT NULL,
    bytes       bigint      NOT NULL CHECK (bytes > 0),
    sha256      bytea       NOT NULL,
    uploaded_at timestamptz NOT NULL,
    uploaded_by text        NOT NULL,
    CONSTRAINT firmwares_pkey PRIMARY KEY (id)
);

-- An upgrade of many devices, which may be stopped.
CREATE TABLE ota_campaigns (
    id          text COLLATE "C" DEFAULT 'oc_' || left(replace(gen_random_uuid()::text, '-', ''), 20),
    product_id  integer          NOT NULL REFERENCES products,
    firmware_id text COLLATE "C" NOT NULL REFERENCES firmwares,
    started_at  timestamptz      NOT NULL,
    started_by  text             NOT NULL,
    stopped_at  timestamptz,
    CONSTRAINT ota_campaigns_pkey PRIMARY KEY (id)
);

-- Upgrades of single devices: offered by a campaign, reserved at the start, charged when complete, released when failed
-- (F3). month_on: the first day of the month of the account's calendar in which it was reserved. sent: the bytes that
-- licet itself has sent of it.
CREATE TABLE ota_upgrades (
    id          text COLLATE "C" DEFAULT 'ota_' || left(replace(gen_random_uuid()::text, '-', ''), 20),
    device_id   bigint           NOT NULL,
    campaign_id text COLLATE "C" REFERENCES ota_campaigns,
    firmware_id text COLLATE "C" REFERENCES firmwares,
    bytes       bigint           NOT NULL CHECK (bytes >= 0),
    sent        bigint           NOT NULL,
    attempts    integer          NOT NULL CHECK (attempts > 0),
    state       text             NOT NULL
        CHECK (state IN ('offered', 'reserved', 'completed', 'failed', 'withdrawn')),
    month_on    date,
    offered_at  timestamptz,
    reserved_at timestamptz,
    ended_at    timestamptz,
    CONSTRAINT ota_upgrades_pkey PRIMARY KEY (id),
    CONSTRAINT ota_upgrades_offered_once UNIQUE (campaign_id, device_id),
    CHECK ((state IN ('offered', 'reserved')) = (ended_at IS NULL)),
    CHECK ((month_on IS NULL) = (reserved_at IS NULL)),
    CHECK (state NOT IN ('reserved', 'completed') OR reserved_at IS NOT NULL)
);
CREATE INDEX ota_upgrades_device ON ota_upgrades (device_id, month_on);
