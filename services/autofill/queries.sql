-- name: touch_guess_subject
-- Makes the subject's row, or locks it: tries about one subject are counted one call after the other.
-- $1 new subject_id  $2 blind index  $3 index version  $4 now
INSERT INTO guess_subject AS known (subject_id, blind_index, index_version, last_tried_at)
VALUES ($1, $2, $3, $4)
ON CONFLICT (blind_index)
DO UPDATE SET last_tried_at = GREATEST(known.last_tried_at, excluded.last_tried_at)
RETURNING subject_id;

-- name: lock_guess_subjects
-- $1 the subject's blind index under every live key
SELECT subject_id
  FROM guess_subject
 WHERE blind_index = ANY($1)
 ORDER BY subject_id
   FOR UPDATE;

-- name: recent_wrong_tries
-- $1 subject ids  $2 start of the window
SELECT caller, case_number, field_name, tried_at
  FROM wrong_try
 WHERE subject_id = ANY($1)
   AND tried_at > $2;

-- name: insert_wrong_tries
-- $1 subject_id  $2 try ids  $3 caller  $4 case number  $5 field names  $6 now
INSERT INTO wrong_try (subject_id, try_id, caller, case_number, field_name, tried_at)
SELECT $1, made.try_id, $3, $4, made.field_name, $6
  FROM unnest($2::uuid[], $5::text[]) AS made (try_id, field_name);

-- name: delete_old_tries
-- $1 start of the window
DELETE FROM wrong_try
 WHERE (subject_id, try_id) IN (
       SELECT subject_id, try_id FROM wrong_try WHERE tried_at <= $1 LIMIT 1000);

-- name: delete_old_subjects
-- A subject that is tried again meanwhile is kept: its row is locked and then no longer old.
-- $1 start of the window
DELETE FROM guess_subject
 WHERE last_tried_at <= $1;
