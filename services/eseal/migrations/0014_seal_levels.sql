-- The level (PAdES, EN 319 142-1) below which a seal is not put on a PDF: 1 B-B, 2 B-T, 3 B-LT, 4 B-LTA.
ALTER TABLE seal ADD COLUMN least_level smallint NOT NULL DEFAULT 1 CHECK (least_level BETWEEN 1 AND 4);
