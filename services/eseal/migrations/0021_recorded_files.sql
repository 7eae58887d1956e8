-- What a check of a sealed PDF is answered with beside the other columns, under a keyed hash over all of them;
-- null where the file has to be read. Nothing personal: the field's name, what the signature covers, and whether
-- the file bore one before.
ALTER TABLE signature ADD COLUMN facts bytea CHECK (length(facts) BETWEEN 33 AND 1024);
