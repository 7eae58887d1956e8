"""What is printed on an e-licence of each type. Faces print words where registers keep codes.

A `serial` (流水号) begins with the year and is unique under type and issuer; what a face shows beyond the
town's facts, such as an archive number, follows from it.
"""

from __future__ import annotations

from core.identity import CITIZEN_NUMBER, USCC
from deploy.town import model
from deploy.town.calendar import REFERENCE_DAY, Day, age_on, iso, years_later
from deploy.town.licence_draft import Face, LicenceDraft
from deploy.town.model import Company, CompanyState, Person
from deploy.town.names import ETHNICITY_NAMES
from deploy.town.places import Office, office

SEX = {model.MALE: "男", model.FEMALE: "女"}
_MARITAL = {model.UNMARRIED: "未婚", model.MARRIED: "已婚", model.WIDOWED: "丧偶", model.DIVORCED: "离婚"}
_RELATIONS = {
    model.HEAD: "户主", model.WIFE: "妻", model.HUSBAND: "夫", model.SON: "子", model.DAUGHTER: "女",
    model.FATHER: "父亲", model.MOTHER: "母亲",
}  # fmt: skip
_EDUCATION = {"10": "研究生", "20": "大学本科", "30": "大学专科", "60": "高中", "70": "初中", "80": "小学"}
_CATEGORIES = dict(zip("1234567", ("视力", "听力", "言语", "肢体", "智力", "精神", "多重"), strict=True))
_GRADES = dict(zip("1234", ("一级", "二级", "三级", "四级"), strict=True))


def id_card(person: Person, serial: str, issued_on: Day, address: str = "") -> LicenceDraft:
    """居民身份证: 10 years from 16 on, 20 from 26 on, without end from 46 on (ID Card Law art. 5)."""
    age = age_on(person.born, issued_on)
    until = None if age >= 46 else years_later(issued_on, 20 if age >= 26 else 10)
    police = office("public_security", person.household.village.county_code)
    face = {
        "sex": SEX[person.sex],
        "nation": ETHNICITY_NAMES[person.ethnicity],
        "birth_date": iso(person.born),
        "address": address or person.household.address,
        "issuing_authority": police.name,
    }
    return _draft(
        serial,
        "id_card",
        person,
        number=person.number,
        issuer=police,
        issued_on=issued_on,
        until=until,
        face=face,
    )


def household_register(person: Person, serial: str) -> LicenceDraft:
    """居民户口簿, a person's own page."""
    home = person.household
    police = office("public_security", home.village.county_code)
    face = {
        "household_number": home.number,
        "household_type": "家庭户" if home.kind == "family" else "集体户",
        "head_name": home.head.name,
        "relation": _RELATIONS[person.relation],
        "sex": SEX[person.sex],
        "nation": ETHNICITY_NAMES[person.ethnicity],
        "birth_date": iso(person.born),
        "native_place": f"广东省{home.village.county}",
        "marital_status": _MARITAL[person.marital],
        "education": _EDUCATION.get(person.education, ""),
        "occupation": "粮农" if person.contract is not None else "",
        "address": home.address,
        "register_authority": police.name,
    }
    issued = max(home.registered_on, person.born)
    return _draft(
        serial,
        "household_register",
        person,
        number=home.number,
        issuer=police,
        issued_on=issued,
        until=None,
        face=face,
    )


def marriage_certificate(person: Person, serial: str) -> LicenceDraft:
    """结婚证."""
    marriage = person.marriage
    assert marriage is not None
    spouse = marriage.spouse_of(person.number)
    registrar = office("civil_affairs", person.household.village.county_code)
    on = marriage.registered_on
    face = {
        "registered_on": iso(on),
        "spouse_name": spouse[0],
        "spouse_number": spouse[1],
        "registration_authority": marriage.office,
    }
    return _draft(
        serial,
        "marriage_certificate",
        person,
        number=marriage.number,
        issuer=registrar,
        issued_on=on,
        until=None,
        face=face,
    )


def real_estate(person: Person, serial: str) -> LicenceDraft:
    """不动产权证书."""
    home = person.real_estate
    assert home is not None
    registrar = office("natural_resources", person.household.village.county_code)
    face: dict[str, str | float | bool] = {
        "unit_number": home.unit_number,
        "location": home.location,
        "right_type": "国有建设用地使用权/房屋所有权",
        "right_nature": "出让/市场化商品房",
        "use": "城镇住宅用地/住宅",
        "area": home.area_cm / 100,
        "co_ownership": home.share_kind,
        "co_owner_names": home.co_owner or "",
        "term": f"国有建设用地使用权{iso(home.registered_on)}起70年",
    }
    on = home.registered_on
    return _draft(
        serial,
        "real_estate",
        person,
        number=home.certificate_number,
        issuer=registrar,
        issued_on=on,
        until=None,
        face=face,
    )


