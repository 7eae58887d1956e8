"""Fetching with a consent: what the bank gets, what it does not, and what each failure is called."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
import uuid
from base64 import b64decode
from collections.abc import Sequence
from datetime import timedelta
from itertools import combinations
from typing import cast

import grpc
import pytest
from onestop.agricredit.v1 import agricredit_pb2 as pb
from onestop.common.v1 import context_pb2

from core.disclosure import Entry, EntryKind
from core.errors import Kind
from core.identity import Subject
from core.public_json import canonical_json
from core.status import from_status
from services.agricredit.domain import Item
from services.agricredit.registers import RESOURCES
from tests.component.agricredit.conftest import CANARY
from tests.component.agricredit.harness import PURPOSE, Town, context, error_of, refusal
from tests.fakes import FakeLedger
from tests.store.agricredit.conftest import person

SUBSETS: list[Sequence[Item]] = [(item,) for item in Item] + list(combinations(Item, 2))


def _disclosures(ledger: FakeLedger) -> list[Entry]:
    """The entries that say that data was about to be released to the bank."""
    return [entry for entry in ledger.entries if entry.method.startswith("credit.")]


def _without_receipt(payload: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in payload.items() if name != "receipt"}


async def test_the_bank_reads_land_rights_that_its_receipt_commits_to(
    town: Town, farmer: Subject, ledger: FakeLedger
) -> None:
    consent_id = await town.consented(farmer)

    payload = await town.fetch(consent_id)

    assert (payload["consent_id"], payload["status"], payload["uses_left"]) == (consent_id, "ok", 9)
    right = cast(list[dict[str, object]], payload["land_rights"])[0]
    assert right["total_area_mu"] == 6.52
    assert len(cast(list[object], right["parcels"])) == 1
    entry = _disclosures(ledger)[0]
    receipt = cast(dict[str, str], payload["receipt"])
    assert receipt["id"] == str(entry.item_id)
    salt = b64decode(receipt["answer_salt"])
    assert hmac.digest(salt, canonical_json(_without_receipt(payload)), "sha256") == entry.answer_commitment
    assert (entry.kind, entry.method, entry.caller) == (
        EntryKind.DISCLOSURE,
        "credit.land_rights",
        "rural-bank",
    )
    assert entry.subject == farmer
    assert entry.purpose == PURPOSE
    assert entry.basis is not None
    assert entry.basis.consent_id == consent_id
    assert [(ref.resource, ref.version) for ref in entry.records] == [
        ("land.contract", "1.1"),
        ("land.parcel", "1.1"),
    ]


async def test_the_bank_reads_the_newest_years_of_subsidies(town: Town, farmer: Subject) -> None:
    consent_id = await town.consented(farmer)

    three = await town.fetch(consent_id, Item.SUBSIDIES)
    one = await town.fetch(consent_id, Item.SUBSIDIES, years=1)

    paid = cast(list[dict[str, object]], three["subsidies"])
    assert [each["year"] for each in paid] == [2025, 2024, 2023]
    assert [each["year"] for each in cast(list[dict[str, object]], one["subsidies"])] == [2025]
    assert (three["uses_left"], one["uses_left"]) == (9, 8)


@pytest.mark.parametrize("ticked", SUBSETS, ids="+".join)
async def test_an_unticked_item_is_never_asked_for_and_never_on_the_wire(
    town: Town, farmer: Subject, ledger: FakeLedger, ticked: Sequence[Item]
) -> None:
    consent_id = await town.consented(farmer, items=ticked)

    for item in Item:
        if item in ticked:
            payload = await town.fetch(consent_id, item)
            assert CANARY not in json.dumps(payload, ensure_ascii=False)
        else:
            error = await error_of(town.fetch(consent_id, item))
            assert (error.kind, error.reason) == (Kind.FORBIDDEN, "ITEM_NOT_CONSENTED")

    permitted = {resource for item in ticked for resource in RESOURCES[item]}
    assert {item.query.resource for item in town.datanode.asked} == permitted
    assert {entry.method for entry in _disclosures(ledger)} == {f"credit.{item}" for item in ticked}
    assert await town.uses(consent_id) == len(ticked)


async def test_no_data_is_an_answer_and_counts(town: Town, ledger: FakeLedger) -> None:
    nobody = person(5)
    consent_id = await town.consented(nobody)

    payload = await town.fetch(consent_id)

    assert (payload["status"], payload["land_rights"], payload["uses_left"]) == ("no_data", [], 9)
    assert [(ref.resource, ref.version) for ref in _disclosures(ledger)[0].records] == [
        ("land.contract", "none"),
        ("land.parcel", "none"),
    ]


async def _used_up(town: Town, farmer: Subject) -> str:
    consent_id = await town.consented(farmer, uses=1)
    await town.fetch(consent_id)
    return consent_id


async def _revoked(town: Town, farmer: Subject) -> str:
    consent_id = await town.consented(farmer)
    await town.revoke(farmer, consent_id)
    return consent_id


async def _expired(town: Town, farmer: Subject) -> str:
    consent_id = await town.consented(farmer)
    town.clock.advance(timedelta(days=90))
    return consent_id


async def _not_granted(town: Town, farmer: Subject) -> str:
    return (await town.ask(farmer)).answer.consent_request.id


async def _unknown(town: Town, farmer: Subject) -> str:
    return str(uuid.uuid4())


async def _malformed(town: Town, farmer: Subject) -> str:
    return "anything"


def _words(value: object) -> str:
    """A parameter in a test's name: the same in every process."""
    return getattr(value, "__name__", str(value))


