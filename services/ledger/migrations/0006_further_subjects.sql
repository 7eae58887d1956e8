-- Whom an entry is about beside the first, whose index stands in `opening`: most entries are about one, and
-- cost no row here. It goes with the opening: destroying that closes the entry for all whom it is about.
CREATE TABLE further_subject (
    item_id       uuid    NOT NULL REFERENCES opening ON DELETE CASCADE,
    subject_index bytea   NOT NULL,   -- blind index of the subject
    index_version integer NOT NULL,
    PRIMARY KEY (item_id, subject_index)
);
CREATE INDEX further_subject_index ON further_subject (subject_index);

GRANT SELECT, INSERT ON further_subject TO onestop_ledger;
