-- Every statement the data node runs. A resource is read by the statement `read_` and its code with _ for dots:
-- $1 subject ids; the columns are subject_id, record_no, version, as_of and one for each catalogued field.

-- name: catalogue_resources
SELECT code, name, provider_name, provider_code, sharing_class, update_cycle, updated_at
  FROM resource
 ORDER BY code;

-- name: catalogue_fields
SELECT resource, name, label, data_type, unit, identifying
  FROM resource_field
 ORDER BY resource, position;

-- name: catalogue_entitlements
SELECT basis, item, resource, field
  FROM entitlement;

-- name: find_subjects
-- $1 blind indexes
SELECT blind_index, subject_id
  FROM subject_index
 WHERE blind_index = ANY($1::bytea[]);

-- name: read_population_person
-- $1 subject ids
SELECT subject_id, record_no, version, as_of, citizen_number, name, sex, ethnicity, birth_date,
       marital_status, education, registered_address, registered_division, current_address,
       current_division, phone, life_state
  FROM population_person
 WHERE subject_id = ANY($1::uuid[])
 ORDER BY subject_id, record_no;

-- name: read_population_household
-- $1 subject ids
SELECT subject_id, record_no, version, as_of, household_number, household_kind, relation_to_head,
       head_name, head_citizen_number, address, division, registered_on, moved_in_reason,
       moved_from_division, member_count, members
  FROM population_household
 WHERE subject_id = ANY($1::uuid[])
 ORDER BY subject_id, record_no;

-- name: read_company_register
-- $1 subject ids
SELECT subject_id, record_no, version, as_of, uscc, name, entity_kind, entity_kind_name,
       legal_representative, address, division, registered_capital_cents, business_scope, industry,
       established_on, term_from, term_until, registration_office, registration_office_code, state
  FROM company_register
 WHERE subject_id = ANY($1::uuid[])
 ORDER BY subject_id, record_no;

-- name: read_company_officer
-- $1 subject ids
SELECT subject_id, record_no, version, as_of, position, name, citizen_number, phone, appointed_on
  FROM company_officer
 WHERE subject_id = ANY($1::uuid[])
 ORDER BY subject_id, record_no;

-- name: read_marriage_registration
-- $1 subject ids
SELECT subject_id, record_no, version, as_of, certificate_number, spouse_name, spouse_citizen_number,
       registered_on, dissolved_on, office, state
  FROM marriage_registration
 WHERE subject_id = ANY($1::uuid[])
 ORDER BY subject_id, record_no;

-- name: read_social_insurance
-- $1 subject ids
SELECT subject_id, record_no, version, as_of, insurance_number, scheme, state, first_insured_on,
       paid_months, contribution_base_cents, employer_name, employer_uscc, unemployment_insured,
       last_paid_month, bank_name, bank_account
  FROM social_insurance
 WHERE subject_id = ANY($1::uuid[])
 ORDER BY subject_id, record_no;

-- name: read_housing_real_estate
-- $1 subject ids
SELECT subject_id, record_no, version, as_of, unit_number, certificate_number, location, division, area_m2,
       use_code, use_name, right_kind, share_kind, registered_on, mortgaged, sealed_up, state
  FROM housing_real_estate
 WHERE subject_id = ANY($1::uuid[])
 ORDER BY subject_id, record_no;

-- name: read_disability_register
-- $1 subject ids
SELECT subject_id, record_no, version, as_of, certificate_number, category, grade, guardian_name,
       guardian_phone, issued_on, valid_until, state
  FROM disability_register
 WHERE subject_id = ANY($1::uuid[])
 ORDER BY subject_id, record_no;

-- name: read_civil_aid_allowance
-- $1 subject ids
SELECT subject_id, record_no, version, as_of, kind, granted_on, ended_on, monthly_amount_cents,
       covered_persons, bank_name, bank_account, state
  FROM civil_aid_allowance
 WHERE subject_id = ANY($1::uuid[])
 ORDER BY subject_id, record_no;

-- name: read_land_contract
-- $1 subject ids
SELECT subject_id, record_no, version, as_of, contract_code, certificate_code, contractor_code,
       issuer_code, issuer_name, contractor_name, contractor_address, acquired_by, signed_on, term_from,
       term_until, total_area_mu, total_area_m2, parcel_count, member_count, members, transferred_out_mu,
       transfer_kind, transfer_until, taken_in_mu, mortgaged, disputed, state
  FROM land_contract
 WHERE subject_id = ANY($1::uuid[])
 ORDER BY subject_id, record_no;

-- name: read_land_parcel
-- $1 subject ids
SELECT subject_id, record_no, version, as_of, parcel_code, contract_code, name, contract_area_mu,
       contract_area_m2, measured_area_mu, measured_area_m2, land_use_code, purpose, category, ownership,
       grade, basic_farmland, east, south, west, north
  FROM land_parcel
 WHERE subject_id = ANY($1::uuid[])
 ORDER BY subject_id, record_no;

-- name: read_subsidy_arable
-- $1 subject ids
SELECT subject_id, record_no, version, as_of, year, division, contract_area_mu, taken_in_mu,
       transferred_out_mu, excluded_area_mu, area_mu, rate_cents_per_mu, amount_cents, state, paid_on,
       bank_name, bank_account
  FROM subsidy_arable
 WHERE subject_id = ANY($1::uuid[])
 ORDER BY subject_id, record_no;

-- name: read_death_registration
-- $1 subject ids
SELECT subject_id, record_no, version, as_of, died_on, registered_on, source, certificate_number
  FROM death_registration
 WHERE subject_id = ANY($1::uuid[])
 ORDER BY subject_id, record_no;
