-- An entry can be about more people than the one in its opening (0006): whoever asks for the openings about a
-- person means those too. What goes is the whole opening, which closes the entry for all whom it is about.
CREATE OR REPLACE FUNCTION openings_about(subjects bytea[]) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT item_id FROM opening WHERE subject_index = ANY (subjects)
     UNION
    SELECT item_id FROM further_subject WHERE subject_index = ANY (subjects)
$$;

-- Replacing a function forgets its search path (0005 says what that one is for).
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION openings_about(bytea[]) SET search_path = %I, pg_temp', current_schema());
END
$$;
