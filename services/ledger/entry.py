"""Entry v1: the bytes of a leaf, the commitments in it, and what opens them. Pure.

The leaf is the RFC 8785 form of

    {"version": 1, "id", "time", "kind", "method", "caller", "recorder", "office", "basis", "purpose",
     "field_names", "records", "outcome", "intent_id", "commitments": {"answer", "operator", "subject"}}

where an empty text or an absent part is left out. A commitment is base64 of HMAC-SHA-256, keyed with 32
random bytes: of the answer by the service, of the operator's account and of `<code type>:<number>` of the
subject by the ledger, each with a fresh salt. No identity payload and no values.

An entry about several people has one more commitment for each of them after the first, in the member
`further_subjects` of `commitments`: a list, in the order of the item. An entry about one has no such member.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Self
from uuid import UUID

import orjson

from core.entries import Basis, BasisKind, Entry, EntryKind, Outcome, RecordRef
from core.identifiers import normalise_number
from core.identity import Subject
from services.ledger.domain import LARGEST_LEAF, EntryTooLargeError

VERSION = 1

# A purpose is in the caller's own words, and what stands in the log stands there for good. A telephone
# number has 11 digits, a bank account 16 to 19, an ID number 15 or 18.

Json = Mapping[str, object]


def _no_salt() -> bytes:
    raise ValueError("an entry about several people needs a salt for each of them")


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens an entry's commitments: for the holder and the auditor, never in the entry."""

    answer_salt: bytes = field(repr=False)
    operator: str = field(repr=False)
    operator_salt: bytes = field(repr=False)
    subject: Subject | None
    subject_salt: bytes = field(repr=False)
    purpose: str = field(default="", repr=False)
    """The caller's own words: no commitment opens to them, but an entry, kept for ever, cannot hold them."""
    further: tuple[tuple[Subject, bytes], ...] = field(default=(), repr=False)
    """The further subjects, each with its own salt."""

    @classmethod
    def of(
        cls,
        entry: Entry,
        operator_salt: bytes,
        subject_salt: bytes,
        fresh_salt: Callable[[], bytes] = _no_salt,
    ) -> Self:
        """The opening of an item, with the salts that its entry is made with.

        `fresh_salt` makes one more for each further subject.
        """
        subjects = subjects_of(entry)
        return cls(
            entry.answer_salt,
            entry.operator,
            operator_salt,
            subjects[0] if subjects else None,
            subject_salt,
            entry.purpose,
            tuple((one, fresh_salt()) for one in subjects[1:]),
        )

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """Everybody whom the entry is about."""
        first = () if self.subject is None else (self.subject,)
        return (*first, *(one for one, _ in self.further))

    def to_bytes(self) -> bytes:
        """The form in which it is sealed."""
        document: dict[str, object] = {
            "answer_salt": _base64(self.answer_salt),
            "operator": self.operator,
            "operator_salt": _base64(self.operator_salt),
            "subject_salt": _base64(self.subject_salt),
            "purpose": self.purpose,
        }
        if self.subject is not None:
            document["subject"] = [self.subject.code_type, self.subject.code]
        if self.further:
            document["further_subjects"] = [[one.code_type, one.code] for one, _ in self.further]
            document["further_salts"] = [_base64(salt) for _, salt in self.further]
        return _dump(document)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Reads what `to_bytes` wrote."""
        document = orjson.loads(data)
        return cls(
            base64.b64decode(document["answer_salt"]),
            document["operator"],
            base64.b64decode(document["operator_salt"]),
            Subject(*document["subject"]) if "subject" in document else None,
            base64.b64decode(document["subject_salt"]),
            document.get("purpose", ""),
            tuple(
                (Subject(*pair), base64.b64decode(salt))
                for pair, salt in zip(
                    document.get("further_subjects", ()), document.get("further_salts", ()), strict=True
                )
            ),
        )


def opens(leaf: bytes, opening: Opening) -> bool:
    """Whether these are the words and salts that the entry's commitments were made with."""
    commitments = orjson.loads(leaf)["commitments"]
    return bool(commitments == _commitments(base64.b64decode(commitments.get("answer", "")), opening))


PRUNER = "prune"
PRUNE_METHOD = "ledger.prune"
LEDGER_ENTRIES = "ledger.entry"


def says_pruned(leaf: bytes, end: int) -> bool:
    """Whether an entry says that all entries up to, without, `end` may go, by the one who may decide that."""
    document = orjson.loads(leaf)
    said = [document.get(name) for name in ("kind", "method", "recorder", "records")]
    gone = {"resource": LEDGER_ENTRIES, "version": pruned_version(end)}
    return said == ["intent", PRUNE_METHOD, PRUNER, [gone]]


def pruned_version(end: int) -> str:
    """How a pruning's entry names what goes."""
    return f"0-{end}"


