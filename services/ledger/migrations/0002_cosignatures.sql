-- What witnesses signed of this log's checkpoints (C2SP tlog-cosignature). It comes seconds after a checkpoint,
-- and proves something only together with it; losing a row loses nothing that was released.
CREATE TABLE cosignature (
    size        bigint      NOT NULL CHECK (size >= 0),   -- of the checkpoint
    witness     text        NOT NULL,   -- name of its key
    key_id      bytea       NOT NULL CHECK (octet_length(key_id) = 4),
    line        text        NOT NULL,   -- the signature line, as the witness wrote it
    cosigned_at timestamptz NOT NULL,   -- the time that it signed
    PRIMARY KEY (size, witness, key_id)
);

-- A quiet log's newest checkpoint is cosigned again and again, to show that nothing has come since.
GRANT SELECT, INSERT, UPDATE ON cosignature TO onestop_ledger;
