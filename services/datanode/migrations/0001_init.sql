-- The data node's registers and its catalogue.
--
-- Every register table is keyed by (subject_id, record_no): a random id that means nothing elsewhere, and a
-- serial among the subject's records of that resource. `version` counts the changes of a record and `as_of`
-- is the moment for which the source vouches for it. A field that identifies is a `bytea` column of the
-- field's own name, sealed by itself (core/vault: row = subject_id, column = "<resource>.<field>#<record_no>"),
-- so that what is not asked for is never opened. Codes, dates, amounts and states are in the clear.

CREATE TABLE subject_index (
    blind_index   bytea    NOT NULL,
    index_version smallint NOT NULL,
    subject_id    uuid     NOT NULL,
    PRIMARY KEY (blind_index)
);
COMMENT ON TABLE subject_index IS 'Finds a subject by the keyed hash of its number; a person whose number was corrected has two';
CREATE INDEX subject_index_by_subject ON subject_index (subject_id);

CREATE TABLE population_person (
    subject_id          uuid        NOT NULL,
    record_no           smallint    NOT NULL,
    version             integer     NOT NULL,
    as_of               timestamptz NOT NULL,
    citizen_number      bytea       NOT NULL,
    name                bytea       NOT NULL,
    sex                 text        NOT NULL,
    ethnicity           text        NOT NULL,
    birth_date          date        NOT NULL,
    marital_status      text        NOT NULL,
    education           text        NOT NULL,
    registered_address  bytea       NOT NULL,
    registered_division text        NOT NULL,
    current_address     bytea,
    current_division    text,
    phone               bytea,
    life_state          text        NOT NULL,
    PRIMARY KEY (subject_id, record_no)
);

CREATE TABLE population_household (
    subject_id          uuid        NOT NULL,
    record_no           smallint    NOT NULL,
    version             integer     NOT NULL,
    as_of               timestamptz NOT NULL,
    household_number    bytea       NOT NULL,
    household_kind      text        NOT NULL,
    relation_to_head    text        NOT NULL,
    head_name           bytea       NOT NULL,
    head_citizen_number bytea       NOT NULL,
    address             bytea       NOT NULL,
    division            text        NOT NULL,
    registered_on       date        NOT NULL,
    moved_in_reason     text,
    moved_from_division text,
    member_count        smallint    NOT NULL,
    members             bytea       NOT NULL,
    PRIMARY KEY (subject_id, record_no)
);

CREATE TABLE company_register (
    subject_id                uuid        NOT NULL,
    record_no                 smallint    NOT NULL,
    version                   integer     NOT NULL,
    as_of                     timestamptz NOT NULL,
    uscc                      bytea       NOT NULL,
    name                      bytea       NOT NULL,
    entity_kind               text        NOT NULL,
    entity_kind_name          text        NOT NULL,
    legal_representative      bytea       NOT NULL,
    address                   bytea       NOT NULL,
    division                  text        NOT NULL,
    registered_capital_cents  bigint,
    business_scope            text        NOT NULL,
    industry                  text        NOT NULL,
    established_on            date        NOT NULL,
    term_from                 date        NOT NULL,
    term_until                date,
    registration_office       text        NOT NULL,
    registration_office_code  text        NOT NULL,
    state                     text        NOT NULL,
    PRIMARY KEY (subject_id, record_no)
);

CREATE TABLE company_officer (
    subject_id     uuid        NOT NULL,
    record_no      smallint    NOT NULL,
    version        integer     NOT NULL,
    as_of          timestamptz NOT NULL,
    position       text        NOT NULL,
    name           bytea       NOT NULL,
    citizen_number bytea       NOT NULL,
    phone          bytea,
    appointed_on   date        NOT NULL,
    PRIMARY KEY (subject_id, record_no)
);

CREATE TABLE marriage_registration (
    subject_id            uuid        NOT NULL,
    record_no             smallint    NOT NULL,
    version               integer     NOT NULL,
    as_of                 timestamptz NOT NULL,
    certificate_number    bytea       NOT NULL,
    spouse_name           bytea       NOT NULL,
    spouse_citizen_number bytea       NOT NULL,
    registered_on         date        NOT NULL,
    dissolved_on          date,
    office                text        NOT NULL,
    state                 text        NOT NULL,
    PRIMARY KEY (subject_id, record_no)
);

