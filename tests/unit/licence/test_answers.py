"""What a search answers is one thing in two forms."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from core.public_json import render
from services.licence.answers import answer_to_pb, present, search_to_json
from services.licence.domain import Licence, LicenceKey, LicenceState
from services.licence.service import SearchAnswer, Summary

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
days = st.dates(date(1900, 1, 1), date(2999, 12, 31))
moments = st.integers(0, 10**12).map(lambda passed: NEW_YEAR + timedelta(microseconds=passed))


@st.composite
def summaries(draw: st.DrawFn) -> Summary:
    """A licence as a search shows it."""
    licence = Licence(
        key=LicenceKey(UUID(int=1), UUID(int=draw(st.integers(1, 2**128 - 1)))),
        type_code="11100000000013127D001",
        identifier="1.2.156.3005.2",
        version=draw(st.integers(1, 999)),
        issuer_code="11440299MB2L01030E",
        issuer_name=draw(st.text(max_size=20)),
        issued_on=date(2020, 1, 1),
        valid_from=draw(days),
        valid_until=draw(st.none() | days),
        recorded_at=NEW_YEAR,
        suspension=None,
        revoked_on=None,
        superseded=False,
    )
    return Summary(licence, draw(st.text(max_size=20)), draw(st.sampled_from(LicenceState)))


@given(
    st.lists(summaries(), max_size=4),
    st.lists(st.text("0123456789D", min_size=1, max_size=21), max_size=3),
    st.text("abc-_", max_size=30),
    st.none() | moments,
)
def test_a_searchs_json_is_that_of_its_message(
    found: list[Summary], missing: list[str], code: str, until: datetime | None
) -> None:
    answer = SearchAnswer(tuple(found), tuple(missing), code, until)

    document = search_to_json(answer)

    assert document == render(answer_to_pb(answer))
    assert present(answer).canonical == rfc8785.dumps(document)
