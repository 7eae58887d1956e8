-- The log. What the checkpoint vouches for is only ever added: the service's role may insert and read, and a
-- trigger refuses changes by anybody who has not first taken the trigger away.

CREATE TABLE entry (
    idx         bigint PRIMARY KEY CHECK (idx >= 0),    -- of the Merkle leaf, without gaps
    item_id     uuid        NOT NULL UNIQUE,            -- the receipt's id
    tree_size   bigint      NOT NULL CHECK (tree_size > idx),  -- of the checkpoint that came with it
    kind        smallint    NOT NULL CHECK (kind BETWEEN 1 AND 3),  -- disclosure, intent, outcome
    recorder    text        NOT NULL,                   -- the appending part, by its certificate
    caller      text        NOT NULL,                   -- the outside caller, by its token
    intent_id   uuid CHECK ((kind = 3) = (intent_id IS NOT NULL)),  -- that an outcome closes
    appended_at timestamptz NOT NULL,
    leaf        bytea       NOT NULL CHECK (octet_length(leaf) BETWEEN 2 AND 65535)  -- RFC 8785 JSON
);

-- An intent has one outcome.
CREATE UNIQUE INDEX entry_outcome ON entry (intent_id) WHERE intent_id IS NOT NULL;

-- What opens an entry's commitments. It stands beside the log, so that destroying it (the owner's right,
-- not the service's) closes the entry for good and leaves the log whole.
CREATE TABLE opening (
    item_id       uuid PRIMARY KEY,
    sealed        bytea NOT NULL,   -- salts, operator, subject; row = item_id, column = opening.sealed
    digest        bytea NOT NULL CHECK (octet_length(digest) = 32),  -- keyed hash of the item as it was sent
    subject_index bytea,            -- blind index of the subject
    index_version integer CHECK ((subject_index IS NULL) = (index_version IS NULL))
);
CREATE INDEX opening_subject ON opening (subject_index) WHERE subject_index IS NOT NULL;

-- Intents without outcome; a row goes when its outcome comes. All of it can be made anew from `entry`.
CREATE TABLE open_intent (
    intent_id   uuid PRIMARY KEY,
    recorder    text        NOT NULL,
    appended_at timestamptz NOT NULL
);
CREATE INDEX open_intent_recorder ON open_intent (recorder, appended_at);

-- Full tiles (C2SP tlog-tiles). The partial ones at the right edge are made from `entry` and from the roots
-- of the level below, so that no tile is ever written twice.
CREATE TABLE tile (
    level  smallint NOT NULL CHECK (level BETWEEN 0 AND 7),
    idx    bigint   NOT NULL CHECK (idx >= 0),
    hashes bytea    NOT NULL CHECK (octet_length(hashes) = 8192),
    root   bytea    NOT NULL CHECK (octet_length(root) = 32),
    PRIMARY KEY (level, idx)
);
ALTER TABLE tile ALTER COLUMN hashes SET STORAGE EXTERNAL;  -- hashes do not compress

-- Every checkpoint that was signed, by the size of its tree.
CREATE TABLE checkpoint (
    size      bigint PRIMARY KEY CHECK (size >= 0),
    note      text        NOT NULL,  -- C2SP signed note
    signed_at timestamptz NOT NULL
);

-- Where the log stands. A sequencer takes an epoch when it starts, and moves the head only while that is
-- still the newest epoch: whoever was there before it can write nothing more.
CREATE TABLE head (
    only_one   boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    epoch      bigint NOT NULL,
    size       bigint NOT NULL,
    checkpoint text   NOT NULL   -- empty until the first sequencer has signed the empty tree
);
INSERT INTO head (epoch, size, checkpoint) VALUES (0, 0, '');

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%: the log is only ever added to', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER entry_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER tile_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON tile
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER checkpoint_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER head_stays BEFORE DELETE OR TRUNCATE ON head
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER head_only_advances BEFORE UPDATE ON head
    FOR EACH ROW WHEN (NEW.size < OLD.size OR NEW.epoch < OLD.epoch) EXECUTE FUNCTION refuse_change();

GRANT SELECT, INSERT ON entry, opening, tile, checkpoint TO onestop_ledger;
GRANT SELECT, INSERT, DELETE ON open_intent TO onestop_ledger;
GRANT SELECT, UPDATE ON head TO onestop_ledger;
