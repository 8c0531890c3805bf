-- The books: what every table holds, and the constraints that are the last word on any race.
-- Migrations reach exactly this; a test compares the two. Names of constraints are translated to refusals in books.py.
-- No defaults that read the clock: every instant is given by who writes. No triggers but those that refuse.

-- Who owns products and pays (A8). Ids are random, so that they stay unique across data centres (B4).
CREATE TABLE accounts (
    id          text COLLATE "C" DEFAULT 'acc_' || left(replace(gen_random_uuid()::text, '-', ''), 20),
    name        text        NOT NULL,
    kind        text        NOT NULL CHECK (kind IN ('enterprise', 'individual')),
    data_center text        NOT NULL,
    time_zone   text        NOT NULL,
    mode        text        NOT NULL CHECK (mode IN ('charge', 'block')),
    opened_at   timestamptz NOT NULL,
    CONSTRAINT accounts_pkey PRIMARY KEY (id)
);

-- A name for an allowance (A3). Never changed, never deleted.
CREATE TABLE packages (
    id               text COLLATE "C" DEFAULT 'pkg_' || left(replace(gen_random_uuid()::text, '-', ''), 20),
    name             text        NOT NULL,
    term_months      integer     NOT NULL CHECK (term_months >= 0),
    term_days        integer     NOT NULL CHECK (term_days >= 0),
    day_count        text        NOT NULL CHECK (day_count IN ('calendar', '30/360')),
    messages_per_day integer     NOT NULL CHECK (messages_per_day >= 0),
    ota_per_month    integer     NOT NULL CHECK (ota_per_month >= 0),
    storage_days     integer     NOT NULL CHECK (storage_days >= 0),
    defined_at       timestamptz NOT NULL,
    CONSTRAINT packages_pkey PRIMARY KEY (id),
    CONSTRAINT packages_name_once UNIQUE (name),
    CHECK (term_months + term_days > 0)
);

-- A product. Its row is the lock under which its codes are numbered and consumed.
-- renewed_until: every renewal due up to then is in the books; each span that ended by then was followed or has a lapse.
CREATE TABLE products (
    id                     integer GENERATED ALWAYS AS IDENTITY,
    product_key            text COLLATE "C" NOT NULL,
    account_id             text COLLATE "C" NOT NULL REFERENCES accounts,
    name                   text        NOT NULL,
    sealed_secret          bytea       NOT NULL,
    auto_renewal           boolean     NOT NULL,
    renewal_policy         text        NOT NULL CHECK (renewal_policy IN ('on_schedule', 'on_connect')),
    dynamic_authentication boolean     NOT NULL,
    package_id             text COLLATE "C" REFERENCES packages,
    renewed_until          timestamptz NOT NULL,
    created_at             timestamptz NOT NULL,
    deleted_at             timestamptz,
    CONSTRAINT products_pkey PRIMARY KEY (id),
    CONSTRAINT products_key_once UNIQUE (product_key)
);
CREATE INDEX products_account ON products (account_id, id);

-- Which package a product had since when, and from which midnight its messages and OTA upgrades count (A7).
CREATE TABLE product_packages (
    product_id  integer          NOT NULL REFERENCES products,
    ordinal     integer          NOT NULL,
    package_id  text COLLATE "C" NOT NULL REFERENCES packages,
    set_at      timestamptz      NOT NULL,
    counts_from timestamptz      NOT NULL,
    set_by      text             NOT NULL,
    CONSTRAINT product_packages_pkey PRIMARY KEY (product_id, ordinal)
);

