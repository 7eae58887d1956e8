-- Numbers by which a person was known before a correction. They lead to her still (subject_index), and when
-- the index is made anew with another key the numbers have to be there. The service itself never reads them.

CREATE TABLE former_number (
    subject_id uuid     NOT NULL,
    number_no  smallint NOT NULL,
    number     bytea    NOT NULL,  -- sealed: row = subject_id, column = "former_number.number#<number_no>"
    PRIMARY KEY (subject_id, number_no)
);
