-- name: keep_plate
-- $1 SHA-256, $2 content
INSERT INTO template_plate (sha256, content)
VALUES ($1, $2)
ON CONFLICT DO NOTHING;

-- name: find_plate
-- $1 SHA-256
SELECT content
  FROM template_plate
 WHERE sha256 = $1;
