"""A person sees who used her data; that she looked is an entry of its own."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.disclosure import (
    BasisKind,
    Disclosure,
    Entry,
    EntryKind,
    Produced,
    Receipt,
    RecordRef,
    Released,
    RequestContext,
)
from core.errors import BasisMissingError, InvalidError, fault_error
from core.identity import Scope, Subject
from services.ledger.domain import PART, StoreLostError, unavailable
from services.ledger.service import LedgerDesk
from services.ledger.wording import Words, words_of

METHOD = "ledger.disclosures"
SHOWN = (
    *("receipt_id", "recorded_at", "outcome", "method", "caller", "office"),
    *("matter_code", "case_number", "consent_id", "field_names"),
)
"""What a look shows of each entry, as the look's own entry says it."""

DEFAULT_PAGE = 50
MOST_OPEN = 1000


class PageTokenError(InvalidError):
    """A page token that this list did not give out."""

    reason = "PAGE_TOKEN_INVALID"


@dataclass(frozen=True)
class Stretch:
    """Which of a person's entries are wanted."""

    before: int | None = None
    """Index in the log from which on they are not."""
    since: datetime | None = None
    until: datetime | None = None
    without_reads_of: str = ""
    """A caller whose disclosures are left out; nobody's where it is empty."""


@dataclass(frozen=True)
class Use:
    """One entry about a person."""

    index: int
    recorded_at: datetime
    entry: Entry
    """As its leaf says; what only its opening says is left out."""
    others: int
    """How many others the entry is about."""


@dataclass(frozen=True)
class Named:
    """What an entry names by code: a `caller`, an `office`, a `matter` or a `field`.

    A field's code is its name, after the matter's code or the record's resource and a dot where it is of one.
    """

    kind: str
    code: str


@dataclass(frozen=True)
class Name:
    """What the city calls it; in English too, where there is such a name."""

    name: str
    name_en: str = ""


@dataclass(frozen=True)
class ShownUse:
    """A use with everything named that has a name."""

    use: Use
    words: Words
    caller: Name | None
    office: Name | None
    matter: Name | None
    field_titles: tuple[str, ...]
    """In the order of the entry's field names, which stand for themselves where there is no title."""


@dataclass(frozen=True)
class UsesAnswer:
    """A page, and the token of the next; empty after the last."""

    uses: tuple[ShownUse, ...]
    next_page_token: str


class Uses(Protocol):
    """What was appended, by whom it is about. Every method may raise StoreLostError."""

    async def uses(self, indexes: Sequence[bytes], stretch: Stretch, limit: int) -> Sequence[Use]:
        """Entries about whom these blind indexes lead to, newest first, `limit` at most."""
        ...

    async def names(self, wanted: Collection[Named]) -> Mapping[Named, Name]:
        """The names of these, as far as the city has them."""
        ...


class Finder(Protocol):
    """Finds subjects without knowing them (core.vault)."""

    def blind_indexes(self, subject: Subject) -> list[bytes]:
        """The subject's index under every live key."""
        ...


class OwnLedger:
    """Takes the ledger's own entries to where everybody's go."""

    def __init__(self, desk: LedgerDesk) -> None:
        self._desk = desk

    async def append(self, entry: Entry) -> Receipt:
        """The receipt, once the entry is durable."""
        (answer,) = await self._desk.append(PART, [entry])
        if isinstance(answer, Receipt):
            return answer
        raise answer

    async def open_intents(self, older_than: datetime) -> Sequence[Entry]:
        """The ledger's own intents without outcome: it has no acts, and so none."""
        return await self._desk.open_intents(PART, older_than, MOST_OPEN)


