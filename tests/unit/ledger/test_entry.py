"""Entry v1: canonical, without identity payload, and opened by what is kept beside it."""

from __future__ import annotations

import base64
import hmac
import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from core.entries import Basis, BasisKind, Entry, EntryKind, Outcome, RecordRef
from core.errors import InvalidError
from core.identity import Subject
from services.ledger.domain import EntryTooLargeError, check
from services.ledger.entry import Opening, item_bytes, leaf_bytes, read_item

NUMBER = "440299199001010010"
TIME = datetime(2026, 3, 2, 10, 0, 0, 5, tzinfo=UTC)
ITEM = uuid.UUID("6f0f3f0a-9d1c-4b6e-8a55-0f3f5a1b2c3d")

# What protobuf lets through: any text without lone surrogates.
TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)

ENTRIES = st.builds(
    Entry,
    item_id=st.uuids(),
    kind=st.sampled_from(EntryKind),
    method=st.just("licence.search"),
    caller=TEXTS.filter(bool),
    office=TEXTS,
    basis=st.one_of(st.none(), st.builds(Basis, st.sampled_from(BasisKind), TEXTS, TEXTS, TEXTS)),
    purpose=TEXTS,
    operator=TEXTS,
    subject=st.one_of(st.none(), st.builds(Subject, st.just("111"), st.just(NUMBER))),
    field_names=st.lists(TEXTS, max_size=4).map(tuple),
    records=st.lists(st.builds(RecordRef, TEXTS, TEXTS), max_size=4).map(tuple),
    outcome=st.sampled_from(Outcome),
    intent_id=st.one_of(st.none(), st.uuids()),
    answer_commitment=st.sampled_from([b"", b"\x01" * 32]),
    answer_salt=st.sampled_from([b"", b"\x02" * 32]),
    further_subjects=st.just(()),
)

SEVERAL = st.builds(
    replace,
    ENTRIES,
    subject=st.just(Subject("111", NUMBER)),
    further_subjects=st.lists(
        st.builds(Subject, st.sampled_from(["111", "001"]), st.sampled_from(["A1", "B2", "C3"])),
        min_size=1,
        max_size=4,
        unique=True,
    ).map(tuple),
)


def an_entry(**changes: object) -> Entry:
    entry = Entry(
        item_id=ITEM,
        kind=EntryKind.DISCLOSURE,
        method="licence.search",
        caller="approval-platform",
        office="11440203MB2C93721K",
        basis=Basis(BasisKind.MATTER, "sole-trader-registration", "2026-0001"),
        purpose="register a sole trader",
        operator="clerk.07",
        subject=Subject("111", NUMBER),
        field_names=("name", "valid_until"),
        records=(RecordRef("licence.id_card", "1"),),
        outcome=Outcome.RELEASED,
        answer_commitment=b"\x01" * 32,
        answer_salt=b"\x02" * 32,
    )
    return replace(entry, **changes)  # type: ignore[arg-type]


def opening_of(entry: Entry) -> Opening:
    salts = iter(bytes([number]) * 32 for number in range(5, 256))
    return Opening.of(entry, b"\x03" * 32, b"\x04" * 32, lambda: next(salts))


def leaf_of(entry: Entry) -> bytes:
    return leaf_bytes(entry, opening_of(entry), recorder="licence", time=TIME)


def test_leaf_is_the_documented_one() -> None:
    document = json.loads(leaf_of(an_entry()))

    operator = hmac.digest(b"\x03" * 32, b"clerk.07", "sha256")
    subject = hmac.digest(b"\x04" * 32, f"111:{NUMBER}".encode(), "sha256")
    assert document == {
        "version": 1,
        "id": str(ITEM),
        "time": "2026-03-02T10:00:00.000005Z",
        "kind": "disclosure",
        "method": "licence.search",
        "caller": "approval-platform",
        "recorder": "licence",
        "office": "11440203MB2C93721K",
        "basis": {
            "kind": "matter",
            "matter_code": "sole-trader-registration",
            "case_number": "2026-0001",
        },
        "field_names": ["name", "valid_until"],
        "records": [{"resource": "licence.id_card", "version": "1"}],
        "outcome": "released",
        "commitments": {
            "answer": base64.b64encode(b"\x01" * 32).decode(),
            "operator": base64.b64encode(operator).decode(),
            "subject": base64.b64encode(subject).decode(),
        },
    }