CREATE TABLE social_insurance (
    subject_id              uuid        NOT NULL,
    record_no               smallint    NOT NULL,
    version                 integer     NOT NULL,
    as_of                   timestamptz NOT NULL,
    insurance_number        bytea       NOT NULL,
    scheme                  text        NOT NULL,
    state                   text        NOT NULL,
    first_insured_on        date        NOT NULL,
    paid_months             integer     NOT NULL,
    contribution_base_cents bigint,
    employer_name           bytea,
    employer_uscc           bytea,
    unemployment_insured    boolean     NOT NULL,
    last_paid_month         date,
    bank_name               text,
    bank_account            bytea,
    PRIMARY KEY (subject_id, record_no)
);

CREATE TABLE housing_real_estate (
    subject_id         uuid          NOT NULL,
    record_no          smallint      NOT NULL,
    version            integer       NOT NULL,
    as_of              timestamptz   NOT NULL,
    unit_number        bytea         NOT NULL,
    certificate_number bytea         NOT NULL,
    location           bytea         NOT NULL,
    division           text          NOT NULL,
    area_m2            numeric(10,2) NOT NULL,
    use_code           text          NOT NULL,
    use_name           text          NOT NULL,
    right_kind         text          NOT NULL,
    share_kind         text          NOT NULL,
    registered_on      date          NOT NULL,
    mortgaged          boolean       NOT NULL,
    sealed_up          boolean       NOT NULL,
    state              text          NOT NULL,
    PRIMARY KEY (subject_id, record_no)
);

CREATE TABLE disability_register (
    subject_id         uuid        NOT NULL,
    record_no          smallint    NOT NULL,
    version            integer     NOT NULL,
    as_of              timestamptz NOT NULL,
    certificate_number bytea       NOT NULL,
    category           text        NOT NULL,
    grade              text        NOT NULL,
    guardian_name      bytea,
    guardian_phone     bytea,
    issued_on          date        NOT NULL,
    valid_until        date        NOT NULL,
    state              text        NOT NULL,
    PRIMARY KEY (subject_id, record_no)
);

CREATE TABLE civil_aid_allowance (
    subject_id           uuid        NOT NULL,
    record_no            smallint    NOT NULL,
    version              integer     NOT NULL,
    as_of                timestamptz NOT NULL,
    kind                 text        NOT NULL,
    granted_on           date        NOT NULL,
    ended_on             date,
    monthly_amount_cents bigint      NOT NULL,
    covered_persons      smallint    NOT NULL,
    bank_name            text,
    bank_account         bytea,
    state                text        NOT NULL,
    PRIMARY KEY (subject_id, record_no)
);

CREATE TABLE land_contract (
    subject_id         uuid          NOT NULL,
    record_no          smallint      NOT NULL,
    version            integer       NOT NULL,
    as_of              timestamptz   NOT NULL,
    contract_code      text          NOT NULL,
    certificate_code   text          NOT NULL,
    contractor_code    text          NOT NULL,
    issuer_code        text          NOT NULL,
    issuer_name        text          NOT NULL,
    contractor_name    bytea         NOT NULL,
    contractor_address bytea         NOT NULL,
    acquired_by        text          NOT NULL,
    signed_on          date          NOT NULL,
    term_from          date          NOT NULL,
    term_until         date          NOT NULL,
    total_area_mu      numeric(10,2) NOT NULL,
    total_area_m2      numeric(12,2) NOT NULL,
    parcel_count       smallint      NOT NULL,
    member_count       smallint      NOT NULL,
    members            bytea         NOT NULL,
    transferred_out_mu numeric(10,2) NOT NULL,
    transfer_kind      text,
    transfer_until     date,
    taken_in_mu        numeric(10,2) NOT NULL,
    mortgaged          boolean,
    disputed           boolean,
    state              text          NOT NULL,
    PRIMARY KEY (subject_id, record_no)
);