async def _good(town: Town, farmer: Subject) -> str:
    return await town.consented(farmer)


@pytest.mark.parametrize(
    ("make", "change", "kind", "reason"),
    [
        (_revoked, {}, Kind.FORBIDDEN, "CONSENT_REVOKED"),
        (_expired, {}, Kind.FORBIDDEN, "CONSENT_EXPIRED"),
        (_used_up, {}, Kind.FORBIDDEN, "CONSENT_USED_UP"),
        (_not_granted, {}, Kind.NOT_FOUND, "CONSENT_NOT_FOUND"),
        (_unknown, {}, Kind.NOT_FOUND, "CONSENT_NOT_FOUND"),
        (_malformed, {}, Kind.NOT_FOUND, "CONSENT_NOT_FOUND"),
        (_good, {"purpose": "insurance_offer"}, Kind.FORBIDDEN, "PURPOSE_NOT_CONSENTED"),
        (_good, {"client": "other-bank"}, Kind.NOT_FOUND, "CONSENT_NOT_FOUND"),
        (_revoked, {"client": "other-bank"}, Kind.NOT_FOUND, "CONSENT_NOT_FOUND"),
        (_good, {"client": "some-bank"}, Kind.FORBIDDEN, "PARTNER_UNKNOWN"),
        (_good, {"scopes": "consent.request"}, Kind.FORBIDDEN, "SCOPE_MISSING"),
    ],
    ids=_words,
)
async def test_not_allowed_is_said_clearly_and_nothing_is_read_or_recorded(
    town: Town,
    farmer: Subject,
    ledger: FakeLedger,
    make: object,
    change: dict[str, str],
    kind: Kind,
    reason: str,
) -> None:
    assert callable(make)
    consent_id = await make(town, farmer)
    before, asked = len(ledger.entries), len(town.datanode.asked)
    credential = town.machine(
        change.get("client", "rural-bank"), change.get("scopes", "consent.request credit.fetch")
    )

    error = await error_of(
        town.fetch(consent_id, purpose=change.get("purpose", PURPOSE), credential=credential)
    )

    assert (error.kind, error.reason) == (kind, reason)
    assert farmer.code not in error.message
    assert (len(ledger.entries), len(town.datanode.asked)) == (before, asked)