def test_what_is_absent_is_left_out() -> None:
    entry = an_entry(office="", basis=None, purpose="", operator="", subject=None)

    document = json.loads(leaf_of(entry))

    assert set(document) == {
        *("version", "id", "time", "kind", "method", "caller", "recorder"),
        *("field_names", "records", "outcome", "commitments"),
    }
    assert set(document["commitments"]) == {"answer"}


@given(ENTRIES)
def test_leaf_is_in_rfc_8785_form(entry: Entry) -> None:
    leaf = leaf_of(entry)

    assert leaf == rfc8785.dumps(json.loads(leaf))


@given(ENTRIES)
def test_leaf_and_opening_say_the_item_again(entry: Entry) -> None:
    opening = opening_of(entry)
    leaf = leaf_bytes(entry, opening, recorder="licence", time=TIME)

    again = read_item(leaf, Opening.from_bytes(opening.to_bytes()))

    assert again == entry


@given(SEVERAL)
def test_so_do_those_of_an_entry_about_several(entry: Entry) -> None:
    opening = opening_of(entry)
    leaf = leaf_bytes(entry, opening, recorder="licence", time=TIME)

    assert leaf == rfc8785.dumps(json.loads(leaf))
    assert read_item(leaf, Opening.from_bytes(opening.to_bytes())) == entry


def test_each_of_several_subjects_is_committed_to_with_a_salt_of_its_own() -> None:
    others = (Subject("001", "91440200MA4X00001Y"), Subject("111", "440299199001010037"))
    entry = an_entry(further_subjects=others)

    document = json.loads(leaf_of(entry))

    alone = json.loads(leaf_of(an_entry()))
    further = [
        base64.b64encode(hmac.digest(salt, f"{one.code_type}:{one.code}".encode(), "sha256")).decode()
        for salt, one in zip((b"\x05" * 32, b"\x06" * 32), others, strict=True)
    ]
    assert document["commitments"].pop("further_subjects") == further
    assert document == alone
    assert opening_of(entry).subjects == (Subject("111", NUMBER), *others)


def test_who_is_named_twice_is_one_subject_and_the_leaf_is_that_of_one() -> None:
    typed = an_entry(subject=Subject("111", "44029919900101001x"))
    doubled = replace(
        typed, further_subjects=(Subject("111", "44029919900101001X"), Subject("111", "44029919900101001 X"))
    )

    assert leaf_of(doubled) == leaf_of(typed)


def test_salts_are_needed_for_several_subjects() -> None:
    with pytest.raises(ValueError, match="a salt for each"):
        Opening.of(an_entry(further_subjects=(Subject("111", "A1"),)), b"\x03" * 32, b"\x04" * 32)


def test_opening_that_was_sealed_before_there_were_further_subjects_opens() -> None:
    one = opening_of(an_entry())

    assert b"further" not in one.to_bytes()
    assert Opening.from_bytes(one.to_bytes()).subjects == (Subject("111", NUMBER),)


@given(SEVERAL, SEVERAL)
def test_items_about_several_have_the_same_bytes_only_when_they_are_the_same(
    one: Entry, other: Entry
) -> None:
    assert (item_bytes(one, "licence") == item_bytes(other, "licence")) == (one == other)
    fewer = replace(one, further_subjects=one.further_subjects[:-1])
    assert item_bytes(one, "licence") != item_bytes(fewer, "licence")


