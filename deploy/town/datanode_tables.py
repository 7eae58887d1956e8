"""The data node's tables that the town fills, with their columns in the order in which rows give them."""

from __future__ import annotations

from deploy.town.copying import Table

SCHEMA = "datanode"

_COLUMNS = {
    "subject_index": "blind_index index_version subject_id",
    "former_number": "subject_id number_no number",
    "population_person": (
        "citizen_number name sex ethnicity birth_date marital_status education "
        "registered_address registered_division current_address current_division phone "
        "life_state"
    ),
    "population_household": (
        "household_number household_kind relation_to_head head_name head_citizen_number address "
        "division registered_on moved_in_reason moved_from_division member_count members"
    ),
    "company_register": (
        "uscc name entity_kind entity_kind_name legal_representative address division "
        "registered_capital_cents business_scope industry established_on term_from term_until "
        "registration_office registration_office_code state"
    ),
    "company_officer": "position name citizen_number phone appointed_on",
    "marriage_registration": (
        "certificate_number spouse_name spouse_citizen_number registered_on dissolved_on office state"
    ),
    "social_insurance": (
        "insurance_number scheme state first_insured_on paid_months contribution_base_cents "
        "employer_name employer_uscc unemployment_insured last_paid_month bank_name bank_account"
    ),
    "housing_real_estate": (
        "unit_number certificate_number location division area_m2 use_code use_name right_kind "
        "share_kind registered_on mortgaged sealed_up state"
    ),
    "disability_register": (
        "certificate_number category grade guardian_name guardian_phone issued_on valid_until state"
    ),
    "civil_aid_allowance": (
        "kind granted_on ended_on monthly_amount_cents covered_persons bank_name bank_account state"
    ),
    "land_contract": (
        "contract_code certificate_code contractor_code issuer_code issuer_name contractor_name "
        "contractor_address acquired_by signed_on term_from term_until total_area_mu "
        "total_area_m2 parcel_count member_count members transferred_out_mu transfer_kind "
        "transfer_until taken_in_mu mortgaged disputed state"
    ),
    "land_parcel": (
        "parcel_code contract_code name contract_area_mu contract_area_m2 measured_area_mu "
        "measured_area_m2 land_use_code purpose category ownership grade basic_farmland east "
        "south west north"
    ),
    "subsidy_arable": (
        "year division contract_area_mu taken_in_mu transferred_out_mu excluded_area_mu area_mu "
        "rate_cents_per_mu amount_cents state paid_on bank_name bank_account"
    ),
    "death_registration": "died_on registered_on source certificate_number",
}
_NO_RECORDS = {"subject_index", "former_number"}
_KEY = ("subject_id", "record_no", "version", "as_of")


def _table(name: str, columns: str) -> Table:
    own = tuple(columns.split())
    return Table(SCHEMA, name, own if name in _NO_RECORDS else _KEY + own)


TABLES = {name: _table(name, columns) for name, columns in _COLUMNS.items()}
"""Tables by name."""