async def test_a_fetch_needs_a_consent_as_its_ground(town: Town) -> None:
    item = pb.FetchLandRightsItem(
        context=context(context_pb2.BASIS_KIND_AGREEMENT), query=pb.FetchQuery(purpose_code=PURPOSE)
    )
    response = await town.stub.BatchFetchLandRights(
        pb.BatchFetchLandRightsRequest(credentials=[town.machine()], items=[item])
    )

    assert from_status(response.results[0].error).reason == "BASIS_NOT_PERMITTED"


async def test_a_bad_item_fails_alone_and_the_data_node_is_asked_together(
    town: Town, farmer: Subject, neighbour: Subject
) -> None:
    consents = [await town.consented(one) for one in (farmer, neighbour)]
    query = pb.FetchQuery(purpose_code=PURPOSE)

    def item(consent_id: str, **of_query: str) -> pb.FetchSubsidiesItem:
        said = context(context_pb2.BASIS_KIND_CONSENT, consent_id=consent_id)
        made = pb.FetchSubsidiesItem(context=said, query=query)
        for name, value in of_query.items():
            setattr(made.query, name, value)
        return made

    items = [
        item(consents[0]),
        item(str(uuid.uuid4())),
        item(consents[1]),
        item(consents[0], purpose_code="Not A Code"),
        *(item(consents[0]) for _ in range(6)),
    ]
    town.datanode.seconds = 0.05
    response = await town.stub.BatchFetchSubsidies(
        pb.BatchFetchSubsidiesRequest(credentials=[town.machine()], items=items)
    )

    failed = {
        number: from_status(result.error).reason
        for number, result in enumerate(response.results)
        if result.HasField("error")
    }
    assert failed == {1: "CONSENT_NOT_FOUND", 3: "REQUEST_INVALID"}
    assert all(town.open(response.results[number])["status"] == "ok" for number in (0, 2, 4))
    assert town.datanode.calls < 8
    assert await town.uses(consents[0]) == 7


async def test_the_same_request_again_is_the_first_answer_with_the_first_receipt(
    town: Town, farmer: Subject, ledger: FakeLedger
) -> None:
    consent_id = await town.consented(farmer, uses=1)

    first = await town.fetch(consent_id, key="k-1")
    town.datanode.records = {}
    again = await town.fetch(consent_id, key="k-1")
    other = await error_of(town.fetch(consent_id, key="k-1", purpose="insurance_offer"))
    years = await town.consented(farmer)
    await town.fetch(years, Item.SUBSIDIES, key="k-2")
    altered = await error_of(town.fetch(years, Item.SUBSIDIES, key="k-2", years=1))

    assert again == first
    assert other.reason == "PURPOSE_NOT_CONSENTED"
    assert (altered.kind, altered.reason) == (Kind.CONFLICT, "IDEMPOTENCY_KEY_REUSED")
    assert await town.uses(consent_id) == 1
    assert len(_disclosures(ledger)) == 2


async def test_a_replay_is_authorised_afresh(town: Town, farmer: Subject) -> None:
    consent_id = await town.consented(farmer)
    await town.fetch(consent_id, key="k-1")
    await town.revoke(farmer, consent_id)

    assert (await error_of(town.fetch(consent_id, key="k-1"))).reason == "CONSENT_REVOKED"


async def test_the_same_request_side_by_side_takes_one_use(
    town: Town, farmer: Subject, ledger: FakeLedger
) -> None:
    consent_id = await town.consented(farmer)
    town.datanode.seconds = 0.1

    results = await asyncio.gather(
        *(town.fetch(consent_id, key="k-1") for _ in range(5)), return_exceptions=True
    )

    assert sum(isinstance(one, dict) for one in results) == 1
    assert {getattr(one, "reason", "") for one in results if not isinstance(one, dict)} == {
        "REQUEST_IN_PROGRESS"
    }
    assert await town.uses(consent_id) == 1
    assert len(_disclosures(ledger)) == 1


