"""Check digits find typing errors: any one changed character, and most swapped neighbours."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.identifiers import (
    CheckDigitError,
    LicenceIdentifier,
    NumberMalformedError,
    check_citizen_number,
    check_subject,
    check_uscc,
    citizen_check_digit,
    licence_check_character,
    normalise_number,
    organisation_check_digit,
    parse_licence_identifier,
    uscc_check_digit,
)
from core.identity import Subject

PUBLISHED_USCCS = ("91350100M000100Y43", "91370406L24894136J", "11420503087246977F", "91610800064834709T")
USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"

citizen_bodies = st.builds(
    lambda region, day, serial: f"{region:06d}{day:%Y%m%d}{serial:03d}",
    st.integers(110000, 659999),
    st.dates(date(1900, 1, 1), date(2100, 12, 31)),
    st.integers(0, 999),
)


@pytest.mark.parametrize("code", PUBLISHED_USCCS)
def test_published_usccs_verify(code: str) -> None:
    assert check_uscc(code, "company.code") == code
    assert organisation_check_digit(code[8:16]) == code[16]


@pytest.mark.parametrize(
    ("body", "check"),
    [
        ("44010119900101001", "1"),
        ("44010119851231123", "3"),
        ("44010119900101002", "X"),
        ("11010519491231002", "X"),
    ],
)
def test_citizen_check_digit_agrees_with_known_numbers(body: str, check: str) -> None:
    assert citizen_check_digit(body) == check


@given(citizen_bodies, st.integers(0, 16), st.integers(1, 9))
def test_any_one_changed_digit_of_a_citizen_number_is_found(body: str, place: int, shift: int) -> None:
    number = body + citizen_check_digit(body)
    changed = number[:place] + str((int(number[place]) + shift) % 10) + number[place + 1 :]

    with pytest.raises((CheckDigitError, NumberMalformedError)) as refusal:
        check_citizen_number(changed, "holder.code")

    assert refusal.value.faults[0].field == "holder.code"
    assert changed not in str(refusal.value)


@given(st.text(USCC_ALPHABET, min_size=17, max_size=17), st.integers(0, 16), st.integers(1, 30))
def test_any_one_changed_character_of_a_uscc_is_found(body: str, place: int, shift: int) -> None:
    code = body + uscc_check_digit(body)
    changed_to = USCC_ALPHABET[(USCC_ALPHABET.index(code[place]) + shift) % 31]

    with pytest.raises(CheckDigitError):
        check_uscc(code[:place] + changed_to + code[place + 1 :], "company.code")


@given(citizen_bodies)
def test_normalising_accepts_what_people_type_and_is_idempotent(body: str) -> None:
    number = body + citizen_check_digit(body)
    wide = "".join(chr(ord(c) + 0xFEE0) for c in number.lower())
    typed = f" \u200f{wide[:6]} {wide[6:]}\u200e "

    assert check_citizen_number(typed, "holder.code") == number
    assert normalise_number(normalise_number(typed)) == number


def test_a_fifteen_digit_number_is_refused_by_shape() -> None:
    with pytest.raises(NumberMalformedError):
        check_subject(Subject("111", "440101900101001"), "holder")


def test_an_impossible_birth_date_is_named() -> None:
    with pytest.raises(NumberMalformedError) as refusal:
        check_citizen_number("440101199002300011", "holder.code")

    assert refusal.value.faults[0].rule == "gb11643.birth_date"


def test_a_subject_never_shows_its_number() -> None:
    assert "440101" not in repr(Subject("111", "440101199001010011"))


@pytest.mark.parametrize(
    ("body", "check"),
    [
        ("11100000000013338W011.11430000006122244L.20230000403.001", "U"),
        ("11100000MB03271699022.340100.000000016.001", "9"),
        ("11100000000013338W009.11330105002500287C.2025052201.002", "0"),
        ("11100000MB0341032Y002.11420503087246977F.AB12CD34EF56GH78IJ90.001", "M"),
    ],
)
def test_licence_check_character_agrees_with_published_identifiers(body: str, check: str) -> None:
    assert licence_check_character(body.replace(".", "")) == check


@given(st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=32), st.integers(1, 999))
def test_a_made_licence_identifier_parses_to_itself(serial: str, version: int) -> None:
    made = LicenceIdentifier("11100000000013338W011", "11430000006122244L", serial, f"{version:03d}")

    assert parse_licence_identifier(str(made)) == (made, True)


def test_a_differing_licence_check_character_is_told_apart_from_nonsense() -> None:
    parsed = parse_licence_identifier("1.2.156.3005.2.11100000MB03271699022.340100.000000016.001.8")

    assert parsed is not None
    assert parsed[1] is False
    assert parse_licence_identifier("1.2.156.3005.2.nonsense") is None
