-- When a plate was last known to be in use: one that no answer can hold any more, and no document was made with for two
-- days, is deleted. Whoever makes a document with it later writes it again, for its content makes its digest.

ALTER TABLE template_plate ADD COLUMN used_at timestamptz NOT NULL DEFAULT now();
GRANT UPDATE (used_at), DELETE ON template_plate TO onestop_eseal;
