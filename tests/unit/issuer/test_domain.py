"""Which scopes a registration gives, and what its tokens say."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.identity import CITIZEN_NUMBER, Subject
from services.issuer.domain import (
    Citizen,
    CitizenTokenInvalidError,
    Client,
    ClientState,
    InvalidClientError,
    InvalidScopeError,
    UnauthorizedClientError,
    citizen_token,
    client_not_proved,
    machine_token,
)

NOW = datetime(2026, 11, 23, 8, 0, 0, 654321, tzinfo=UTC)
TOKEN_ID = uuid.UUID("6f1d0a52-7d0c-4a51-9b62-0d5f8a7a2a01")
BANK = Client(
    client_id="rural-bank",
    certificate_name="rural-bank",
    scopes=frozenset({"consent.request", "credit.fetch", "ledger.read"}),
    audience="onestop",
    state=ClientState.ACTIVE,
)
FARMER = Subject(CITIZEN_NUMBER, "440299199001011235")


def test_no_scope_asked_gives_every_registered_scope() -> None:
    assert BANK.grant("rural-bank", []) == ("consent.request", "credit.fetch", "ledger.read")


@given(st.sets(st.sampled_from(sorted(BANK.scopes)), min_size=1))
def test_a_subset_is_given_as_asked(wanted: set[str]) -> None:
    assert set(BANK.grant("rural-bank", wanted)) == wanted


@given(st.sets(st.sampled_from(["seal.use", "citizen", "licence.read", "credit.fetch "]), min_size=1))
def test_an_unregistered_scope_is_refused_even_among_registered_ones(extra: set[str]) -> None:
    with pytest.raises(InvalidScopeError):
        BANK.grant("rural-bank", {"credit.fetch", *extra})


def test_another_certificate_is_refused_like_an_unknown_client() -> None:
    with pytest.raises(InvalidClientError) as refusal:
        BANK.grant("approval-platform", [])

    assert refusal.value.message == client_not_proved().message


def test_a_disabled_client_is_refused_only_after_its_certificate_fits() -> None:
    disabled = replace(BANK, state=ClientState.DISABLED)

    with pytest.raises(UnauthorizedClientError):
        disabled.grant("rural-bank", [])
    with pytest.raises(InvalidClientError):
        disabled.grant("approval-platform", [])


def test_a_machine_token_is_bound_to_the_certificate_and_ends_within_five_minutes() -> None:
    token = machine_token(
        BANK,
        ("credit.fetch", "ledger.read"),
        certificate_thumbprint="A" * 43,
        now=NOW,
        life=timedelta(hours=1),
        token_id=TOKEN_ID,
    )

    issued_at = int(NOW.timestamp())
    assert token.claims == {
        "iss": "onestop-issuer",
        "sub": "rural-bank",
        "aud": "onestop",
        "client_id": "rural-bank",
        "iat": issued_at,
        "exp": issued_at + 300,
        "jti": str(TOKEN_ID),
        "scope": "credit.fetch ledger.read",
        "cnf": {"x5t#S256": "A" * 43},
    }
    assert token.expires_at.timestamp() == issued_at + 300


def _citizen(until: datetime) -> Citizen:
    return Citizen(FARMER, "张三", until)


def test_a_citizen_token_never_outlives_the_providers() -> None:
    token = citizen_token(
        _citizen(NOW + timedelta(seconds=40)),
        audience="onestop",
        now=NOW,
        life=timedelta(minutes=5),
        token_id=TOKEN_ID,
    )

    assert token.claims["exp"] == int(NOW.timestamp()) + 40
    assert token.claims["client_id"] == "citizen"
    assert token.claims["scope"] == "citizen"
    assert token.claims["code"] == FARMER.code
    assert "cnf" not in token.claims


def test_no_citizen_token_from_a_provider_token_that_has_ended() -> None:
    with pytest.raises(CitizenTokenInvalidError):
        citizen_token(
            _citizen(NOW), audience="onestop", now=NOW, life=timedelta(minutes=5), token_id=TOKEN_ID
        )


def test_what_a_person_is_called_never_shows_in_a_repr() -> None:
    citizen = _citizen(NOW + timedelta(minutes=5))
    token = citizen_token(citizen, audience="onestop", now=NOW, life=timedelta(minutes=5), token_id=TOKEN_ID)

    assert FARMER.code not in repr(citizen) + repr(token)
    assert "张三" not in repr(citizen) + repr(token)
