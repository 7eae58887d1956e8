"""Use codes open to exactly what was issued, and not at all once a character differs."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.keyring import Keyring
from core.vault import Vault
from services.licence.domain import MOST_LICENCES_PER_ANSWER, CaseBinding, UseCodeInvalidError, UseGrant
from services.licence.usecode import SealedUseCodes

LONGEST_CODE = 4096  # GetLicenceQuery.use_code in the contract.
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def a_vault() -> Vault:
    return Vault(Keyring.generate(), {1: bytes(range(32))})


CODES = SealedUseCodes(a_vault())
GRANT = UseGrant(
    CaseBinding("approval-platform", "11440299MB2L000118", "clerk7", "sole-trader-registration", "A-1"),
    "个体工商户设立",
    UUID(int=1),
    (UUID(int=2), UUID(int=3)),
    datetime(2026, 3, 2, 2, 10, tzinfo=UTC),
)
CODE = CODES.issue(GRANT)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=64)
grants = st.builds(
    UseGrant,
    st.builds(CaseBinding, text, text, text, text, text),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=200),
    st.uuids(),
    st.lists(st.uuids(), max_size=MOST_LICENCES_PER_ANSWER).map(tuple),
    st.integers(946_684_800, 4_070_908_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
)


@given(grants)
def test_a_code_opens_to_what_was_issued(grant: UseGrant) -> None:
    assert CODES.open(CODES.issue(grant)) == grant


def test_the_largest_grant_fits_the_contract() -> None:
    longest = UseGrant(
        CaseBinding("c" * 64, "O" * 18, "o" * 64, "m" * 64, "n" * 64),
        "由" * 200,
        UUID(int=1),
        tuple(UUID(int=n) for n in range(MOST_LICENCES_PER_ANSWER)),
        GRANT.expires_at,
    )

    assert len(CODES.issue(longest)) <= LONGEST_CODE


def test_two_codes_of_one_grant_differ() -> None:
    assert CODES.issue(GRANT) != CODE


@given(position=st.integers(0, len(CODE) - 1), other=st.sampled_from(ALPHABET))
def test_a_code_with_any_character_altered_is_refused(position: int, other: str) -> None:
    altered = CODE[:position] + other + CODE[position + 1 :]

    if altered == CODE:
        assert CODES.open(altered) == GRANT
        return
    with pytest.raises(UseCodeInvalidError):
        CODES.open(altered)


@pytest.mark.parametrize(
    "text", ["", "A", "A" * 16, "A" * 4096, "用证码用证码用证码用证码", CODE + "A", CODE[:-4]]
)
def test_what_was_never_a_code_is_refused(text: str) -> None:
    with pytest.raises(UseCodeInvalidError):
        CODES.open(text)


@pytest.mark.parametrize("spelling", [CODE + "=", CODE + "\n", " " + CODE, CODE[:8] + "\n" + CODE[8:]])
def test_another_spelling_of_the_same_bytes_is_refused(spelling: str) -> None:
    with pytest.raises(UseCodeInvalidError):
        CODES.open(spelling)


def test_a_code_of_another_city_is_refused() -> None:
    stranger = SealedUseCodes(Vault(Keyring.generate(), {1: bytes(32)}))

    with pytest.raises(UseCodeInvalidError):
        CODES.open(stranger.issue(GRANT))


def test_a_value_sealed_for_a_column_is_no_use_code() -> None:
    sealed = a_vault().seal(b"\x00\x02[]", row=UUID(int=5), column="sealed_number")

    with pytest.raises(UseCodeInvalidError):
        CODES.open(base64.urlsafe_b64encode(sealed).decode().rstrip("="))


def test_every_refusal_reads_the_same() -> None:
    messages = set()
    for text in ("", "A" * 40, CODE[:-1] + ("A" if CODE[-1] != "A" else "B")):
        with pytest.raises(UseCodeInvalidError) as refused:
            CODES.open(text)
        messages.add(str(refused.value))

    assert len(messages) == 1
