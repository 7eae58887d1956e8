-- E-licences (电子证照). Two tables hold them, both keyed by the holder's random subject_id, by which they
-- distribute. Two small tables find them: one by whose they are, one by what is printed on them.
--
-- Sealed columns (design, invariant 5) hold what core.vault's seal() answers for row = the row's id below
-- and column = the column's own name:
--
--   table    column              row         plaintext (UTF-8)
--   holder   sealed_code         subject_id  the holder's number, as core.identifiers normalises it
--   licence  sealed_number       licence_id  the number printed on the licence
--   licence  sealed_holder_name  licence_id  the holder's name as printed
--   licence  sealed_person       licence_id  JSON object: face fields of group `person`, by name
--   licence  sealed_place        licence_id  JSON object: face fields of group `place`, by name
--
-- Which face fields a type has, and in which group each is, stands in licence_types.csv. Fields of group
-- `fact` do not identify anybody and stand in the clear column `facts`. Groups are sealed apart, so that
-- reading a nation or a name does not open an address. An empty group is NULL.
-- services.licence.rows makes rows of this form; bulk loads take them from there.

CREATE TABLE holder (
    subject_id  uuid PRIMARY KEY,
    code_type   text  NOT NULL CHECK (code_type ~ '^[0-9]{3}$'),  -- GB/T 36903 appendix A
    sealed_code bytea NOT NULL
);

-- Finds a holder by number. While the index key is being changed a holder has one row per version.
CREATE TABLE holder_index (
    blind_index   bytea PRIMARY KEY,
    index_version smallint NOT NULL,
    subject_id    uuid     NOT NULL
);

-- One row per version of a licence; a re-issue supersedes the version before it, which stays.
CREATE TABLE licence (
    subject_id         uuid NOT NULL,
    licence_id         uuid NOT NULL,  -- random; names this version of the licence
    type_code          text NOT NULL CHECK (type_code ~ '^[0-9A-Z]{21}$'),
    identifier         text NOT NULL,  -- 电子证照标识, GB/T 36904, as issued; its serial is random
    version            smallint NOT NULL CHECK (version BETWEEN 1 AND 999),
    superseded_on      date,           -- the day a newer version replaced this one
    issuer_code        text NOT NULL,  -- USCC of the issuing body; 6-digit region codes occur
    issuer_name        text NOT NULL,  -- as it was called when it issued the licence
    issued_on          date NOT NULL,
    valid_from         date NOT NULL,
    valid_until        date,           -- last day of validity; NULL is 长期, without end
    suspended_from     date,
    suspended_until    date,           -- last day of suspension; NULL is until further notice
    suspension_reason  text,           -- a ground in law, never a person's data
    revoked_on         date,
    revocation_kind    text CHECK (revocation_kind IN ('revoked', 'annulled', 'cancelled')),  -- 吊销 撤销 注销
    revocation_reason  text,           -- a ground in law, never a person's data
    facts              jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(facts) = 'object'),
    sealed_number      bytea NOT NULL,
    sealed_holder_name bytea NOT NULL,
    sealed_person      bytea,
    sealed_place       bytea,
    recorded_at        timestamptz NOT NULL DEFAULT now(),  -- when the register last vouched for the row
    PRIMARY KEY (subject_id, licence_id),
    CHECK (valid_until IS NULL OR valid_until >= valid_from),
    CHECK (suspended_from IS NOT NULL OR (suspended_until IS NULL AND suspension_reason IS NULL)),
    CHECK (suspended_until IS NULL OR suspended_until >= suspended_from),
    CHECK ((revoked_on IS NULL) = (revocation_kind IS NULL)),
    CHECK (revoked_on IS NOT NULL OR revocation_reason IS NULL)
);

-- Finds a licence by its identifier, which is unique in the whole country.
CREATE TABLE licence_index (
    identifier text PRIMARY KEY,
    subject_id uuid NOT NULL,
    licence_id uuid NOT NULL
);

-- The service reads licences; issuing and revoking come with their own grants.
GRANT SELECT ON holder, holder_index, licence, licence_index TO onestop_licence;