class DisclosureDesk:
    """Shows people the entries that are about them."""

    def __init__(self, uses: Uses, finder: Finder, disclosure: Disclosure) -> None:
        self._uses = uses
        self._finder = finder
        self._disclosure = disclosure

    async def list(
        self,
        context: RequestContext,
        page_size: int,
        page_token: str,
        *,
        since: datetime | None,
        until: datetime | None,
        own_reads: bool,
        body: bytes,
    ) -> Released:
        """A page of the entries about the signed-in person, newest first.

        Errors: PAGE_TOKEN_INVALID, REQUEST_INVALID where `until` is not after `since`, BASIS_NOT_PERMITTED.
        """
        holder = _holder(context)
        if since is not None and until is not None and until <= since:
            raise fault_error("until", "after", "must be later than since")
        mine = "" if own_reads else context.caller.name
        stretch = Stretch(before_of(page_token), since, until, mine)
        size = page_size or DEFAULT_PAGE

        async def produce() -> Produced:
            try:
                indexes = self._finder.blind_indexes(holder)
                found = await self._uses.uses(indexes, stretch, size + 1)
                page = found[:size]
                names = await self._uses.names({one for use in page for one in _named(use.entry)})
            except StoreLostError as lost:
                raise unavailable("the ledger's database does not answer") from lost
            token = token_before(page[-1].index) if len(found) > size else ""
            answer = UsesAnswer(tuple(_shown(use, names) for use in page), token)
            # A stretch of the log says which entries were shown, in a few bytes, however many there are.
            refs = [RecordRef("ledger.entries", f"{page[-1].index}-{page[0].index}")] if page else []
            return Produced(answer, SHOWN, refs, holder)

        return await self._disclosure.read(context, method=METHOD, body=body, produce=produce)


def token_before(index: int) -> str:
    """The opaque token of the page that follows the entry at this index."""
    return base64.urlsafe_b64encode(f"before {index}".encode()).decode().rstrip("=")


def before_of(token: str) -> int | None:
    """What a page token says; None for the empty one. Raises PageTokenError."""
    if not token:
        return None
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("ascii")
        word, _, number = text.partition(" ")
        if word != "before" or not number.isdigit() or len(number) > 18:
            raise ValueError(word)
        return int(number)
    except (ValueError, binascii.Error):
        message = "take the next_page_token of the page before"
        error = fault_error("page_token", "known", message)
        raise PageTokenError(f"page_token: {message}", faults=error.faults) from None


def _holder(context: RequestContext) -> Subject:
    """The signed-in person, who asks about herself."""
    context.caller.require(Scope.CITIZEN)
    holder = context.caller.subject
    if holder is None or context.basis is None or context.basis.kind is not BasisKind.HOLDER:
        raise BasisMissingError("people see the uses of their own data only: sign in, and ask as the holder")
    return holder


def _named(entry: Entry) -> list[Named]:
    """What an entry names by code."""
    matter = entry.basis.matter_code if entry.basis else ""
    named = [Named("caller", entry.caller), Named("office", entry.office), Named("matter", matter)]
    fields = [one for name in entry.field_names for one in _fields(entry, name)]
    return [one for one in (*named, *fields) if one.code]


def _fields(entry: Entry, name: str) -> list[Named]:
    """How a field may be named, the nearest first: as the matter's form has it, as the record, by itself."""
    places = [entry.basis.matter_code] if entry.basis and entry.basis.matter_code else []
    places += [ref.resource for ref in entry.records[:1]]
    return [*(Named("field", f"{place}.{name}") for place in places), Named("field", name)]


def _shown(use: Use, names: Mapping[Named, Name]) -> ShownUse:
    entry = use.entry
    act = entry.kind is not EntryKind.DISCLOSURE
    return ShownUse(
        use,
        words_of(entry.method, act=act),
        names.get(Named("caller", entry.caller)),
        names.get(Named("office", entry.office)),
        names.get(Named("matter", entry.basis.matter_code if entry.basis else "")),
        tuple(_title(entry, name, names) for name in entry.field_names),
    )


def _title(entry: Entry, name: str, names: Mapping[Named, Name]) -> str:
    found = (names.get(one) for one in _fields(entry, name))
    return next((one.name for one in found if one is not None), name)
