"""What must be true after every fault: each acknowledged answer is in the log once, each key acted once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx2
import psycopg

from core.merkle import EMPTY_ROOT, leaf_hash, node_hash
from core.note import VerifierKey, open_checkpoint
from tests.city import City
from tests.faults.load import PASSING, Load, receipt_of

SETTLED_SECONDS = 40.0
"""Until a write that nobody acknowledged is done, once everything is well again."""

REPLAYED_SECONDS = 5.0
"""Until what was acknowledged is answered again: everything is well by now, but the machine may be busy."""

CLOSED_SECONDS = 90.0
"""An open intent is left alone for 30 s, then closed within a round of recovery."""


def rows(city: City, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """A statement as the database's owner."""
    with psycopg.connect(city.admin_dsn) as connection:
        return connection.execute(statement.encode(), values).fetchall()


class Account:
    """The books of one load: what stood there before it began, and what must have come of it."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._signatures = self._count("eseal.signature")
        self._consents = self._count("agricredit.consent")
        self._requests = self._count("agricredit.consent_request")
        self._uses = self._used()

    def check_log(self, load: Load) -> int:
        """The log is whole, its newest checkpoint is over exactly its entries, and each acknowledged answer
        is in it, once, where its receipt says. The log's size.
        """
        log = rows(self._city, "SELECT idx, item_id::text, leaf, intent_id FROM ledger.entry ORDER BY idx")
        assert [index for index, *_ in log] == list(range(len(log))), "the log has gaps"
        self._check_tree([bytes(leaf) for _, _, leaf, _ in log])
        place = {item: index for index, item, *_ in log}
        assert len(place) == len(log), "an item stands in the log twice"
        lost = [one for one in load.given if place.get(one.receipt_id) != one.index]
        assert not lost, f"{len(lost)} acknowledged answers are not where their receipts say: {lost[:3]}"
        ends = Counter(intent for *_, intent in log if intent is not None)
        assert not [intent for intent, times in ends.items() if times > 1], "an intent ended twice"
        doubled = [
            key for key, ids in _receipts_by_key(load).items() if len(ids) > 1
        ]  # a key that was answered under two receipts acted twice
        assert not doubled, f"{len(doubled)} keys were answered under two receipts"
        return len(log)

    def settle(self, load: Load) -> None:
        """Sends what was not acknowledged until it is; then everything was done exactly once."""
        deadline = time.monotonic() + SETTLED_SECONDS
        while load.unanswered:
            for key, (kind, ask) in list(load.unanswered.items()):
                load.once(kind, key, ask)
            assert time.monotonic() < deadline, f"{len(load.unanswered)} writes are never acknowledged"
            time.sleep(0.1)
        for kind, kept in load.replays.items():
            for ask, receipt_id in kept:
                self._replay(load, kind, ask, receipt_id)
        assert self._count("eseal.signature") - self._signatures == load.done["sign"]
        assert self._count("agricredit.consent") - self._consents == load.done["grant"]
        assert self._count("agricredit.consent_request") - self._requests == load.done["request"]
        assert self._used() - self._uses == load.done["land_rights"] + load.done["subsidies"]

    def check_closed(self) -> None:
        """Every intent has its outcome, after the time in which services close what a crash left open."""
        deadline = time.monotonic() + CLOSED_SECONDS
        while (left := _open_intents(self._city)) and time.monotonic() < deadline:
            time.sleep(0.5)
        assert not left, f"{len(left)} intents stay open"
        undone = rows(
            self._city,
            "SELECT count(*) FROM eseal.signature AS one WHERE NOT EXISTS"
            " (SELECT FROM ledger.entry AS outcome WHERE outcome.intent_id = one.intent_id)",
        )
        assert undone == [(0,)], "a seal was put without its outcome in the log"

    def _replay(self, load: Load, kind: str, ask: Any, receipt_id: str) -> None:
        deadline = time.monotonic() + REPLAYED_SECONDS
        answer: httpx2.Response | None = load.attempt("replay", ask)
        while (answer is None or answer.status_code in PASSING) and time.monotonic() < deadline:
            time.sleep(0.2)
            answer = load.attempt("replay", ask)
        assert answer is not None, f"{kind}: a replay is not answered"
        if kind in {"land_rights", "subsidies"} and answer.status_code == httpx2.codes.FORBIDDEN:
            return  # Revoked meanwhile: a replay is authorised afresh.
        assert answer.is_success, f"{kind}: a replay was answered with {answer.status_code} {answer.text}"
        assert receipt_of(answer).get("id", "") == receipt_id, f"{kind}: a replay has another receipt"

    def _check_tree(self, leaves: Sequence[bytes]) -> None:
        answer = httpx2.get(f"{self._city.people}/ledger/v1/checkpoint", verify=self._city.tls())
        answer.raise_for_status()
        key = VerifierKey.parse((self._city.settings.keys / "ledger.vkey").read_text().strip())
        checkpoint = open_checkpoint(answer.text, key)
        # Somebody may have appended while we looked: what is compared is what the checkpoint is over.
        assert checkpoint.size >= len(leaves)
        more = rows(
            self._city,
            "SELECT leaf FROM ledger.entry WHERE idx >= %s AND idx < %s ORDER BY idx",
            len(leaves),
            checkpoint.size,
        )
        whole = [*leaves, *(bytes(leaf) for (leaf,) in more)]
        assert tree_root(whole) == checkpoint.root, "the checkpoint is not over the stored entries"

    def _count(self, table: str) -> int:
        return int(rows(self._city, f"SELECT count(*) FROM {table}")[0][0])

    def _used(self) -> int:
        return int(rows(self._city, "SELECT coalesce(sum(uses), 0) FROM agricredit.consent")[0][0])


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """The root of RFC 6962 over these leaves: subtrees of equal height are joined as they come up."""
    stack: list[tuple[int, bytes]] = []
    for leaf in leaves:
        height, node = 0, leaf_hash(leaf)
        while stack and stack[-1][0] == height:
            node = node_hash(stack.pop()[1], node)
            height += 1
        stack.append((height, node))
    if not stack:
        return EMPTY_ROOT
    _, root = stack.pop()
    while stack:
        root = node_hash(stack.pop()[1], root)
    return root


def _receipts_by_key(load: Load) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for one in load.given:
        if one.key:
            found.setdefault(f"{one.kind} {one.key}", set()).add(one.receipt_id)
    return found


def _open_intents(city: City) -> list[tuple[Any, ...]]:
    return rows(
        city,
        "SELECT intent.item_id FROM ledger.entry AS intent WHERE intent.kind = 2 AND NOT EXISTS"
        " (SELECT FROM ledger.entry AS outcome WHERE outcome.intent_id = intent.item_id)",
    )
