-- The statements of the licence service. Each answers a whole batch; what the batch asks for comes in arrays.

-- name: current_licences
-- Licences by holder, without those a newer version has replaced; nothing sealed.
-- $1 blind indexes of holders, $2 licence type codes
-- MATERIALIZED: holders are found first, wherever their rows lie, then their licences by distribution key.
WITH asked AS MATERIALIZED (
    SELECT blind_index, subject_id
      FROM holder_index
     WHERE blind_index = ANY($1::bytea[])
)
SELECT asked.blind_index, licence.subject_id, licence.licence_id, licence.type_code, licence.identifier,
       licence.version, licence.superseded_on, licence.issuer_code, licence.issuer_name, licence.issued_on,
       licence.valid_from, licence.valid_until, licence.suspended_from, licence.suspended_until,
       licence.revoked_on, licence.recorded_at
  FROM asked
  JOIN licence USING (subject_id)
 WHERE licence.type_code = ANY($2::text[])
   AND licence.superseded_on IS NULL
 ORDER BY licence.type_code, licence.valid_from DESC, licence.licence_id;

-- name: locate_licences
-- $1 licence identifiers
SELECT identifier, subject_id, licence_id
  FROM licence_index
 WHERE identifier = ANY($1::text[]);

-- name: open_licences
-- Licences with their sealed contents and their holders.
-- $1 subject ids, $2 licence ids; the n-th of each belong together
SELECT licence.subject_id, licence.licence_id, licence.type_code, licence.identifier, licence.version,
       licence.superseded_on, licence.issuer_code, licence.issuer_name, licence.issued_on, licence.valid_from,
       licence.valid_until, licence.suspended_from, licence.suspended_until, licence.revoked_on,
       licence.recorded_at, licence.facts, licence.sealed_number, licence.sealed_holder_name,
       licence.sealed_person, licence.sealed_place, holder.code_type, holder.sealed_code
  FROM unnest($1::uuid[], $2::uuid[]) AS asked (subject_id, licence_id)
  JOIN licence USING (subject_id, licence_id)
  JOIN holder USING (subject_id);
