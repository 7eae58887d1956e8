-- name: put_sign_in
-- $1 hash of the browser's secret, $2 row id, $3 sealed, $4 until when
INSERT INTO sign_in (browser, row_id, sealed, expires_at)
VALUES ($1, $2, $3, $4);

-- name: take_sign_in
-- $1 hash of the browser's secret, $2 now
DELETE FROM sign_in
 WHERE browser = $1
   AND expires_at > $2
RETURNING row_id, sealed;

-- name: put_session
-- $1 hash of the browser's secret, $2 row id, $3 sealed, $4 until when
INSERT INTO session (browser, row_id, sealed, expires_at)
VALUES ($1, $2, $3, $4);

-- name: find_session
-- $1 hash of the browser's secret, $2 now
SELECT row_id, sealed, expires_at
  FROM session
 WHERE browser = $1
   AND expires_at > $2;

-- name: end_session
-- $1 hash of the browser's secret
DELETE FROM session
 WHERE browser = $1;

-- name: sweep_sign_ins
-- $1 now
DELETE FROM sign_in
 WHERE expires_at <= $1;

-- name: sweep_sessions
-- $1 now
DELETE FROM session
 WHERE expires_at <= $1;