def subjects_of(entry: Entry) -> list[Subject]:
    """Whom the entry is about, each once, the numbers written as registers write them."""
    named = entry.further_subjects if entry.subject is None else (entry.subject, *entry.further_subjects)
    return list(dict.fromkeys(Subject(one.code_type, normalise_number(one.code)) for one in named))


def leaf_bytes(entry: Entry, opening: Opening, *, recorder: str, time: datetime) -> bytes:
    """The leaf of an item that `recorder` appends. Raises EntryTooLargeError beyond 65,535 bytes."""
    document: dict[str, object] = {
        "version": VERSION,
        "id": str(entry.item_id),
        "time": _instant(time),
        "kind": entry.kind.name.lower(),
        "method": entry.method,
        "caller": entry.caller,
        "recorder": recorder,
        "office": entry.office,
        "basis": _basis(entry.basis),
        "field_names": list(entry.field_names),
        "records": [{"resource": ref.resource, "version": ref.version} for ref in entry.records],
        "outcome": "" if entry.outcome is Outcome.NONE else entry.outcome.name.lower(),
        "intent_id": str(entry.intent_id or ""),
        "commitments": _commitments(entry.answer_commitment, opening),
    }
    leaf = _dump({name: value for name, value in document.items() if value != "" and value is not None})
    if len(leaf) > LARGEST_LEAF:
        raise EntryTooLargeError(
            f"the entry has {len(leaf)} bytes, of at most {LARGEST_LEAF}: name fewer fields or records"
        )
    return leaf


def item_bytes(entry: Entry, recorder: str) -> bytes:
    """Everything that an item says, for telling a repetition from another item under the same id."""
    document: dict[str, object] = {
        "recorder": recorder,
        "entry": [
            *(str(entry.item_id), entry.kind.value, entry.method, entry.caller, entry.office),
            *(entry.purpose, entry.operator, entry.outcome.value, str(entry.intent_id or "")),
            *(entry.answer_commitment.hex(), entry.answer_salt.hex()),
        ],
        "basis": _basis(entry.basis),
        "subject": [entry.subject.code_type, entry.subject.code] if entry.subject else None,
        "field_names": list(entry.field_names),
        "records": [[ref.resource, ref.version] for ref in entry.records],
    }
    if entry.further_subjects:  # What was appended before there were any is recognised by the same bytes.
        document["further_subjects"] = [[one.code_type, one.code] for one in entry.further_subjects]
    return _dump(document)


def read_item(leaf: bytes, opening: Opening | None) -> Entry:
    """The item that a leaf and its opening say; without opening it lacks the words said and the salt."""
    document = orjson.loads(leaf)
    basis = document.get("basis")
    intent_id = document.get("intent_id")
    commitments = document["commitments"]
    return Entry(
        item_id=UUID(document["id"]),
        kind=EntryKind[document["kind"].upper()],
        method=document["method"],
        caller=document["caller"],
        office=document.get("office", ""),
        basis=Basis(**{**basis, "kind": BasisKind[basis["kind"].upper()]}) if basis else None,
        purpose=opening.purpose if opening else "",
        operator=opening.operator if opening else "",
        subject=opening.subject if opening else None,
        field_names=tuple(document["field_names"]),
        records=tuple(RecordRef(ref["resource"], ref["version"]) for ref in document["records"]),
        outcome=Outcome[document["outcome"].upper()] if "outcome" in document else Outcome.NONE,
        intent_id=UUID(intent_id) if intent_id else None,
        answer_commitment=base64.b64decode(commitments.get("answer", "")),
        answer_salt=opening.answer_salt if opening else b"",
        further_subjects=opening.subjects[1:] if opening else (),
    )


@lru_cache(maxsize=16)  # What comes in one call has one time.
def _instant(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _basis(basis: Basis | None) -> Json | None:
    if basis is None:
        return None
    members = {
        "kind": basis.kind.name.lower(),
        "matter_code": basis.matter_code,
        "case_number": basis.case_number,
        "consent_id": basis.consent_id,
    }
    return {name: value for name, value in members.items() if value}


def _commitments(answer: bytes, opening: Opening) -> Json:
    members: dict[str, object] = {}
    if answer:
        members["answer"] = _base64(answer)
    if opening.operator:
        members["operator"] = _commit(opening.operator_salt, opening.operator)
    if opening.subject is not None:
        members["subject"] = _commit_subject(opening.subject_salt, opening.subject)
    if opening.further:
        members["further_subjects"] = [_commit_subject(salt, one) for one, salt in opening.further]
    return members


def _commit_subject(salt: bytes, subject: Subject) -> str:
    return _commit(salt, f"{subject.code_type}:{subject.code}")


def _commit(salt: bytes, text: str) -> str:
    return _base64(hmac.digest(salt, text.encode(), "sha256"))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _dump(document: Json) -> bytes:
    """RFC 8785 for texts, whole numbers, lists and members with ASCII names: for those sorted JSON is the
    same bytes, a hundred times as fast."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
