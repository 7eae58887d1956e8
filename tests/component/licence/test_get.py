"""Reading by use code: only the case that searched, only for a while, only entitled fields."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from uuid import uuid4

import pytest
from onestop.licence.v1 import licence_pb2 as pb

from core.identity import Scope
from core.public_json import render
from services.licence.catalogue import load_catalogue
from tests.component.licence.harness import BARE, Asking, Desk, reason
from tests.store.licence.samples import HOLDER, HOUSEHOLD_REGISTER, ID_CARD, citizen, id_card, record

CARD = ID_CARD.type_code
COMPANY_CHANGE = Asking(matter_code="company-change")


async def searched(desk: Desk, asking: Asking | None = None) -> tuple[str, str]:
    """A licence's id and the use code for it, after a search for the holder's ID card."""
    subject_id = uuid4()
    await desk.town.settle(HOLDER, [(ID_CARD, id_card(subject_id))], subject_id)
    found = await desk.search(HOLDER, [CARD], asking)
    return found.answer.licences[0].id, found.answer.use_code


async def test_a_use_code_opens_the_entitled_fields_with_their_provenance(desk: Desk) -> None:
    licence_id, use_code = await searched(desk)

    read = await desk.get(licence_id, use_code, BARE)

    answer = read.answer
    assert (answer.number, answer.holder_name) == (HOLDER.code, "林小满")
    assert {name: value.string_value for name, value in answer.fields.items()} == {
        "sex": "女",
        "nation": "汉",
        "birth_date": "1990-01-01",
        "address": "韶关市武江区新华街道五祖路8号",
        "issuing_authority": "韶关市公安局",
    }
    assert answer.licence.state == pb.LICENCE_STATE_IN_FORCE
    assert (answer.provenance.resource, answer.provenance.record_version) == (f"licence.{CARD}", licence_id)
    assert answer.provenance.as_of.ToJsonString() == "2026-03-01T16:00:00Z"


async def test_a_field_that_the_matter_is_not_entitled_to_is_never_on_the_wire(desk: Desk) -> None:
    licence_id, use_code = await searched(desk, COMPANY_CHANGE)

    read = await desk.get(licence_id, use_code, BARE)

    assert set(read.answer.fields) == {"sex", "nation", "address"}
    assert "1990-01-01" not in str(render(read))


async def test_every_matter_gets_the_fields_it_is_entitled_to_and_no_others(desk: Desk) -> None:
    subject_id = uuid4()
    pairs = [
        (one, record(one, subject_id, **{name: f"值-{name}" for name in one.face}))
        for one in load_catalogue().types.values()
    ]
    await desk.town.settle(HOLDER, pairs, subject_id)

    for (matter, type_code), names in load_catalogue().entitlements.items():
        asking = Asking(matter_code=matter)
        found = await desk.search(HOLDER, [type_code], asking)
        read = (await desk.get(found.answer.licences[0].id, found.answer.use_code, asking)).answer
        given = set(read.fields)
        given |= {"number"} if read.HasField("number") else set()
        given |= {"holder_name"} if read.HasField("holder_name") else set()
        assert given == names, (matter, type_code)


async def test_the_entry_names_the_fields_and_the_case_of_the_use_code(desk: Desk) -> None:
    licence_id, use_code = await searched(desk, COMPANY_CHANGE)

    await desk.get(licence_id, use_code, BARE)

    entry = desk.ledger.entries[-1]
    assert entry.method == "licence.get"
    assert {"address", "number", "holder_name", "sex"} <= set(entry.field_names)
    assert "birth_date" not in entry.field_names
    assert entry.basis is not None
    assert (entry.basis.matter_code, entry.basis.case_number) == ("company-change", "2026-0001")
    assert (entry.office, entry.operator, entry.purpose) == (Asking.office, "clerk7", Asking.purpose)
    assert entry.subject == HOLDER
    assert [(ref.resource, ref.version) for ref in entry.records] == [(f"licence.{CARD}", licence_id)]


@pytest.mark.parametrize(
    "asking",
    [
        Asking(client="another-platform"),
        replace(BARE, client="another-platform"),
        Asking(operator="clerk8"),
        replace(BARE, operator="clerk8"),
        Asking(case_number="2026-0002"),
        Asking(matter_code="company-change"),
        Asking(office="11440299MB2L00062G"),
    ],
)
async def test_a_use_code_is_worth_nothing_to_anybody_else(desk: Desk, asking: Asking) -> None:
    licence_id, use_code = await searched(desk)

    refused = await desk.get(licence_id, use_code, asking)

    assert reason(refused.error) == "USE_CODE_INVALID"
    assert not refused.HasField("answer")
    assert len(desk.ledger.entries) == 1


async def test_a_use_code_expires(desk: Desk) -> None:
    licence_id, use_code = await searched(desk)

    desk.clock.advance(timedelta(minutes=9, seconds=59))
    in_time = await desk.get(licence_id, use_code)
    desk.clock.advance(timedelta(seconds=1))
    late = await desk.get(licence_id, use_code)

    assert reason(in_time.error) == ""
    assert reason(late.error) == "USE_CODE_INVALID"


async def test_an_expired_use_code_refuses_a_replay_too(desk: Desk) -> None:
    licence_id, use_code = await searched(desk)
    keyed = replace(BARE, request_id="retry-1")

    first = await desk.get(licence_id, use_code, keyed)
    again = await desk.get(licence_id, use_code, keyed)
    desk.clock.advance(timedelta(minutes=10))
    late = await desk.get(licence_id, use_code, keyed)

    assert again == first
    assert reason(late.error) == "USE_CODE_INVALID"


async def test_a_use_code_opens_no_licence_that_the_search_did_not_find(desk: Desk) -> None:
    subject_id, other_id = uuid4(), uuid4()
    book = record(HOUSEHOLD_REGISTER, subject_id)
    other_card = id_card(other_id, citizen(2))
    await desk.town.settle(citizen(2), [(ID_CARD, other_card)], other_id)
    await desk.town.settle(HOLDER, [(ID_CARD, id_card(subject_id)), (HOUSEHOLD_REGISTER, book)], subject_id)
    use_code = (await desk.search(HOLDER, [CARD])).answer.use_code

    for licence_id in (str(book.licence_id), str(other_card.licence_id), str(uuid4()), "not-an-id"):
        refused = await desk.get(licence_id, use_code)
        assert reason(refused.error) == "USE_CODE_INVALID"


async def test_all_refusals_of_use_codes_are_one_answer(desk: Desk) -> None:
    licence_id, use_code = await searched(desk)
    altered = ("B" if use_code[0] == "A" else "A") + use_code[1:]

    refusals = [
        await desk.get(licence_id, altered),
        await desk.get(str(uuid4()), use_code),
        await desk.get(licence_id, use_code, Asking(operator="clerk8")),
    ]
    desk.clock.advance(timedelta(minutes=10))
    refusals.append(await desk.get(licence_id, use_code))

    assert len({refused.error.SerializeToString(deterministic=True) for refused in refusals}) == 1


async def test_reading_needs_its_scope(desk: Desk) -> None:
    licence_id, use_code = await searched(desk)

    refused = await desk.get(licence_id, use_code, replace(BARE, scopes=(Scope.LICENCE_VERIFY,)))

    assert reason(refused.error) == "SCOPE_MISSING"


async def test_a_licence_replaced_since_the_search_is_not_found(desk: Desk) -> None:
    licence_id, use_code = await searched(desk)
    await desk.town.execute("UPDATE licence SET superseded_on = $1", date(2026, 3, 2))

    refused = await desk.get(licence_id, use_code)

    assert reason(refused.error) == "LICENCE_NOT_FOUND"
    assert len(desk.ledger.entries) == 1


async def test_a_licence_revoked_since_the_search_is_shown_as_revoked(desk: Desk) -> None:
    licence_id, use_code = await searched(desk)
    await desk.town.execute(
        "UPDATE licence SET revoked_on = $1, revocation_kind = 'annulled'", date(2026, 3, 2)
    )

    read = await desk.get(licence_id, use_code)

    assert read.answer.licence.state == pb.LICENCE_STATE_REVOKED


async def test_nothing_is_read_out_while_the_ledger_is_down(desk: Desk) -> None:
    licence_id, use_code = await searched(desk)
    desk.ledger.down = True

    refused = await desk.get(licence_id, use_code)

    assert reason(refused.error) == "PART_DOWN"
    assert not refused.HasField("answer")
