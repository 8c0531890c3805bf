-- Allowances: messages, OTA upgrades and storage are metered; accounts charge or block.

-- Whether an account's excess is charged or its devices are cut off, and since which midnight of its calendar (E4).
CREATE TABLE account_modes (
    account_id text COLLATE "C" NOT NULL REFERENCES accounts,
    starts_on  date        NOT NULL,
    mode       text        NOT NULL CHECK (mode IN ('charge', 'block')),
    set_at     timestamptz NOT NULL,
    set_by     text        NOT NULL,
    CONSTRAINT account_modes_pkey PRIMARY KEY (account_id, starts_on)
);

-- A token that reports use from outside, and can do nothing else.
ALTER TABLE tokens DROP CONSTRAINT tokens_role_check;
ALTER TABLE tokens ADD CONSTRAINT tokens_role_check
    CHECK (role IN ('operator', 'owner', 'member', 'viewer', 'broker', 'ingest'));

-- How far each of the broker's streams is taken up for counting: every sequence up to claimed_sequence was claimed once.
CREATE TABLE message_streams (
    stream        text   COLLATE "C" NOT NULL,
    claimed_sequence bigint NOT NULL CHECK (claimed_sequence >= 0),
    CONSTRAINT message_streams_pkey PRIMARY KEY (stream)
);

