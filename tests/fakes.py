"""One honest fake per Protocol: it keeps the promises of the real thing, in memory."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from joserfc import jwt
from joserfc.jwk import ECKey
from protovalidate import Validator

from core.clock import Clock
from core.disclosure import Entry, EntryKind, Receipt
from core.errors import ServiceError, UnavailableError
from core.identity import Subject
from core.ledger import item_of
from core.tokens import ALGORITHM, AUDIENCE, CITIZEN_CLIENT, ISSUER, IssuerKeys, TokenVerifier

_RULES = Validator()


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime | None = None) -> None:
        self.moment = start or datetime(2026, 3, 2, 2, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, span: timedelta) -> None:
        """Moves on."""
        self.moment += span


class FakeLedger:
    """A ledger without proofs: idempotent per item, an outcome once per intent, and it can be down.

    `entries` holds what was appended, in order; `calls` how many came together, where several did.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.calls: list[int] = []
        self.refuses: set[str] = set()
        self.down = False
        self._receipts: dict[uuid.UUID, Receipt] = {}

    async def append(self, entry: Entry) -> Receipt:
        """The receipt; the first one again for the same entry. Another entry under its id is a bug."""
        if self.down:
            raise UnavailableError("ledger is down or cannot be reached", part="ledger", retry_after=1.0)
        # As the real one does: what breaks the contract is no entry here either.
        broken = _RULES.collect_violations(item_of(entry))
        assert not broken, f"the ledger would refuse this entry: {broken[0].proto.message}"
        kept = next((one for one in self.entries if one.item_id == entry.item_id), None)
        if kept is not None:
            assert kept == entry, "another entry came under the same item id"
            return self._receipts[entry.item_id]
        if entry.kind is EntryKind.OUTCOME:
            assert entry.intent_id in {one.item_id for one in self.entries}, "an outcome without its intent"
            assert entry.intent_id not in {one.intent_id for one in self.entries}, "an intent ends once"
        index = len(self.entries)
        self.entries.append(entry)
        receipt = Receipt(
            id=str(entry.item_id),
            entry=b"{}",
            index=index,
            tree_size=index + 1,
            hashes=(),
            checkpoint="",
            answer_salt=entry.answer_salt,
        )
        self._receipts[entry.item_id] = receipt
        return receipt

    async def append_all(self, entries: Sequence[Entry]) -> list[Receipt | ServiceError]:
        """The same for many; an entry whose case is in `refuses` is refused alone."""
        self.calls.append(len(entries))
        return [
            UnavailableError("the ledger refuses this one")
            if one.basis is not None and one.basis.case_number in self.refuses
            else await self.append(one)
            for one in entries
        ]

    async def open_intents(self, older_than: datetime) -> list[Entry]:
        """Intents without an outcome; the fake does not know when each was appended."""
        closed = {one.intent_id for one in self.entries}
        return [one for one in self.entries if one.kind is EntryKind.INTENT and one.item_id not in closed]


class FakeIssuer:
    """An issuer that signs whatever it is asked for, with a real key; its verifier believes nobody else."""

    THUMBPRINT = "A" * 43
    """x5t#S256 that machines' tokens are bound to unless another is named."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._key = ECKey.generate_key("P-256", auto_kid=True)

    def machine(self, client: str, scopes: Iterable[str], thumbprint: str = THUMBPRINT) -> str:
        """An access token of a machine, bound to its certificate, good for 5 minutes."""
        return self._sign(client_id=client, scope=" ".join(scopes), cnf={"x5t#S256": thumbprint})

    def citizen(self, subject: Subject, name: str) -> str:
        """An inner token of a citizen, good for 5 minutes."""
        return self._sign(
            client_id=CITIZEN_CLIENT,
            scope="citizen",
            code_type=subject.code_type,
            code=subject.code,
            name=name,
        )

    def verifier(self) -> TokenVerifier:
        """What a service verifies these tokens with."""

        async def fetch() -> IssuerKeys:
            jwks = json.dumps({"keys": [self._key.as_dict(private=False)]})
            return IssuerKeys(jwks, self._clock() + timedelta(hours=1))

        return TokenVerifier(fetch, self._clock)

    def _sign(self, **claims: object) -> str:
        issued = int(self._clock().timestamp())
        times = {"iat": issued, "exp": issued + 300}
        header = {"alg": ALGORITHM, "kid": self._key.kid}
        return jwt.encode(header, {"iss": ISSUER, "aud": AUDIENCE, **times, **claims}, self._key, [ALGORITHM])
