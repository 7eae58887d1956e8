-- A fourth kind of entry: the first of a new origin, which names the log that it continues and the last checkpoint
-- that is known of that one. The rows that are there satisfied the narrower rule.
ALTER TABLE entry DROP CONSTRAINT entry_kind_check;
ALTER TABLE entry ADD CONSTRAINT entry_kind_check CHECK (kind BETWEEN 1 AND 4) NOT VALID;

-- There are hardly ever any, and whoever checks an old receipt needs them at once.
CREATE INDEX entry_continuation ON entry (idx) WHERE kind = 4;