@given(ENTRIES, ENTRIES)
def test_items_have_the_same_bytes_only_when_they_are_the_same(one: Entry, other: Entry) -> None:
    assert (item_bytes(one, "licence") == item_bytes(other, "licence")) == (one == other)
    assert item_bytes(one, "licence") != item_bytes(one, "eseal")


def test_no_identity_payload_stands_in_the_leaf_or_its_repr() -> None:
    entry = an_entry()
    leaf = leaf_of(entry)

    assert NUMBER.encode() not in leaf
    assert b"clerk.07" not in leaf
    assert NUMBER not in repr(opening_of(entry))
    assert "clerk.07" not in repr(opening_of(entry))
    several = an_entry(further_subjects=(Subject("111", "440299199001010037"),))
    assert b"440299199001010037" not in leaf_of(several)
    assert "440299199001010037" not in repr(opening_of(several)) + repr(several)


def test_a_callers_own_words_stand_in_no_entry() -> None:
    entry = an_entry(purpose="for 王 小明 4402 9919 9001 0100 1X")
    opening = opening_of(entry)

    leaf = leaf_bytes(entry, opening, recorder="licence", time=TIME)

    assert "王".encode() not in leaf
    assert b"purpose" not in leaf
    assert "王" not in repr(opening)
    assert read_item(leaf, opening).purpose == entry.purpose


def test_subject_is_committed_to_as_registers_write_it() -> None:
    typed = an_entry(subject=Subject("111", "44029919900101001x "))
    written = an_entry(subject=Subject("111", "44029919900101001X"))

    assert leaf_of(typed) == leaf_of(written)


def test_time_is_in_utc() -> None:
    there = TIME.astimezone(timezone(timedelta(hours=8)))

    assert leaf_bytes(an_entry(), opening_of(an_entry()), recorder="licence", time=there) == leaf_of(
        an_entry()
    )


def test_entry_that_fits_no_leaf_is_refused() -> None:
    records = tuple(RecordRef("r" * 128, "v" * 64) for _ in range(400))

    with pytest.raises(EntryTooLargeError, match="at most 65535"):
        leaf_of(an_entry(records=records))


INTENT = an_entry(kind=EntryKind.INTENT, outcome=Outcome.NONE, answer_commitment=b"", answer_salt=b"")
OUTCOME = an_entry(kind=EntryKind.OUTCOME, outcome=Outcome.COMPLETED, intent_id=uuid.uuid4())


@pytest.mark.parametrize("entry", [an_entry(), INTENT, OUTCOME, replace(OUTCOME, outcome=Outcome.ABORTED)])
def test_coherent_entry_passes(entry: Entry) -> None:
    check(entry)


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        (replace(OUTCOME, intent_id=None), "intent_id"),
        (replace(OUTCOME, outcome=Outcome.NONE), "outcome"),
        (replace(OUTCOME, outcome=Outcome.RELEASED), "outcome"),
        (replace(INTENT, outcome=Outcome.COMPLETED), "outcome"),
        (replace(INTENT, intent_id=uuid.uuid4()), "intent_id"),
        (an_entry(intent_id=uuid.uuid4()), "intent_id"),
        (an_entry(outcome=Outcome.NONE), "outcome"),
        (an_entry(answer_salt=b""), "answer_commitment"),
        (an_entry(answer_commitment=b"\x01" * 31), "answer_commitment"),
        (an_entry(answer_commitment=b"", answer_salt=b""), "answer_commitment"),
        (an_entry(caller="a\x00b"), "caller"),
        (an_entry(subject=None, further_subjects=(Subject("111", NUMBER),)), "subject"),
    ],
)
def test_incoherent_entry_is_refused_by_field(entry: Entry, field: str) -> None:
    with pytest.raises(InvalidError) as refusal:
        check(entry)

    assert [fault.field for fault in refusal.value.faults] == [field]
