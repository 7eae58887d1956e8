"""What the log shows to everybody: checkpoints, tiles of hashes, and the keys to check them with."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Protocol
from uuid import UUID

from core.cosignature import cosignatures
from core.merkle import HASH_LENGTH, VerificationError
from core.policy import NONE, Policy
from services.ledger.continuation import Continuation
from services.ledger.custody import Notary
from services.ledger.domain import (
    CustodyError,
    Head,
    NotCosignedError,
    Signed,
    StoreLostError,
    TileNotFoundError,
    TreeHead,
    unavailable,
)
from services.ledger.merkle import TileId

NEWEST_COSIGNATURES = 256
"""So many are looked through for a checkpoint that satisfies the policy."""
RETRY_SECONDS = 1.0


class PublicArchive(Protocol):
    """What was signed; every method may raise StoreLostError."""

    async def head(self) -> Head:
        """Where the log stands."""
        ...

    async def tiles(self, wanted: Collection[TileId]) -> Mapping[TileId, bytes]:
        """The hashes of tiles, as many as there are now."""
        ...


class Cosignatures(Protocol):
    """What witnesses have signed; every method may raise StoreLostError."""

    async def of(self, size: int) -> Sequence[str]:
        """The cosignature lines of the checkpoint of this size."""
        ...

    async def newest(self, larger_than: int, limit: int) -> Sequence[tuple[int, str, str]]:
        """Size, note and one cosignature line of the newest checkpoints that have any, newest first."""
        ...


class Continuations(Protocol):
    """The logs that this one continues."""

    async def all(self) -> Mapping[UUID, Continuation]:
        """By the entry's id, oldest first. May raise StoreLostError."""
        ...


class PublicNotary(Notary, Protocol):
    """Opens this log's checkpoints, and says the keys that everybody else opens them with."""

    @property
    def verifier_key(self) -> str:
        """The current public key in C2SP form."""
        ...

    @property
    def verifier_keys(self) -> Sequence[str]:
        """That one, one that is coming, and those that have signed before."""
        ...


class PublicLog:
    """Answers anybody."""

    def __init__(
        self,
        archive: PublicArchive,
        cosigned: Cosignatures,
        continuations: Continuations,
        notary: PublicNotary,
        policy: Policy,
    ) -> None:
        self._archive = archive
        self._cosigned = cosigned
        self._continuations = continuations
        self._notary = notary
        self._policy = policy

    @property
    def verifier_key(self) -> str:
        """The public key that signs now, in C2SP form."""
        return self._notary.verifier_key

    async def size(self) -> int:
        """How many entries the log has. Raises UnavailableError."""
        return (await self._head()).size

    async def checkpoint(self, *, cosigned: bool = False) -> str:
        """The newest signed checkpoint, with the cosignatures that it has so far.

        `cosigned` asks for the newest one whose cosignatures satisfy the policy instead; NotCosignedError
        where there is none yet. Raises UnavailableError before the log has begun, CustodyError where the
        stored one is not ours.
        """
        if not cosigned:
            return (await self._newest()).cosigned
        former = await self._former()
        return (await self.covering(former[-1].size if former else -1)).cosigned

    async def covering(self, index: int) -> Signed:
        """The newest checkpoint that satisfies the policy, of a tree with this leaf.

        Raises NotCosignedError where there is none yet, UnavailableError, CustodyError.
        """
        if self._policy.quorum == NONE:
            return await self._newest()
        try:
            rows = await self._cosigned.newest(index, NEWEST_COSIGNATURES)
        except StoreLostError as lost:
            raise unavailable("the ledger's database does not answer") from lost
        for (size, note), lines in groupby(rows, key=lambda row: (row[0], row[1])):
            signed = Signed(size, note, tuple(line for _, _, line in lines))
            if self._satisfies(signed):
                await self.opened(note)
                return signed
        raise NotCosignedError(
            "the witnesses have not cosigned this yet; try again shortly",
            part="ledger",
            retry_after=RETRY_SECONDS,
        )

    async def opened(self, note: str) -> TreeHead:
        """What a kept checkpoint says, of this log or of one that it continues.

        Raises CustodyError where it is neither's, UnavailableError.
        """
        try:
            return self._notary.open(note)
        except CustodyError:
            for former in await self._former():
                with suppress(CustodyError):
                    return former.open(note)
            raise

    async def tile(self, level: int, index: int, width: int) -> bytes:
        """The first `width` hashes of a tile. Raises TileNotFoundError, UnavailableError, CustodyError."""
        tile = TileId(level, index)
        try:
            head = await self._archive.head()
            if not 0 < width <= tile.width(head.size):
                raise TileNotFoundError("the log has no such tile, or not as wide", part="ledger")
            hashes = (await self._archive.tiles([tile]))[tile]
        except StoreLostError as lost:
            raise unavailable("the ledger's database does not answer") from lost
        if len(hashes) < width * HASH_LENGTH:
            raise CustodyError(f"the tile {level}/{index} lacks hashes")
        return hashes[: width * HASH_LENGTH]

    async def policy(self) -> str:
        """The keys that checkpoints verify with, as C2SP tlog-policy writes them. Raises UnavailableError."""
        former = await self._former()
        lines = ["# The log that appends now.", *(f"log {key}" for key in self._notary.verifier_keys)]
        for one in reversed(former):
            lines += [
                f"# Ended. Its last known checkpoint is of size {one.last_known.size}; its first {one.size}"
                f" entries go on in the log above it, whose entry {one.size} names it.",
                *(f"log {key}" for key in one.verifier_keys),
            ]
        return "\n".join([*lines, *self._policy.lines(), ""])

    async def _newest(self) -> Signed:
        head = await self._head()
        self._notary.open(head.checkpoint)
        try:
            lines = await self._cosigned.of(head.size)
        except StoreLostError as lost:
            raise unavailable("the ledger's database does not answer") from lost
        return Signed(head.size, head.checkpoint, tuple(lines))

    async def continuations(self) -> Sequence[UUID]:
        """Ids of the entries by which this log continues others, oldest first. Raises UnavailableError."""
        return list(await self._all_continuations())

    async def _former(self) -> Sequence[Continuation]:
        return list((await self._all_continuations()).values())

    async def _all_continuations(self) -> Mapping[UUID, Continuation]:
        try:
            return await self._continuations.all()
        except StoreLostError as lost:
            raise unavailable("the ledger's database does not answer") from lost

    def _satisfies(self, signed: Signed) -> bool:
        try:
            proved = cosignatures(signed.cosigned, [one.key for one in self._policy.witnesses])
        except VerificationError as failure:
            raise CustodyError(f"a kept cosignature does not verify: {failure}") from None
        return self._policy.satisfied({one.key for one in proved})

    async def _head(self) -> Head:
        try:
            head = await self._archive.head()
        except StoreLostError as lost:
            raise unavailable("the ledger's database does not answer") from lost
        if not head.checkpoint:
            raise unavailable("the log has not begun")
        return head