-- So many codes of one package, bought or given (A8, A9). One order is credited once.
CREATE TABLE lots (
    id              text COLLATE "C" DEFAULT 'lot_' || left(replace(gen_random_uuid()::text, '-', ''), 20),
    account_id      text COLLATE "C" NOT NULL REFERENCES accounts,
    package_id      text COLLATE "C" NOT NULL REFERENCES packages,
    product_id      integer          REFERENCES products,
    origin          text             NOT NULL CHECK (origin IN ('purchase', 'free')),
    quantity        integer          NOT NULL CHECK (quantity > 0),
    assigned        integer          NOT NULL,
    order_reference text             NOT NULL,
    use_by          timestamptz,
    credited_at     timestamptz      NOT NULL,
    credited_by     text             NOT NULL,
    CONSTRAINT lots_pkey PRIMARY KEY (id),
    CONSTRAINT lots_order_once UNIQUE (account_id, order_reference),
    CONSTRAINT lots_not_overassigned CHECK (assigned BETWEEN 0 AND quantity)
);

-- Every assignment is kept: which product, how many, which package, when, who (A10).
CREATE TABLE assignments (
    id          text COLLATE "C" DEFAULT 'asg_' || left(replace(gen_random_uuid()::text, '-', ''), 20),
    account_id  text COLLATE "C" NOT NULL REFERENCES accounts,
    product_id  integer          NOT NULL REFERENCES products,
    package_id  text COLLATE "C" NOT NULL REFERENCES packages,
    quantity    integer          NOT NULL CHECK (quantity > 0),
    assigned_at timestamptz      NOT NULL,
    assigned_by text             NOT NULL,
    CONSTRAINT assignments_pkey PRIMARY KEY (id)
);
CREATE INDEX assignments_account ON assignments (account_id, assigned_at, id);

-- A run of a product's code numbers that came from one lot (A2). Codes before first_number + consumed are consumed.
CREATE TABLE ranges (
    product_id    integer          NOT NULL REFERENCES products,
    first_number  integer          NOT NULL CHECK (first_number > 0),
    quantity      integer          NOT NULL CHECK (quantity > 0),
    consumed      integer          NOT NULL,
    use_by        timestamptz,
    lot_id        text COLLATE "C" NOT NULL REFERENCES lots,
    assignment_id text COLLATE "C" NOT NULL REFERENCES assignments,
    CONSTRAINT ranges_pkey PRIMARY KEY (product_id, first_number),
    CONSTRAINT ranges_not_oversold CHECK (consumed BETWEEN 0 AND quantity)
);

-- A device. A deleted one keeps its row, for its spans are kept for good (C6, D7); it has no secret.
-- secret_origin: who made its secret, which decides whether it may still register for another (C5).
CREATE TABLE devices (
    id            bigint GENERATED ALWAYS AS IDENTITY,
    product_id    integer          NOT NULL REFERENCES products,
    device_key    text COLLATE "C" NOT NULL,
    sealed_secret bytea,
    secret_origin text CHECK (secret_origin IN ('supplied', 'issued', 'reset', 'registered')),
    virtual       boolean          NOT NULL,
    enrolled_at   timestamptz      NOT NULL,
    deleted_at    timestamptz,
    CONSTRAINT devices_pkey PRIMARY KEY (id),
    CONSTRAINT devices_key_once UNIQUE (product_id, device_key),
    CONSTRAINT devices_secret_or_deleted 
        CHECK ((deleted_at IS NULL) = (sealed_secret IS NOT NULL) AND (sealed_secret IS NULL) = (secret_origin IS NULL))
);
CREATE UNIQUE INDEX devices_virtual_once ON devices (product_id) WHERE virtual AND deleted_at IS NULL;

-- Devices that must not renew (D3).
CREATE TABLE no_renewals (
    device_id bigint      NOT NULL REFERENCES devices,
    listed_at timestamptz NOT NULL,
    CONSTRAINT no_renewals_pkey PRIMARY KEY (device_id)
);

-- Registrations that were granted: none is granted twice, whatever is reset in between.
CREATE TABLE registrations (
    device_id     bigint           NOT NULL REFERENCES devices,
    nonce         text COLLATE "C" NOT NULL,
    registered_at timestamptz      NOT NULL,
    CONSTRAINT registrations_nonce_once PRIMARY KEY (device_id, nonce)
);

