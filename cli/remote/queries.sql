-- The statements of `./onestop remote` beside those of the seal service; run as the database's owner.

-- name: is_application
-- $1 client id
SELECT EXISTS (SELECT FROM issuer.client WHERE client_id = $1);
