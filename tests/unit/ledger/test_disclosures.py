"""The list of uses: its tokens, its words, what it refuses."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from core.disclosure import Basis, BasisKind, Disclosure, RequestContext
from core.entries import Entry, EntryKind, Outcome
from core.errors import InvalidError, ServiceError
from core.identity import Caller, Subject
from deploy.local.migrate import ROOT
from services.ledger.answers import answer_to_pb
from services.ledger.disclosures import (
    METHOD,
    DisclosureDesk,
    Finder,
    Name,
    PageTokenError,
    ShownUse,
    Use,
    Uses,
    UsesAnswer,
    before_of,
    token_before,
)
from services.ledger.wording import METHODS, words_of

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
HER = Subject("111", "440299199001010010")
METHOD_OF = re.compile(r'"((?:licence|autofill|eseal|consent|credit|ledger)\.[a-z_]+)"')


def asking(**changes: object) -> RequestContext:
    """A signed-in person who asks about herself."""
    values: dict[str, object] = {
        "caller": Caller("citizen", frozenset({"citizen"}), HER),
        "office": "",
        "operator": "",
        "basis": Basis(BasisKind.HOLDER),
        "purpose": "",
        "request_id": "",
        "received_at": NOW,
        "deadline": NOW + timedelta(seconds=5),
        **changes,
    }
    return RequestContext(**values)  # type: ignore[arg-type]


async def refused(context: RequestContext, token: str = "", **stretch: datetime) -> ServiceError:
    """What the desk refuses before it looks anywhere."""
    desk = DisclosureDesk(cast(Uses, None), cast(Finder, None), cast(Disclosure, None))
    times: dict[str, datetime | None] = {"since": None, "until": None, **stretch}
    with pytest.raises(ServiceError) as refusal:
        await desk.list(
            context, 0, token, since=times["since"], until=times["until"], own_reads=False, body=b""
        )
    return refusal.value


def test_a_page_token_says_where_the_page_before_ended() -> None:
    assert before_of("") is None
    for index in (0, 7, 2**53):
        assert before_of(token_before(index)) == index


@pytest.mark.parametrize(
    "token",
    ["zzz", "a", "YmVmb3JlIC0x", "YmVmb3JlIA", "YWZ0ZXIgNw", "YmVmb3JlIMKy", "é", token_before(10**18)],
)
def test_any_other_page_token_is_refused(token: str) -> None:
    with pytest.raises(PageTokenError) as refusal:
        before_of(token)

    assert [fault.field for fault in refusal.value.faults] == ["page_token"]


async def test_only_a_person_who_asks_about_herself_is_answered() -> None:
    matter = Basis(BasisKind.MATTER, "sole-trader-registration", "2026-0001")
    machine = Caller("approval-platform", frozenset({"ledger.read"}))
    nobody = Caller("citizen", frozenset({"citizen"}))

    reasons = [
        (await refused(context)).reason
        for context in (
            asking(basis=None),
            asking(basis=matter),
            asking(caller=nobody),
            asking(caller=machine),
        )
    ]

    assert reasons == ["BASIS_NOT_PERMITTED", "BASIS_NOT_PERMITTED", "BASIS_NOT_PERMITTED", "SCOPE_MISSING"]


async def test_a_stretch_that_ends_before_it_begins_is_refused() -> None:
    error = await refused(asking(), since=NOW, until=NOW)

    assert isinstance(error, InvalidError)
    assert [fault.field for fault in error.faults] == ["until"]


def test_every_method_that_a_part_appends_under_has_plain_words() -> None:
    written = {
        name
        for path in (ROOT / "services").rglob("*.py")
        if path.parent.name != "ledger"
        for name in METHOD_OF.findall(path.read_text(encoding="utf-8"))
    }
    items = {"credit.land_rights", "credit.subsidies"}  # Made of the consent's items by agricredit.

    assert "autofill.fill" in written
    assert METHODS.keys() == written | items | {METHOD}


def test_a_method_that_nobody_here_knows_is_told_in_general_words() -> None:
    read, act = words_of("pension.read", act=False), words_of("pension.pay", act=True)

    assert read != act
    assert all((read.zh, read.en, act.zh, act.en))


def a_use(**changes: object) -> ShownUse:
    """A use by an office, with all its names."""
    values: dict[str, object] = {
        "item_id": "6f0f3f0a-9d1c-4b6e-8a55-0f3f5a1b2c3d",
        "kind": EntryKind.DISCLOSURE,
        "method": "autofill.fill",
        "caller": "approval-platform",
        "office": "11440203MB2C93721K",
        "basis": Basis(BasisKind.MATTER, "company-change", "2026-0001"),
        "purpose": "in the caller's words",
        "operator": "clerk-1",
        "subject": None,
        "field_names": ("name",),
        "outcome": Outcome.RELEASED,
        **changes,
    }
    entry = Entry(**values)  # type: ignore[arg-type]
    words = words_of(entry.method, act=entry.kind is not EntryKind.DISCLOSURE)
    return ShownUse(Use(7, NOW, entry, 1), words, Name("平台", "platform"), None, Name("公司变更"), ("名称",))


def test_what_has_no_name_is_left_out_and_the_clerk_and_the_purpose_are_not_told() -> None:
    (use,) = answer_to_pb(UsesAnswer((a_use(),), "")).disclosures  # type: ignore[attr-defined]

    assert (use.caller_name, use.caller_name_en, use.matter_name) == ("平台", "platform", "公司变更")
    assert not use.HasField("office_name")
    assert not use.HasField("matter_name_en")
    assert not use.HasField("consent_id")
    assert use.receipt_path == f"/ledger/v1/receipts/{use.receipt_id}"
    assert use.other_subjects == 1
    assert "clerk-1" not in str(use)
    assert "words" not in str(use)


def test_an_act_that_has_not_ended_is_under_way() -> None:
    intent = a_use(kind=EntryKind.INTENT, outcome=Outcome.NONE, method="consent.grant", basis=None)
    (use,) = answer_to_pb(UsesAnswer((intent,), "")).disclosures  # type: ignore[attr-defined]

    assert use.outcome == 4
    assert not use.HasField("basis")
    with pytest.raises(TypeError):
        answer_to_pb("something else")