async def test_fifty_at_once_on_ten_uses_get_exactly_ten_answers(
    town: Town, farmer: Subject, ledger: FakeLedger
) -> None:
    consent_id = await town.consented(farmer, uses=10)

    results = await asyncio.gather(*(town.fetch(consent_id) for _ in range(50)), return_exceptions=True)

    answers = [one for one in results if isinstance(one, dict)]
    assert sorted(cast(int, one["uses_left"]) for one in answers) == list(range(10))
    assert {getattr(one, "reason", "") for one in results if not isinstance(one, dict)} == {"CONSENT_USED_UP"}
    assert len(_disclosures(ledger)) == 10


async def test_no_fetch_that_begins_after_a_revocation_has_returned_succeeds(
    town: Town, farmer: Subject
) -> None:
    """One that is under way is stopped too (see the next test), unless its answer is on the way back."""
    consent_id = await town.consented(farmer, uses=1000)
    town.datanode.seconds = 0.02
    succeeded: list[float] = []
    refused: list[str] = []

    async def fetch_on() -> None:
        while not refused or len(refused) < 20:
            began = time.monotonic()
            try:
                await town.fetch(consent_id)
            except Exception as failure:
                refused.append(str(getattr(failure, "reason", failure)))
            else:
                succeeded.append(began)

    async def revoke() -> float:
        await asyncio.sleep(0.4)
        await town.revoke(farmer, consent_id)
        return time.monotonic()

    fetching = [asyncio.create_task(fetch_on()) for _ in range(8)]
    revoked_at = await revoke()
    await asyncio.gather(*fetching)

    assert succeeded
    assert set(refused) == {"CONSENT_REVOKED"}
    assert max(succeeded) <= revoked_at


async def test_a_revocation_while_the_answer_is_made_stops_it(
    town: Town, farmer: Subject, ledger: FakeLedger
) -> None:
    consent_id = await town.consented(farmer)
    town.datanode.gate = asyncio.Event()
    fetching = asyncio.create_task(error_of(town.fetch(consent_id, key="k-1")))
    await town.datanode.reached.wait()

    await town.revoke(farmer, consent_id)
    town.datanode.gate.set()

    assert (await fetching).reason == "CONSENT_REVOKED"
    # Over-recorded, never under-recorded; and what was made is not to be had afterwards either.
    assert len(_disclosures(ledger)) == 1
    assert (await error_of(town.fetch(consent_id, key="k-1"))).reason == "CONSENT_REVOKED"


@pytest.mark.parametrize("how", ["dead", "late", "broken"])
async def test_a_source_that_does_not_answer_is_named_and_takes_no_use(
    town: Town, farmer: Subject, ledger: FakeLedger, how: str
) -> None:
    consent_id = await town.consented(farmer)
    if how == "dead":
        await town.stop_datanode()
    elif how == "late":
        town.datanode.seconds = 5.0
    else:
        town.datanode.refusal = refusal(Kind.INTERNAL, "INTERNAL")
    began = time.monotonic()

    error = await error_of(town.fetch(consent_id))

    assert (error.reason, error.part) == ("SOURCE_DOWN", "datanode")
    assert error.kind is (Kind.LATE if how == "late" else Kind.UNAVAILABLE)
    assert time.monotonic() - began < 3
    assert await town.uses(consent_id) == 0
    assert _disclosures(ledger) == []


async def test_a_late_source_is_named_within_a_short_deadline_of_the_caller(
    town: Town, farmer: Subject
) -> None:
    consent_id = await town.consented(farmer)
    town.datanode.seconds = 5.0

    error = await error_of(town.fetch(consent_id, seconds=0.6))

    assert (error.kind, error.reason, error.part) == (Kind.LATE, "SOURCE_DOWN", "datanode")


