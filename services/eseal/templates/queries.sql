-- name: keep_plate
-- $1 SHA-256, $2 content
INSERT INTO template_plate (sha256, content)
VALUES ($1, $2)
    ON CONFLICT (sha256) DO UPDATE
   SET used_at = now();

-- name: find_plate
-- $1 SHA-256
SELECT content
  FROM template_plate
 WHERE sha256 = $1;

-- name: delete_unused_plates
-- $1 how long nobody has used them
DELETE FROM template_plate
 WHERE used_at < now() - $1::interval;
