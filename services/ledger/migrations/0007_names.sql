-- What people call the callers, offices, matters and fields that entries name by code: for showing an entry to whom it
-- is about. No entry depends on it, and the log never changes with it.
CREATE TABLE known_name (
    kind    text NOT NULL CHECK (kind IN ('caller', 'office', 'matter', 'field')),
    code    text NOT NULL,                 -- client id, USCC, matter code, <where>.<field name>
    name    text NOT NULL CHECK (name <> ''),
    name_en text NOT NULL DEFAULT '',      -- empty where there is none
    PRIMARY KEY (kind, code)
);

GRANT SELECT ON known_name TO onestop_ledger;