async def test_what_the_source_refuses_is_passed_on_as_it_came(town: Town, farmer: Subject) -> None:
    consent_id = await town.consented(farmer)
    town.datanode.refusal = refusal(Kind.FORBIDDEN, "FIELD_NOT_ENTITLED")

    error = await error_of(town.fetch(consent_id))

    assert (error.kind, error.reason, error.part) == (Kind.FORBIDDEN, "FIELD_NOT_ENTITLED", "datanode")
    assert await town.uses(consent_id) == 0


async def test_a_malformed_record_is_neither_passed_on_nor_paid_for(town: Town, farmer: Subject) -> None:
    consent_id = await town.consented(farmer)
    town.datanode.records = {farmer.code: {"subsidy.arable": [{"year": "2025"}]}}

    error = await error_of(town.fetch(consent_id, Item.SUBSIDIES))

    assert error.reason == "SOURCE_MALFORMED"
    assert await town.uses(consent_id) == 0


async def test_without_a_ledger_nothing_leaves_and_the_retry_takes_no_second_use(
    town: Town, farmer: Subject, ledger: FakeLedger
) -> None:
    consent_id = await town.consented(farmer, uses=1)
    ledger.down = True

    error = await error_of(town.fetch(consent_id, key="k-1"))
    counted = await town.uses(consent_id)
    ledger.down = False
    payload = await town.fetch(consent_id, key="k-1")

    assert (error.kind, error.part) == (Kind.UNAVAILABLE, "ledger")
    assert counted == 1, "what the ledger holds is not known, so it counts"
    assert payload["uses_left"] == 0
    assert len(_disclosures(ledger)) == 1


async def test_a_use_comes_back_when_the_ledger_has_refused_for_good(
    town: Town, farmer: Subject, ledger: FakeLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    consent_id = await town.consented(farmer)
    refused = refusal(Kind.CONFLICT, "ITEM_ID_REUSED")
    refused.part = "ledger"

    async def append(entry: Entry) -> None:
        raise refused

    monkeypatch.setattr(ledger, "append", append)

    assert (await error_of(town.fetch(consent_id))).reason == "ITEM_ID_REUSED"
    assert await town.uses(consent_id) == 0


async def test_a_caller_who_hangs_up_before_the_entry_gets_its_use_back(
    town: Town, farmer: Subject, ledger: FakeLedger
) -> None:
    consent_id = await town.consented(farmer)
    town.datanode.gate = asyncio.Event()
    call = asyncio.create_task(town.fetch(consent_id))
    await town.datanode.reached.wait()

    call.cancel()
    with pytest.raises((asyncio.CancelledError, grpc.aio.AioRpcError)):
        await call

    await town.until_used(consent_id, 0)
    assert _disclosures(ledger) == []


async def test_a_payload_is_encrypted_and_the_city_s_keys_are_published(town: Town, farmer: Subject) -> None:
    consent_id = await town.consented(farmer)
    item = pb.FetchLandRightsItem(
        context=context(context_pb2.BASIS_KIND_CONSENT, consent_id=consent_id),
        query=pb.FetchQuery(purpose_code=PURPOSE),
    )

    response = await town.stub.BatchFetchLandRights(
        pb.BatchFetchLandRightsRequest(credentials=[town.machine()], items=[item])
    )
    keys = await town.stub.GetAnswerKeys(pb.GetAnswerKeysRequest())

    assert b"440299205001030007J" not in response.SerializeToString()
    assert [key["kid"] for key in json.loads(keys.jwks)["keys"]] == [town.city.kid]


async def test_numbers_stay_out_of_logs_and_errors(
    town: Town, farmer: Subject, capfd: pytest.CaptureFixture[str]
) -> None:
    consent_id = await town.consented(farmer)
    town.datanode.refusal = refusal(Kind.INTERNAL, "INTERNAL")
    errors = [await error_of(town.fetch(consent_id)) for _ in range(2)]
    town.datanode.refusal = None
    await town.fetch(consent_id)

    written = "".join(capfd.readouterr()) + "".join(repr(error) + error.message for error in errors)
    assert farmer.code not in written