-- The spans of a device, [starts_at, ends_at): its ordinal-th code, the code's number, and why (C1, D7).
-- Append only, ten times larger than anything else: no foreign keys, since neither devices nor ranges are ever removed.
-- reason: 1 first, 2 renewal, 3 reactivation.
CREATE TABLE activations (
    device_id  bigint      NOT NULL,
    starts_at  timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL,
    product_id integer     NOT NULL,
    number     integer     NOT NULL,
    ordinal    smallint    NOT NULL,
    reason     smallint    NOT NULL,
    CONSTRAINT activations_span_once PRIMARY KEY (device_id, ordinal),
    CONSTRAINT activations_code_once UNIQUE (product_id, number),
    CONSTRAINT activations_span_forwards CHECK (starts_at < ends_at)
);
CREATE INDEX activations_ends ON activations (product_id, ends_at);

-- Why a span ended and none followed it at that instant (D2 to D4).
CREATE TABLE lapses (
    device_id bigint   NOT NULL,
    ordinal   smallint NOT NULL,
    reason    text     NOT NULL CHECK (reason IN ('no_code_available', 'renewal_off', 'on_connect', 'deleted')),
    CONSTRAINT lapses_pkey PRIMARY KEY (device_id, ordinal),
    CONSTRAINT lapses_span FOREIGN KEY (device_id, ordinal) REFERENCES activations (device_id, ordinal)
);

-- Up to which instant near expiry was looked at and told, per product and number of days before (D6).
CREATE TABLE notices (
    product_id  integer     NOT NULL REFERENCES products,
    kind        text        NOT NULL CHECK (kind IN ('near_expiry', 'run_out')),
    days        integer     NOT NULL,
    told_until  timestamptz NOT NULL,
    CONSTRAINT notices_pkey PRIMARY KEY (product_id, kind, days)
);

-- What has happened, written with what made it true, told to the outside afterwards.
CREATE TABLE events (
    id          bigint GENERATED ALWAYS AS IDENTITY,
    at          timestamptz NOT NULL,
    kind        text        NOT NULL,
    account_id  text COLLATE "C",
    product_key text COLLATE "C",
    facts       jsonb       NOT NULL,
    told_at     timestamptz,
    CONSTRAINT events_pkey PRIMARY KEY (id)
);
CREATE INDEX events_untold ON events (id) WHERE told_at IS NULL;

-- Every change: who, what, before and after, when, from where (§8).
CREATE TABLE audit (
    id         bigint GENERATED ALWAYS AS IDENTITY,
    at         timestamptz NOT NULL,
    account_id text COLLATE "C",
    by_id      text        NOT NULL,
    by_name    text        NOT NULL,
    address    text,
    act        text        NOT NULL,
    subject    text        NOT NULL,
    before     jsonb,
    after      jsonb,
    CONSTRAINT audit_pkey PRIMARY KEY (id)
);
CREATE INDEX audit_account ON audit (account_id, id);

-- Requests that carried an Idempotency-Key, with what they were answered. No time limit.
CREATE TABLE asks (
    scope         text COLLATE "C" NOT NULL,
    key           text COLLATE "C" NOT NULL,
    fingerprint   bytea            NOT NULL,
    status        integer,
    sealed_answer bytea,
    asked_at      timestamptz      NOT NULL,
    CONSTRAINT asks_key_once PRIMARY KEY (scope, key)
);

-- People who sign in. Without an account: operators.
CREATE TABLE people (
    id            text COLLATE "C" DEFAULT 'per_' || left(replace(gen_random_uuid()::text, '-', ''), 20),
    account_id    text COLLATE "C" REFERENCES accounts,
    email         text COLLATE "C" NOT NULL,
    name          text        NOT NULL,
    role          text        NOT NULL CHECK (role IN ('operator', 'owner', 'member', 'viewer')),
    password_hash text,
    invited_at    timestamptz NOT NULL,
    removed_at    timestamptz,
    CONSTRAINT people_pkey PRIMARY KEY (id),
    CHECK ((role = 'operator') = (account_id IS NULL))
);
CREATE UNIQUE INDEX people_email_once ON people (email) WHERE removed_at IS NULL;

