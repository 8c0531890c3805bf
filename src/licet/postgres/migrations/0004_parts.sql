-- What statements are made of, down to the device and the day.

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

CREATE TRIGGER statement_parts_are_closed BEFORE UPDATE OR DELETE OR TRUNCATE ON statement_parts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
