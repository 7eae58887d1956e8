-- name: find_client
-- $1 client id
SELECT client_id, certificate_name, scopes, audience, state
  FROM client
 WHERE client_id = $1;
