-- The life of a seal: applied for, made, enabled, suspended, resumed, revoked, destroyed. Operators ask, with logins of
-- their own that are members of onestop_administration or onestop_security; the seal service carries out, after the
-- ledger holds an intent for it; the history is kept and never changed (docs/decisions/0015).

DO $$
DECLARE
    operators text;
BEGIN
    FOREACH operators IN ARRAY ARRAY['onestop_administration', 'onestop_security'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = operators) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', operators);
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), operators);
    END LOOP;
END
$$;

-- 1 in force, 2 suspended, 3 revoked, 5 applied for, 6 made, 7 destroyed (the contract's SealState).
ALTER TABLE seal
    DROP CONSTRAINT seal_standing_check,
    ADD CHECK (standing IN (1, 2, 3, 5, 6, 7)),
    ALTER COLUMN picture DROP NOT NULL,
    ALTER COLUMN picture_width DROP NOT NULL,
    ALTER COLUMN picture_height DROP NOT NULL,
    ADD CHECK (standing IN (3, 5, 7) OR picture IS NOT NULL),
    ADD COLUMN kind text NOT NULL DEFAULT 'official'
        CHECK (kind IN ('official', 'contract', 'invoice', 'legal_representative', 'personal_signature')),
    ADD COLUMN owner_type text NOT NULL DEFAULT 'office' CHECK (owner_type IN ('office', 'company')),
    DROP CONSTRAINT seal_owner_code_name_key;
-- A seal that was revoked can have a successor of the same name.
CREATE UNIQUE INDEX seal_owner_name ON seal (owner_code, name) WHERE standing NOT IN (3, 7);
CREATE INDEX seal_by_owner ON seal (owner_code, name);

-- A destroyed seal's key is gone; its certificate stays, for what it has signed.
ALTER TABLE seal_key
    ALTER COLUMN private_key DROP NOT NULL,
    ADD COLUMN destroyed_at timestamptz;

-- Each step that there is; the same table as services/eseal/lifecycle.py has.
CREATE TABLE seal_step (
    action        text     NOT NULL,
    from_standing smallint NOT NULL,     -- 0: there is no seal yet
    to_standing   smallint NOT NULL,
    roles         text[]   NOT NULL,     -- who may ask for it
    apart_from    text[]   NOT NULL,     -- whoever did one of these on this seal may not
    PRIMARY KEY (action, from_standing)
);
INSERT INTO seal_step (action, from_standing, to_standing, roles, apart_from)
VALUES ('apply',    0, 5, '{administration}',          '{}'),
       ('make',     5, 6, '{administration}',          '{}'),
       ('enable',   6, 1, '{security}',                '{apply,make}'),
       ('suspend',  1, 2, '{administration,security}', '{}'),
       ('resume',   2, 1, '{security}',                '{apply,make}'),
       ('revoke',   5, 3, '{security}',                '{}'),
       ('revoke',   6, 3, '{security}',                '{}'),
       ('revoke',   1, 3, '{security}',                '{}'),
       ('revoke',   2, 3, '{security}',                '{}'),
       ('destroy',  3, 7, '{administration}',          '{revoke}'),
       ('permit',   6, 6, '{security}',                '{apply,make}'),
       ('permit',   1, 1, '{security}',                '{apply,make}'),
       ('permit',   2, 2, '{security}',                '{apply,make}'),
       ('withdraw', 6, 6, '{administration,security}', '{}'),
       ('withdraw', 1, 1, '{administration,security}', '{}'),
       ('withdraw', 2, 2, '{administration,security}', '{}');

-- What was applied for, as it was.
CREATE TABLE seal_application (
    seal_id      uuid PRIMARY KEY,
    owner_code   text NOT NULL CHECK (owner_code ~ '^[0-9A-HJ-NPQRTUW-Y]{18}$'),
    owner_name   text NOT NULL CHECK (length(owner_name) BETWEEN 1 AND 64),
    owner_type   text NOT NULL CHECK (owner_type IN ('office', 'company')),
    kind         text NOT NULL
        CHECK (kind IN ('official', 'contract', 'invoice', 'legal_representative', 'personal_signature')),
    title        text NOT NULL CHECK (length(title) <= 32),       -- such as 行政审批专用章
    name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    shape        text NOT NULL CHECK (shape IN ('round', 'oval', 'square')),
    division     text NOT NULL CHECK (division ~ '^[0-9]{6}$'),   -- begins its anti-forgery code
    algorithm    text NOT NULL,
    valid_from   timestamptz NOT NULL,
    valid_until  timestamptz NOT NULL CHECK (valid_until > valid_from)
);

-- What operators have asked for; one at a time for each seal.
CREATE TABLE seal_request (
    request_id uuid PRIMARY KEY,
    seal_id    uuid        NOT NULL,
    action     text        NOT NULL,
    reason     text        NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    details    jsonb       NOT NULL DEFAULT '{}',
    asked_by   text        NOT NULL,
    asked_at   timestamptz NOT NULL DEFAULT now(),
    closed_at  timestamptz,
    refusal    text CHECK (refusal IS NULL OR closed_at IS NOT NULL)  -- why it was not done
);
CREATE UNIQUE INDEX seal_request_open ON seal_request (seal_id) WHERE closed_at IS NULL;

-- What was done: who, when, why. A row is never changed.
CREATE TABLE seal_act (
    seal_id       uuid        NOT NULL REFERENCES seal (id),
    step          integer     NOT NULL CHECK (step > 0),
    action        text        NOT NULL,
    from_standing smallint    NOT NULL,
    to_standing   smallint    NOT NULL,
    actor         text        NOT NULL,
    reason        text        NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    details       jsonb       NOT NULL DEFAULT '{}',
    asked_at      timestamptz NOT NULL,
    done_at       timestamptz NOT NULL DEFAULT now(),
    request_id    uuid UNIQUE REFERENCES seal_request,  -- null: by whoever set the city up
    intent_id     uuid UNIQUE CHECK ((intent_id IS NULL) = (request_id IS NULL)),
    PRIMARY KEY (seal_id, step),
    FOREIGN KEY (action, from_standing) REFERENCES seal_step
);

CREATE FUNCTION seal_act_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'SEAL_HISTORY_FINAL: what was done with a seal is never changed'
          USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER seal_act_is_final BEFORE UPDATE OR DELETE ON seal_act
   FOR EACH ROW EXECUTE FUNCTION seal_act_is_final();

-- The step that leads on from where the seal stands; raises where there is none, or it is not for this actor.
CREATE FUNCTION seal_step_for(which uuid, what text, who text) RETURNS seal_step LANGUAGE plpgsql AS $$
DECLARE
    stands smallint;
    stride seal_step%ROWTYPE;
    other text;
BEGIN
    SELECT standing INTO stands FROM seal WHERE id = which FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'SEAL_NOT_FOUND: there is no such seal' USING ERRCODE = 'raise_exception';
    END IF;
    IF stands = 5 AND what = 'apply' AND NOT EXISTS (SELECT FROM seal_act WHERE seal_id = which) THEN
        stands := 0;
    END IF;
    SELECT * INTO stride FROM seal_step WHERE action = what AND from_standing = stands;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'SEAL_STEP_NOT_POSSIBLE: % does not follow where the seal stands', what
              USING ERRCODE = 'raise_exception';
    END IF;
    SELECT action INTO other
      FROM seal_act WHERE seal_id = which AND actor = who AND action = ANY (stride.apart_from) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'SEAL_DUTIES_NOT_SEPARATE: whoever asked to % it does not % it', other, what
              USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN stride;
END
$$;

-- Every row of the history is held to the table of steps, whoever writes it; and it alone moves the seal on.
CREATE FUNCTION seal_act_moves() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    stride seal_step%ROWTYPE;
BEGIN
    stride := seal_step_for(NEW.seal_id, NEW.action, NEW.actor);
    NEW.from_standing := stride.from_standing;
    NEW.to_standing := stride.to_standing;
    NEW.step := 1 + (SELECT coalesce(max(step), 0) FROM seal_act WHERE seal_id = NEW.seal_id);
    UPDATE seal SET standing = stride.to_standing WHERE id = NEW.seal_id AND standing <> stride.to_standing;
    RETURN NEW;
END
$$;
CREATE TRIGGER seal_act_moves BEFORE INSERT ON seal_act FOR EACH ROW EXECUTE FUNCTION seal_act_moves();

-- Notes what somebody asks for. The same request again changes nothing.
CREATE FUNCTION ask_for_seal_act(wanted uuid, which uuid, what text, why text, more jsonb, as_role text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    earlier seal_request%ROWTYPE;
BEGIN
    SELECT * INTO earlier FROM seal_request WHERE request_id = wanted;
    IF FOUND THEN
        IF earlier.asked_by = session_user AND (earlier.seal_id, earlier.action) = (which, what)
           AND (earlier.reason, earlier.details) = (why, more) THEN
            RETURN;
        END IF;
        RAISE EXCEPTION 'SEAL_REQUEST_REUSED: something else was asked for under this id'
              USING ERRCODE = 'raise_exception';
    END IF;
    IF NOT EXISTS (SELECT FROM seal_step WHERE action = what AND as_role = ANY (roles)) THEN
        RAISE EXCEPTION 'SEAL_ROLE_WRONG: onestop_% does not %', as_role, what
              USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF what <> 'apply' THEN
        PERFORM seal_step_for(which, what, session_user);
    END IF;
    INSERT INTO seal_request (request_id, seal_id, action, reason, details, asked_by)
    VALUES (wanted, which, what, why, more, session_user);
EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION 'SEAL_BUSY: something else that was asked for this seal is not done yet'
          USING ERRCODE = 'raise_exception';
END
$$;

CREATE FUNCTION ask_as_administration(wanted uuid, which uuid, what text, why text, more jsonb)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM ask_for_seal_act(wanted, which, what, why, more, 'administration');
END
$$;

CREATE FUNCTION ask_as_security(wanted uuid, which uuid, what text, why text, more jsonb)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM ask_for_seal_act(wanted, which, what, why, more, 'security');
END
$$;

-- Applies for a seal, as administration: `facts` has the columns of seal_application.
CREATE FUNCTION apply_for_seal(wanted uuid, which uuid, why text, facts jsonb)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    given seal_application%ROWTYPE;
BEGIN
    given := jsonb_populate_record(NULL::seal_application, facts);
    given.seal_id := which;
    IF EXISTS (SELECT FROM seal WHERE owner_code = given.owner_code AND name = given.name
                                  AND standing NOT IN (3, 7)) THEN
        RAISE EXCEPTION 'SEAL_EXISTS: the owner has a seal of this name that is not revoked'
              USING ERRCODE = 'raise_exception';
    END IF;
    PERFORM ask_for_seal_act(wanted, which, 'apply', why, '{}', 'administration');
    INSERT INTO seal_application SELECT given.* ON CONFLICT (seal_id) DO NOTHING;
END
$$;

-- Does it: the seal's own rows and the row of its history, together. For whoever sets a city up, and for what
-- carries out what was asked for.
CREATE FUNCTION put_seal_act(
    which uuid, what text, who text, why text, more jsonb, asked timestamptz, request uuid, intent uuid
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF what = 'apply' THEN
        PERFORM pg_advisory_xact_lock(440200103);  -- Codes are given by one at a time.
        INSERT INTO seal (id, name, owner_code, owner_name, owner_type, kind, code, standing, valid_from, valid_until)
        SELECT a.seal_id, a.name, a.owner_code, a.owner_name, a.owner_type, a.kind,
               a.division || lpad((SELECT coalesce(max(substring(s.code FROM 7)::integer), 0) + 1
                                     FROM seal s WHERE substring(s.code FROM 1 FOR 6) = a.division)::text, 7, '0'),
               5, a.valid_from, a.valid_until
          FROM seal_application a
         WHERE a.seal_id = which;
    ELSIF what = 'make' THEN
        IF NOT EXISTS (SELECT FROM seal_key WHERE seal_id = which AND is_current) THEN
            RAISE EXCEPTION 'SEAL_KEY_MISSING: a seal is made with its key' USING ERRCODE = 'raise_exception';
        END IF;
    END IF;
    INSERT INTO seal_act (seal_id, step, action, from_standing, to_standing, actor, reason, details, asked_at,
                          request_id, intent_id)
    VALUES (which, 1, what, 0, 0, who, why, more, asked, request, intent);
    IF what = 'destroy' THEN
        UPDATE seal_key SET private_key = NULL, destroyed_at = now() WHERE seal_id = which AND destroyed_at IS NULL;
        DELETE FROM seal_user WHERE seal_id = which;
    END IF;
END
$$;

-- Keeps what making a seal has made: its picture, its key, its certificate.
CREATE FUNCTION keep_made_seal(
    which uuid, content bytea, width double precision, height double precision, key uuid, suite text, sealed bytea,
    cert bytea, structure bytea
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE seal SET picture = content, picture_width = width, picture_height = height
     WHERE id = which AND standing = 5;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'SEAL_STEP_NOT_POSSIBLE: only what was applied for is made' USING ERRCODE = 'raise_exception';
    END IF;
    IF key IS NOT NULL THEN  -- Else its certificate was imported before.
        INSERT INTO seal_key (id, seal_id, algorithm, private_key, certificate, certificate_sha256, structure,
                              is_current)
        VALUES (key, which, suite, sealed, cert, sha256(cert), structure, true);
    END IF;
END
$$;

-- The two that the service may call: for what was asked for and is open, and for nothing else.
CREATE FUNCTION carry_out_seal_act(wanted uuid, intent uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    asked seal_request%ROWTYPE;
BEGIN
    SELECT * INTO asked FROM seal_request WHERE request_id = wanted AND closed_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'SEAL_REQUEST_CLOSED: nobody asks for it any more' USING ERRCODE = 'raise_exception';
    END IF;
    PERFORM put_seal_act(asked.seal_id, asked.action, asked.asked_by, asked.reason, asked.details, asked.asked_at,
                         wanted, intent);
    UPDATE seal_request SET closed_at = now() WHERE request_id = wanted;
END
$$;

CREATE FUNCTION keep_asked_seal(
    wanted uuid, content bytea, width double precision, height double precision, key uuid, suite text, sealed bytea,
    cert bytea, structure bytea
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    which uuid;
BEGIN
    SELECT seal_id INTO which
      FROM seal_request WHERE request_id = wanted AND action = 'make' AND closed_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'SEAL_REQUEST_CLOSED: nobody asks for it any more' USING ERRCODE = 'raise_exception';
    END IF;
    PERFORM keep_made_seal(which, content, width, height, key, suite, sealed, cert, structure);
END
$$;

REVOKE ALL ON FUNCTION
    seal_step_for(uuid, text, text),
    ask_for_seal_act(uuid, uuid, text, text, jsonb, text),
    ask_as_administration(uuid, uuid, text, text, jsonb),
    ask_as_security(uuid, uuid, text, text, jsonb),
    apply_for_seal(uuid, uuid, text, jsonb),
    put_seal_act(uuid, text, text, text, jsonb, timestamptz, uuid, uuid),
    keep_made_seal(uuid, bytea, double precision, double precision, uuid, text, bytea, bytea, bytea),
    carry_out_seal_act(uuid, uuid),
    keep_asked_seal(uuid, bytea, double precision, double precision, uuid, text, bytea, bytea, bytea)
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ask_as_administration(uuid, uuid, text, text, jsonb),
                          apply_for_seal(uuid, uuid, text, jsonb) TO onestop_administration;
GRANT EXECUTE ON FUNCTION ask_as_security(uuid, uuid, text, text, jsonb) TO onestop_security;
GRANT EXECUTE ON FUNCTION carry_out_seal_act(uuid, uuid),
                          keep_asked_seal(uuid, bytea, double precision, double precision, uuid, text, bytea, bytea,
                                          bytea) TO onestop_eseal;

GRANT SELECT ON seal_step, seal_application, seal_request, seal_act TO onestop_eseal;
GRANT UPDATE (closed_at, refusal) ON seal_request TO onestop_eseal;
GRANT SELECT ON seal, seal_user, seal_step, seal_application, seal_request, seal_act
   TO onestop_administration, onestop_security;
GRANT SELECT (id, seal_id, algorithm, certificate, certificate_sha256, is_current, destroyed_at) ON seal_key
   TO onestop_administration, onestop_security;
GRANT SELECT (seal_id, step, action, to_standing, request_id, intent_id, done_at) ON seal_act TO onestop_auditor;
GRANT SELECT (id, standing) ON seal TO onestop_auditor;

-- What these functions name is the part's own, whatever whoever calls them has made.
DO $$
DECLARE
    one regprocedure;
BEGIN
    FOR one IN
        SELECT p.oid::regprocedure
          FROM pg_proc p
         WHERE p.pronamespace = current_schema()::regnamespace
           AND p.proname IN ('seal_act_is_final', 'seal_step_for', 'seal_act_moves', 'ask_for_seal_act',
                             'ask_as_administration', 'ask_as_security', 'apply_for_seal', 'put_seal_act',
                             'keep_made_seal', 'carry_out_seal_act', 'keep_asked_seal')
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', one, current_schema());
    END LOOP;
END
$$;
