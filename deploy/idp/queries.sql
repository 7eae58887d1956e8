-- name: find_account
-- $1 login
SELECT account.login, account.subject_id, account.profile, credential.password_hash
  FROM account
  JOIN credential ON credential.id = account.credential_id
 WHERE account.login = $1;

-- name: find_person
-- $1 subject id
SELECT login, subject_id, profile
  FROM account
 WHERE subject_id = $1;

-- name: find_credential
-- $1 credential id
SELECT password_hash
  FROM credential
 WHERE id = $1;

-- name: put_credential
-- $1 credential id, $2 password hash
INSERT INTO credential (id, password_hash)
VALUES ($1, $2)
    ON CONFLICT (id) DO UPDATE SET password_hash = excluded.password_hash, made_at = now();