-- One-time sign-in links; only the hash of what they carry is kept.
CREATE TABLE sign_in_links (
    hash       bytea            NOT NULL,
    person_id  text COLLATE "C" NOT NULL REFERENCES people,
    expires_at timestamptz      NOT NULL,
    used_at    timestamptz,
    CONSTRAINT sign_in_links_pkey PRIMARY KEY (hash)
);

CREATE TABLE sessions (
    hash       bytea            NOT NULL,
    person_id  text COLLATE "C" NOT NULL REFERENCES people,
    started_at timestamptz      NOT NULL,
    expires_at timestamptz      NOT NULL,
    CONSTRAINT sessions_pkey PRIMARY KEY (hash)
);
CREATE INDEX sessions_person ON sessions (person_id);

-- What programs sign in with; random, so a plain SHA-256 is right.
CREATE TABLE tokens (
    id         text COLLATE "C" DEFAULT 'tok_' || left(replace(gen_random_uuid()::text, '-', ''), 20),
    account_id text COLLATE "C" REFERENCES accounts,
    name       text        NOT NULL,
    role       text        NOT NULL CHECK (role IN ('operator', 'owner', 'member', 'viewer', 'broker', 'ingest')),
    scopes     text[]      NOT NULL,
    hash       bytea       NOT NULL,
    issued_at  timestamptz NOT NULL,
    issued_by  text        NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT tokens_pkey PRIMARY KEY (id),
    CONSTRAINT tokens_hash_once UNIQUE (hash)
);
CREATE INDEX tokens_account ON tokens (account_id, id);

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

-- Units of one kind that an account bought or was given, to offset its excess (G2).
CREATE TABLE topups (
    id         text COLLATE "C" DEFAULT 'top_' || left(replace(gen_random_uuid()::text, '-', ''), 20),
    account_id text COLLATE "C" NOT NULL REFERENCES accounts,
    usage      text        NOT NULL CHECK (usage IN ('messages', 'ota', 'storage')),
    origin     text        NOT NULL CHECK (origin IN ('purchase', 'gift')),
    quantity   bigint      NOT NULL CHECK (quantity > 0),
    remaining  bigint      NOT NULL,
    expires_at timestamptz,
    reference  text        NOT NULL,
    bought_at  timestamptz NOT NULL,
    bought_by  text        NOT NULL,
    CONSTRAINT topups_pkey PRIMARY KEY (id),
    CONSTRAINT topups_reference_once UNIQUE (account_id, usage, reference),
    CONSTRAINT topups_not_overdrawn CHECK (remaining BETWEEN 0 AND quantity)
);

-- Every change of a balance of top-ups, for good (G4): balance = sum of the quantities so far. The lock is the account's.
CREATE TABLE ledger (
    id         bigint GENERATED ALWAYS AS IDENTITY,
    account_id text COLLATE "C" NOT NULL REFERENCES accounts,
    usage      text        NOT NULL CHECK (usage IN ('messages', 'ota', 'storage')),
    at         timestamptz NOT NULL,
    type       text        NOT NULL CHECK (type IN ('gift', 'purchase', 'excess', 'bill', 'expiry')),
    quantity   bigint      NOT NULL CHECK (quantity <> 0),
    balance    bigint      NOT NULL CHECK (balance >= 0),
    month_on   date,
    reference  text,
    CONSTRAINT ledger_pkey PRIMARY KEY (id),
    CHECK ((type IN ('gift', 'purchase')) = (quantity > 0)),
    CHECK ((type IN ('excess', 'bill')) = (month_on IS NOT NULL))
);
CREATE INDEX ledger_account ON ledger (account_id, usage, id);
CREATE INDEX ledger_month ON ledger (account_id, month_on) WHERE month_on IS NOT NULL;

