-- Every batch and, without work, every half second moves the beat of the sequencer that leads. A standby that
-- sees it stand still takes over, although the leader's session and its lock may live on (paused, cut off).
-- A counter and no time: clocks that differ or jump decide nothing.
ALTER TABLE head ADD COLUMN beat bigint NOT NULL DEFAULT 0;

-- A ledger says every few seconds which keys it signs checkpoints with, so that a rotation (./onestop keys rotate
-- signing) goes on only when all of them do.
CREATE TABLE signer (
    signer  uuid PRIMARY KEY,
    process text        NOT NULL,  -- machine and process id, for people
    signs   text[]      NOT NULL,  -- verifier keys of those that it signs with
    knows   text[]      NOT NULL,  -- verifier keys of all whose signature it accepts
    seen_at timestamptz NOT NULL DEFAULT now()
);

-- When a rotated key came and went. The rotation is at the owner's hands; the keys themselves are files.
CREATE TABLE signing_key (
    verifier_key text PRIMARY KEY,
    both_since   timestamptz,      -- since when every process signs with it beside the one before
    alone_since  timestamptz       -- since when it signs alone
);

GRANT SELECT, INSERT, UPDATE, DELETE ON signer TO onestop_ledger;
GRANT SELECT ON signing_key TO onestop_ledger;
