-- What the documents of a template and a seal share. A reply that is kept holds only what is a document's own; the
-- rest is found here by its digest, as long as anybody may ask for the reply again. Nobody's data stand in it.

CREATE TABLE template_plate (
    sha256  bytea       PRIMARY KEY,
    content bytea       NOT NULL CHECK (sha256 = sha256(content)),
    kept_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT ON template_plate TO onestop_eseal;
