-- The month: top-ups and their ledger, statements, payments.

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
CREATE TRIGGER payments_are_made BEFORE UPDATE OR DELETE OR TRUNCATE ON payments
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