-- A closed month of an account (G1, G6): by which zone, and how far each stream had been counted.
CREATE TABLE statements (
    account_id text COLLATE "C" NOT NULL REFERENCES accounts,
    month_on   date        NOT NULL,
    time_zone  text        NOT NULL,
    closed_at  timestamptz NOT NULL,
    counted    jsonb       NOT NULL,
    CONSTRAINT statements_pkey PRIMARY KEY (account_id, month_on)
);

-- What a closed month came to; from an earlier month if it was counted after that one was closed (G6).
CREATE TABLE statement_lines (
    account_id    text COLLATE "C" NOT NULL,
    month_on      date   NOT NULL,
    usage         text   NOT NULL CHECK (usage IN ('messages', 'ota', 'storage')),
    from_month_on date   NOT NULL,
    excess        bigint NOT NULL CHECK (excess > 0),
    CONSTRAINT statement_lines_pkey PRIMARY KEY (account_id, month_on, usage, from_month_on),
    CONSTRAINT statement_lines_statement FOREIGN KEY (account_id, month_on) REFERENCES statements,
    CHECK (from_month_on <= month_on)
);
CREATE INDEX statement_lines_from ON statement_lines (account_id, from_month_on);

-- What the lines of a closed month are made of (G5): what a device used on a day (of OTA: in a month) beyond what it was
-- allowed, as it stood when this was written. Device 0: of the product as a whole. Many are written at once, and the lines
-- refer to their statement: these refer to nothing.
CREATE TABLE statement_parts (
    account_id    text COLLATE "C" NOT NULL,
    month_on      date    NOT NULL,
    usage         text    NOT NULL CHECK (usage IN ('messages', 'ota', 'storage')),
    from_month_on date    NOT NULL,
    product_id    integer NOT NULL,
    device_id     bigint  NOT NULL,
    used_on       date    NOT NULL,
    used          bigint  NOT NULL,
    allowance     bigint  NOT NULL,
    excess        bigint  NOT NULL CHECK (excess > 0),
    CONSTRAINT statement_parts_pkey
        PRIMARY KEY (account_id, usage, from_month_on, product_id, device_id, used_on, month_on),
    CHECK (excess <= used - allowance)
);

-- What was paid of a bill otherwise than by top-ups (G5).
CREATE TABLE payments (
    account_id text COLLATE "C" NOT NULL,
    month_on   date        NOT NULL,
    usage      text        NOT NULL CHECK (usage IN ('messages', 'ota', 'storage')),
    reference  text        NOT NULL,
    quantity   bigint      NOT NULL CHECK (quantity > 0),
    paid_at    timestamptz NOT NULL,
    paid_by    text        NOT NULL,
    CONSTRAINT payments_reference_once PRIMARY KEY (account_id, month_on, usage, reference),
    CONSTRAINT payments_statement FOREIGN KEY (account_id, month_on) REFERENCES statements
);

-- Closed months of which something was counted afterwards, to be looked at when the next one is closed (G6).
CREATE TABLE late_months (
    account_id text COLLATE "C" NOT NULL,
    month_on   date NOT NULL,
    CONSTRAINT late_months_pkey PRIMARY KEY (account_id, month_on),
    CONSTRAINT late_months_statement FOREIGN KEY (account_id, month_on) REFERENCES statements
);

-- What was written of a closed month stays written: the only triggers there are, and all they do is refuse.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what is written in % is never changed', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER ledger_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER statements_are_closed BEFORE UPDATE OR DELETE OR TRUNCATE ON statements
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER statement_lines_are_closed BEFORE UPDATE OR DELETE OR TRUNCATE ON statement_lines
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER statement_parts_are_closed BEFORE UPDATE OR DELETE OR TRUNCATE ON statement_parts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER payments_are_made BEFORE UPDATE OR DELETE OR TRUNCATE ON payments
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