def social_security_card(person: Person, serial: str) -> LicenceDraft:
    """社会保障卡."""
    insurance = person.insurance
    assert insurance is not None
    assert insurance.bank_account is not None
    issuer = office("human_resources", "440200")
    face: dict[str, str | float | bool] = {
        "card_number": person.number,
        "bank_name": insurance.bank_name or "",
        "bank_account": insurance.bank_account,
        "bank_active": serial[-1] != "0",
    }
    issued = max(insurance.first_insured_on, REFERENCE_DAY - 4_000)
    return _draft(
        serial,
        "social_security_card",
        person,
        number=person.number,
        issuer=issuer,
        issued_on=issued,
        until=None,
        face=face,
    )


def disability_card(person: Person, serial: str) -> LicenceDraft:
    """残疾人证, ten years."""
    entry = person.disability
    assert entry is not None
    face = {
        "sex": SEX[person.sex],
        "nation": ETHNICITY_NAMES[person.ethnicity],
        "birth_date": iso(person.born),
        "address": person.household.address,
        "category": _CATEGORIES[entry.category],
        "grade": _GRADES[entry.grade],
        "guardian_name": entry.guardian_name or "",
        "guardian_phone": entry.guardian_phone or "",
    }
    issuer = office("disabled_persons", "440200")
    number, since, until = entry.certificate_number, entry.issued_on, entry.valid_until
    return _draft(
        serial,
        "disability_card",
        person,
        number=number,
        issuer=issuer,
        issued_on=since,
        until=until,
        face=face,
    )


def driving_licence(person: Person, serial: str, issued_on: Day, years: int | None) -> LicenceDraft:
    """机动车驾驶证, of so many years' validity, or without end."""
    face = {
        "sex": SEX[person.sex],
        "birth_date": iso(person.born),
        "address": person.household.address,
        "first_issued_on": iso(max(issued_on - 2_190, years_later(person.born, 18))),
        "vehicle_class": ("C1", "C1", "C2", "B2", "C1E")[int(serial[-1]) % 5],
        "archive_number": f"4402{serial[4:12]}",
    }
    until = years_later(issued_on, years) if years is not None else None
    issuer = office("traffic_police", "440200")
    return _draft(
        serial,
        "driving_licence",
        person,
        number=person.number,
        issuer=issuer,
        issued_on=issued_on,
        until=until,
        face=face,
    )


def business_licence(company: Company, serial: str) -> LicenceDraft:
    """营业执照; after a change of its head it may still name the one before."""
    face: dict[str, str | float | bool] = {
        "entity_name": company.name,
        "entity_type": company.kind_name,
        "operator_name": company.former_representative or company.legal_representative,
        "founded_on": iso(company.established_on),
        "business_scope": company.scope,
        "address": company.address,
        "registration_authority": company.office.name,
    }
    if company.capital is not None:
        face["registered_capital"] = company.capital / 1_000_000
    draft = _company(
        serial, "business_licence", company, number=company.uscc, issued_on=company.established_on, face=face
    )
    draft.valid_until = company.term_until
    if company.state is not CompanyState.OPEN:
        revoked = company.state is CompanyState.REVOKED
        open_days = REFERENCE_DAY - company.established_on
        draft.revoked_on = REFERENCE_DAY - int(serial[4:]) % open_days
        draft.revocation_kind = "revoked" if revoked else "cancelled"
        draft.revocation_reason = "连续六个月未经营" if revoked else "经营者申请注销"
    return draft


def food_permit(company: Company, serial: str, issued_on: Day) -> LicenceDraft:
    """食品经营许可证, five years."""
    number = f"JY{'2' if '餐饮' in company.scope else '1'}{company.office.county_code}{serial[4:11]}"
    face = {
        "entity_name": company.name,
        "operator_name": company.legal_representative,
        "address": company.address,
        "premises": company.address,
        "business_form": "餐饮服务经营者" if "餐饮" in company.scope else "食品销售经营者",
        "items": "热食类食品制售" if "餐饮" in company.scope else "预包装食品销售",
        "issuing_authority": company.office.name,
    }
    draft = _company(serial, "food_permit", company, number=number, issued_on=issued_on, face=face)
    draft.valid_until = years_later(issued_on, 5) - 1
    return draft


def _company(
    serial: str, key: str, company: Company, *, number: str, issued_on: Day, face: Face
) -> LicenceDraft:
    return LicenceDraft(
        key, USCC, company.uscc, company.name, number, serial, company.office, issued_on, None, face
    )


def _draft(
    serial: str,
    key: str,
    person: Person,
    *,
    number: str,
    issuer: Office,
    issued_on: Day,
    until: Day | None,
    face: Face,
) -> LicenceDraft:
    return LicenceDraft(
        key, CITIZEN_NUMBER, person.number, person.name, number, serial, issuer, issued_on, until, face
    )
