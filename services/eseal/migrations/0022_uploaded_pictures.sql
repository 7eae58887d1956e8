-- A picture that the owner of a seal brings, PNG or SVG, as it was uploaded, and how wide it is put in millimetres;
-- null where the picture is drawn here. `seal.picture` holds what is put on documents: deflated PDF operators, or a PNG
-- of one plain form (services/eseal/raster.py).
ALTER TABLE seal_application
    ADD COLUMN picture       bytea CHECK (length(picture) BETWEEN 1 AND 262144),
    ADD COLUMN picture_width double precision CHECK (picture_width BETWEEN 10 AND 60),
    ADD CHECK ((picture IS NULL) = (picture_width IS NULL));