-- Since when, by the real time, licet's clock goes ahead of it and by how much; none, as long as it never was told to. The
-- broker's messages bear the real time.
CREATE TABLE clock_shifts (
    since_at timestamptz NOT NULL,
    ahead    interval    NOT NULL,
    CONSTRAINT clock_shifts_pkey PRIMARY KEY (since_at)
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

-- What was counted and is not yet folded into the day's counters, a second later: append only, many at a time, and few
-- enough to be looked through; an index would cost three times what the rows do.
CREATE TABLE message_deltas (
    used_on   date    NOT NULL,
    device_id bigint  NOT NULL,
    up        integer NOT NULL,
    down      integer NOT NULL
);

-- Messages used by a device on a day of its account's calendar (E1, E2); one row at the most. A partition a month is made
-- when the first count of that month is folded.
CREATE TABLE message_counts (
    used_on   date    NOT NULL,
    device_id bigint  NOT NULL,
    up        integer NOT NULL,
    down      integer NOT NULL,
    CONSTRAINT message_counts_pkey PRIMARY KEY (used_on, device_id)
) PARTITION BY RANGE (used_on);

-- Messages that all devices of a product used on a day, but for virtual ones, which have no allowance.
CREATE TABLE product_days (
    used_on    date    NOT NULL,
    product_id integer NOT NULL REFERENCES products,
    messages   bigint  NOT NULL,
    CONSTRAINT product_days_pkey PRIMARY KEY (used_on, product_id)
);

-- What all devices of an account were allowed on a day when that was last looked at, and the highest warning that was told
-- of it (E4).
CREATE TABLE account_days (
    account_id   text COLLATE "C" NOT NULL REFERENCES accounts,
    used_on      date    NOT NULL,
    allowance    bigint  NOT NULL,
    told_percent integer NOT NULL,
    CONSTRAINT account_days_pkey PRIMARY KEY (account_id, used_on)
);

-- Bytes that a product's devices sent and were sent on a day: what is stored, for as long as it is kept (E5).
CREATE TABLE stored_bytes (
    stored_on  date    NOT NULL,
    product_id integer NOT NULL REFERENCES products,
    bytes      bigint  NOT NULL,
    CONSTRAINT stored_bytes_pkey PRIMARY KEY (product_id, stored_on)
);

-- How many days a product's messages are kept, if longer than its package grants; from which day of its account's calendar
-- on (E5). Without a number: as granted.
CREATE TABLE product_keeps (
    product_id integer     NOT NULL REFERENCES products,
    starts_on  date        NOT NULL,
    keep_days  integer     CHECK (keep_days > 0),
    set_at     timestamptz NOT NULL,
    set_by     text        NOT NULL,
    CONSTRAINT product_keeps_pkey PRIMARY KEY (product_id, starts_on)
);

-- Up to which instant the messages of a product's devices are gone from the broker's disks (E5).
CREATE TABLE storage_purges (
    product_id   integer     NOT NULL REFERENCES products,
    purged_until timestamptz NOT NULL,
    CONSTRAINT storage_purges_pkey PRIMARY KEY (product_id)
);

-- Messages to devices. The payload stands here until the message lies in the broker's stream, under that sequence.
-- after_sequence: the stream's last one before this message was first sent; only after it can the message be.
CREATE TABLE downlinks (
    ordinal        bigint GENERATED ALWAYS AS IDENTITY,
    id             text COLLATE "C" DEFAULT 'msg_' || left(replace(gen_random_uuid()::text, '-', ''), 20),
    product_id     integer     NOT NULL REFERENCES products,
    device_id      bigint      NOT NULL,
    topic          text        NOT NULL,
    bytes          integer     NOT NULL,
    payload        bytea,
    asked_at       timestamptz NOT NULL,
    asked_by       text        NOT NULL,
    after_sequence bigint,
    sequence       bigint,
    delivered_at   timestamptz,
    CONSTRAINT downlinks_pkey PRIMARY KEY (id),
    CHECK ((payload IS NULL) = (sequence IS NOT NULL))
);
CREATE INDEX downlinks_waiting ON downlinks (ordinal) WHERE sequence IS NULL;
CREATE INDEX downlinks_sent ON downlinks (sequence) WHERE delivered_at IS NULL;
CREATE INDEX downlinks_device ON downlinks (device_id, ordinal);
CREATE INDEX downlinks_product ON downlinks (product_id, asked_at);

-- Devices that are cut off, of accounts that block: until the account's next midnight (E4).
CREATE TABLE cut_offs (
    device_id bigint      NOT NULL,
    cut_on    date        NOT NULL,
    ends_at   timestamptz NOT NULL,
    CONSTRAINT cut_offs_pkey PRIMARY KEY (device_id, cut_on)
);
CREATE INDEX cut_offs_ends ON cut_offs (ends_at);

-- Use that no device of ours can be named for, kept for somebody to look at.
CREATE TABLE quarantine (
    id       bigint GENERATED ALWAYS AS IDENTITY,
    at       timestamptz NOT NULL,
    source   text        NOT NULL,
    reason   text        NOT NULL,
    reported jsonb       NOT NULL,
    CONSTRAINT quarantine_pkey PRIMARY KEY (id)
);

-- Use that was reported from outside: each source and id of an account counts once, for ever. account_id: whose product
-- it was about; where there is no such product, who reported it, and '' for the platform itself. So nobody can use up
-- the ids of another account's gateways.
CREATE TABLE usage_reports (
    account_id  text COLLATE "C" NOT NULL,
    source      text COLLATE "C" NOT NULL,
    id          text COLLATE "C" NOT NULL,
    reported_at timestamptz NOT NULL,
    CONSTRAINT usage_reports_pkey PRIMARY KEY (account_id, source, id)
);

-- What these reports came to, by device and day: it is among the counters, and was never in a stream.
CREATE TABLE reported_messages (
    used_on   date    NOT NULL,
    device_id bigint  NOT NULL,
    up        integer NOT NULL,
    down      integer NOT NULL
);
CREATE INDEX reported_messages_day ON reported_messages (used_on, device_id);

-- Files that devices are upgraded with; their bytes lie in licet's own folder, by their hash.
CREATE TABLE firmwares (
    id          text COLLATE "C" DEFAULT 'fmw_' || left(replace(gen_random_uuid()::text, '-', ''), 20),
    account_id  text COLLATE "C" NOT NULL REFERENCES accounts,
    name        text        NOT NULL,
    bytes       bigint      NOT NULL CHECK (bytes > 0),
    sha256      bytea       NOT NULL,
    uploaded_at timestamptz NOT NULL,
    uploaded_by text        NOT NULL,
    deleted_at  timestamptz,
    CONSTRAINT firmwares_pkey PRIMARY KEY (id)
);
CREATE INDEX firmwares_account ON firmwares (account_id, uploaded_at, id);
CREATE INDEX firmwares_sha256 ON firmwares (sha256);

-- An upgrade of many devices, which may be stopped.
CREATE TABLE ota_campaigns (
    id          text COLLATE "C" DEFAULT 'cmp_' || left(replace(gen_random_uuid()::text, '-', ''), 20),
    product_id  integer          NOT NULL REFERENCES products,
    firmware_id text COLLATE "C" NOT NULL REFERENCES firmwares,
    started_at  timestamptz      NOT NULL,
    started_by  text             NOT NULL,
    stopped_at  timestamptz,
    CONSTRAINT ota_campaigns_pkey PRIMARY KEY (id)
);
CREATE INDEX ota_campaigns_product ON ota_campaigns (product_id, started_at, id);

-- Upgrades of single devices: offered by a campaign, reserved at the start, charged when complete, released when failed
-- (F3). began_at: offered, or reserved without an offer; moved_at: begun, or bytes of it were sent, last. month_on: the
-- first day of the month of the account's calendar in which it was reserved. sent: the bytes that licet itself has sent
-- of it.
CREATE TABLE ota_upgrades (
    id          text COLLATE "C" DEFAULT 'ota_' || left(replace(gen_random_uuid()::text, '-', ''), 20),
    device_id   bigint           NOT NULL,
    product_id  integer          NOT NULL REFERENCES products,
    campaign_id text COLLATE "C" REFERENCES ota_campaigns,
    firmware_id text COLLATE "C" REFERENCES firmwares,
    bytes       bigint           NOT NULL CHECK (bytes >= 0),
    sent        bigint           NOT NULL CHECK (sent >= 0),
    attempts    integer          NOT NULL CHECK (attempts > 0),
    state       text             NOT NULL
        CHECK (state IN ('offered', 'reserved', 'completed', 'failed', 'withdrawn')),
    month_on    date,
    began_at    timestamptz      NOT NULL,
    moved_at    timestamptz      NOT NULL,
    reserved_at timestamptz,
    ended_at    timestamptz,
    CONSTRAINT ota_upgrades_pkey PRIMARY KEY (id),
    CONSTRAINT ota_upgrades_offered_once UNIQUE (campaign_id, device_id),
    CHECK ((state IN ('offered', 'reserved')) = (ended_at IS NULL)),
    CHECK ((month_on IS NULL) = (reserved_at IS NULL)),
    CHECK ((state IN ('offered', 'withdrawn')) = (reserved_at IS NULL))
);
CREATE INDEX ota_upgrades_device ON ota_upgrades (device_id, month_on);
CREATE INDEX ota_upgrades_month ON ota_upgrades (product_id, month_on);
CREATE INDEX ota_upgrades_began ON ota_upgrades (product_id, began_at, id);
CREATE INDEX ota_upgrades_idle ON ota_upgrades (moved_at) WHERE state = 'reserved';
CREATE INDEX ota_upgrades_open ON ota_upgrades (firmware_id) WHERE state IN ('offered', 'reserved');