CREATE TABLE land_parcel (
    subject_id       uuid          NOT NULL,
    record_no        smallint      NOT NULL,
    version          integer       NOT NULL,
    as_of            timestamptz   NOT NULL,
    parcel_code      text          NOT NULL,
    contract_code    text          NOT NULL,
    name             text          NOT NULL,
    contract_area_mu numeric(10,2) NOT NULL,
    contract_area_m2 numeric(12,2) NOT NULL,
    measured_area_mu numeric(10,2) NOT NULL,
    measured_area_m2 numeric(12,2) NOT NULL,
    land_use_code    text          NOT NULL,
    purpose          text          NOT NULL,
    category         text          NOT NULL,
    ownership        text          NOT NULL,
    grade            text          NOT NULL,
    basic_farmland   boolean       NOT NULL,
    east             text,
    south            text,
    west             text,
    north            text,
    PRIMARY KEY (subject_id, record_no)
);

CREATE TABLE subsidy_arable (
    subject_id         uuid          NOT NULL,
    record_no          smallint      NOT NULL,
    version            integer       NOT NULL,
    as_of              timestamptz   NOT NULL,
    year               smallint      NOT NULL,
    division           text          NOT NULL,
    contract_area_mu   numeric(10,2) NOT NULL,
    taken_in_mu        numeric(10,2) NOT NULL,
    transferred_out_mu numeric(10,2) NOT NULL,
    excluded_area_mu   numeric(10,2) NOT NULL,
    area_mu            numeric(10,2) NOT NULL,
    rate_cents_per_mu  integer       NOT NULL,
    amount_cents       bigint        NOT NULL,
    state              text          NOT NULL,
    paid_on            date,
    bank_name          text,
    bank_account       bytea,
    PRIMARY KEY (subject_id, record_no)
);

CREATE TABLE death_registration (
    subject_id         uuid        NOT NULL,
    record_no          smallint    NOT NULL,
    version            integer     NOT NULL,
    as_of              timestamptz NOT NULL,
    died_on            date        NOT NULL,
    registered_on      date        NOT NULL,
    source             text        NOT NULL,
    certificate_number bytea       NOT NULL,
    PRIMARY KEY (subject_id, record_no)
);

-- The catalogue: what there is, who provides it, and to whom each field may go.

CREATE TABLE resource (
    code          text        NOT NULL PRIMARY KEY,
    name          text        NOT NULL,
    provider_name text        NOT NULL,
    provider_code text        NOT NULL,
    sharing_class text        NOT NULL CHECK (sharing_class IN ('unconditional', 'conditional', 'not_shared')),
    update_cycle  text        NOT NULL CHECK (update_cycle IN ('realtime', 'daily', 'weekly', 'monthly', 'yearly')),
    updated_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE resource_field (
    resource    text     NOT NULL REFERENCES resource (code),
    name        text     NOT NULL,
    position    smallint NOT NULL,
    label       text     NOT NULL,
    data_type   text     NOT NULL CHECK (data_type IN ('string', 'number', 'integer', 'boolean', 'array', 'object')),
    unit        text     NOT NULL,
    identifying boolean  NOT NULL,
    PRIMARY KEY (resource, name),
    UNIQUE (resource, position)
);

-- Which basis may have which field of a conditionally shared resource. `item` is the matter code of a matter,
-- and the consented kind of data of a consent.
CREATE TABLE entitlement (
    basis    text NOT NULL CHECK (basis IN ('matter', 'consent')),
    item     text NOT NULL,
    resource text NOT NULL,
    field    text NOT NULL,
    PRIMARY KEY (basis, item, resource, field),
    FOREIGN KEY (resource, field) REFERENCES resource_field (resource, name)
);

-- The service only ever reads: registers are brought up to date by their owners' exchange, not by answers.
GRANT SELECT ON
    subject_index, population_person, population_household, company_register, company_officer,
    marriage_registration, social_insurance, housing_real_estate, disability_register, civil_aid_allowance,
    land_contract, land_parcel, subsidy_arable, death_registration, resource, resource_field, entitlement
TO onestop_datanode;
