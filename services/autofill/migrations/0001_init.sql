-- The guess budget: wrong tries at verifying typed values, kept for the length of the budget's window.
-- Nothing here identifies anybody: a subject is a keyed hash, and what was typed is not kept.

CREATE TABLE guess_subject (
    subject_id    uuid        PRIMARY KEY,
    blind_index   bytea       NOT NULL UNIQUE,
    index_version smallint    NOT NULL,
    last_tried_at timestamptz NOT NULL
);
COMMENT ON TABLE guess_subject IS 'subjects about whom something wrong was typed; a row is locked while tries are counted';
CREATE INDEX guess_subject_last_tried_at ON guess_subject (last_tried_at);

CREATE TABLE wrong_try (
    subject_id  uuid        NOT NULL,
    try_id      uuid        NOT NULL,
    caller      text        NOT NULL,
    case_number text        NOT NULL,
    field_name  text        NOT NULL,
    tried_at    timestamptz NOT NULL,
    PRIMARY KEY (subject_id, try_id)
);
CREATE INDEX wrong_try_tried_at ON wrong_try (tried_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON guess_subject TO onestop_autofill;
GRANT SELECT, INSERT, DELETE ON wrong_try TO onestop_autofill;
