"""Learns from configured sources whether certificates were revoked, and keeps what counts until it ends."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from aiohttp import ClientError, ClientSession, ClientTimeout
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from core.clock import Clock
from core.log import get_logger
from services.eseal.trust.sources import Source
from services.eseal.trust.status_answers import RevocationList, query, read_answer, read_list
from services.eseal.trust.vouching import USUAL, Vouching
from services.eseal.verifying.standing import UNKNOWN, Standing, worst_of

ANSWER_SECONDS = 4.0
"""How long one source may take."""
AGAIN_SECONDS = 5.0
"""A source that has failed is not asked again before; it holds up one call, and not each."""
LARGEST_ANSWER = 64 * 1024
LARGEST_LIST = 16 * 1024 * 1024
KEPT = 4096
"""Answers of OCSP kept at once; a list counts as one."""

_logger = get_logger()
K = TypeVar("K")
T = TypeVar("T")
Ask = Callable[[], Awaitable["_Kept"]]


@dataclass(frozen=True)
class _Kept:
    """What a source said, and until when it counts."""

    said: Standing | RevocationList
    until: datetime


class Statuses:
    """What became of certificates, as their issuers' sources say."""

    def __init__(
        self,
        sources: Sequence[Source],
        clock: Clock,
        steady: Callable[[], float] = time.monotonic,
        vouching: Vouching = USUAL,
    ) -> None:
        self._sources = sources
        self._vouching = vouching
        self._clock = clock
        self._steady = steady
        self._kept: OrderedDict[tuple[str, int], _Kept] = OrderedDict()
        self._failed: OrderedDict[tuple[str, int], float] = OrderedDict()
        self._asking: dict[tuple[str, int], asyncio.Task[_Kept | None]] = {}
        # Whose a certificate is never changes, and to verify it costs as much as all the rest.
        self._source_by: OrderedDict[bytes, Source | None] = OrderedDict()
        self._read: OrderedDict[bytes, tuple[int, Source | None]] = OrderedDict()
        """Serial number and source of certificates, DER, that were read before."""

    async def standing(self, certificate: bytes) -> Standing:
        """What is known now of a certificate, DER; UNKNOWN where no source of its issuer answers."""
        try:
            parsed = x509.load_der_x509_certificate(certificate)
            source = self._source_of(parsed)
        except ValueError:
            return UNKNOWN
        self._read[certificate] = parsed.serial_number, source
        _bound(self._read)
        if source is None:
            return UNKNOWN
        if source.ocsp:
            said = await self._once((source.ocsp, parsed.serial_number), lambda: self._ask(parsed, source))
            if isinstance(said, Standing):
                return said
        return await self._by_list(parsed, source)

    async def listed(self, certificate: bytes) -> Standing:
        """What the revocation list of its issuer says of a certificate, DER; UNKNOWN where there is none."""
        try:
            parsed = x509.load_der_x509_certificate(certificate)
            source = self._source_of(parsed)
        except ValueError:
            return UNKNOWN
        return await self._by_list(parsed, source) if source is not None else UNKNOWN

    async def _by_list(self, certificate: x509.Certificate, source: Source) -> Standing:
        if source.crl:
            said = await self._once((source.crl, 0), lambda: self._fetch_list(source))
            if isinstance(said, RevocationList):
                return said.standing(certificate.serial_number)
        return UNKNOWN

    async def of_chain(self, certificates: Sequence[bytes]) -> Standing:
        """Of a certificate and those above it, the root left out: the worst there is."""
        kept = [one for one in map(self._kept_of, certificates) if one is not None]
        if len(kept) == len(certificates):  # As with nearly every seal: nobody has to be asked.
            return worst_of(kept)
        return worst_of(list(await asyncio.gather(*map(self.standing, certificates))))

    def _kept_of(self, certificate: bytes) -> Standing | None:
        """What `standing` would say of a certificate, DER, where that needs no question; else None."""
        if (read := self._read.get(certificate)) is None:
            return None
        serial, source = read
        if source is None:
            return UNKNOWN
        key = (source.ocsp, serial) if source.ocsp else (source.crl, 0)
        kept = self._kept.get(key)
        if kept is None or self._clock() >= kept.until:
            return None
        self._kept.move_to_end(key)
        return kept.said.standing(serial) if isinstance(kept.said, RevocationList) else kept.said

    def _source_of(self, certificate: x509.Certificate) -> Source | None:
        digest = certificate.fingerprint(SHA256())
        if digest not in self._source_by:
            issued = (one for one in self._sources if self._vouching.has_issued(one.issuer, certificate))
            self._source_by[digest] = next(issued, None)
            _bound(self._source_by)
        return self._source_by[digest]

    async def _once(self, key: tuple[str, int], ask: Ask) -> Standing | RevocationList | None:
        """What is kept under the key, or what the source says now; who asks meanwhile waits for the same."""
        kept = self._kept.get(key)
        if kept is not None and self._clock() < kept.until:
            self._kept.move_to_end(key)
            return kept.said
        if self._steady() - self._failed.get(key, float("-inf")) < AGAIN_SECONDS:
            return None
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._learn(key, ask))
            task.add_done_callback(lambda _done: self._asking.pop(key, None))
        learned = await asyncio.shield(task)
        return learned.said if learned else None

    async def _learn(self, key: tuple[str, int], ask: Ask) -> _Kept | None:
        try:
            learned = await ask()
        except (ClientError, TimeoutError, OSError, ValueError) as failure:
            _logger.warning("revocation_source_failed", source=key[0], error=type(failure).__name__)
            self._failed[key] = self._steady()
            _bound(self._failed)
            return None
        self._failed.pop(key, None)
        self._kept[key] = learned
        _bound(self._kept)
        return learned

    async def _ask(self, certificate: x509.Certificate, source: Source) -> _Kept:
        body = query(certificate, source.issuer)
        content = await _fetch(source.ocsp, LARGEST_ANSWER, body)
        now = self._clock()
        return _Kept(*read_answer(content, certificate, source.issuer, now, vouching=self._vouching))

    async def _fetch_list(self, source: Source) -> _Kept:
        content = await _fetch(source.crl, LARGEST_LIST)
        found = await asyncio.to_thread(
            read_list, content, source.issuer, self._clock(), vouching=self._vouching
        )
        return _Kept(found, found.until)


async def _fetch(url: str, largest: int, query: bytes = b"") -> bytes:
    """An answer of bounded size from one address: no redirection, no proxy. Raises several errors."""
    async with (
        ClientSession(timeout=ClientTimeout(total=ANSWER_SECONDS), trust_env=False) as session,
        session.request(
            "POST" if query else "GET",
            url,
            data=query or None,
            headers={"Content-Type": "application/ocsp-request"} if query else None,
            allow_redirects=False,
        ) as answer,
    ):
        if answer.status != 200:
            raise ValueError(f"the source answers {answer.status}")
        content = bytearray()
        async for piece in answer.content.iter_chunked(64 * 1024):
            content += piece
            if len(content) > largest:
                raise ValueError("the answer is larger than it may be")
        return bytes(content)


def _bound(held: OrderedDict[K, T]) -> None:
    while len(held) > KEPT:
        held.popitem(last=False)
