"""Keys on a token (PKCS #11): a few sessions, each in a process of its own that is killed when it overruns.

A token that is slow, gone or reset costs the calls that need it, within their time, and nothing else: a
session that broke is opened anew, once for a call. A PIN that was refused is not tried again before its file
has changed, for tokens lock themselves after a few wrong ones.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from asn1crypto import x509

from core.log import get_logger
from services.eseal.domain import Algorithm
from services.eseal.frames import Json, exchange, kill
from services.eseal.keys.signers import is_signed
from services.eseal.refusals import KeystoreUnavailableError, KeyUnknownError

_logger = get_logger()
_AGAIN_SECONDS = 2.0


class _BrokenError(Exception):
    """A session that is of no more use."""


@dataclass(frozen=True)
class TokenPlace:
    """Which token, and how it is reached: the vendor's library, the label, the file that holds the PIN."""

    module: Path
    label: str
    pin_file: Path


def token_place(module: Path | None, label: str, pin_file: Path | None) -> TokenPlace | None:
    """The token that settings name; None where they name none. Raises ValueError on a part of it."""
    if module is None:
        return None
    if not label or pin_file is None:
        raise ValueError("ONESTOP_TOKEN_LABEL, ONESTOP_TOKEN_PIN_FILE: are needed with ONESTOP_TOKEN_MODULE")
    return TokenPlace(module, label, pin_file)


class Token:
    """A token's keys. `close` ends its sessions, which are opened as they are needed.

    `seconds` bounds each call, the waiting for a free session included. `writing` is for making keys.
    """

    def __init__(
        self, place: TokenPlace, *, sessions: int = 2, seconds: float = 5.0, writing: bool = False
    ) -> None:
        self.label = place.label
        """Of the token."""
        self._place = place
        self._seconds = seconds
        self._writing = writing
        self._idle: asyncio.LifoQueue[asyncio.subprocess.Process | None] = asyncio.LifoQueue()
        for _ in range(sessions):
            self._idle.put_nowait(None)
        self._all: set[asyncio.subprocess.Process] = set()
        self._ending: set[asyncio.Future[int]] = set()
        self._opening = asyncio.Lock()
        self._pin_refused: tuple[int, int] | None = None

    async def sign(self, key_id: UUID, algorithm: Algorithm, data: bytes) -> bytes:
        """A key's signature over the data; ECDSA as DER. Raises KeyUnknownError, KeystoreUnavailableError."""
        return await self._do("sign", key_id, algorithm, data)

    async def generate(self, key_id: UUID, algorithm: Algorithm) -> bytes:
        """The public half (SubjectPublicKeyInfo, DER) of a new key under this id. It never leaves.

        Raises KeyUnknownError where the token cannot make one, KeystoreUnavailableError.
        """
        return await self._do("generate", key_id, algorithm)

    async def destroy(self, key_id: UUID, algorithm: Algorithm) -> None:
        """Removes the key for good, if it is there. Raises KeystoreUnavailableError."""
        await self._do("destroy", key_id, algorithm)

    async def require(self) -> None:
        """Passes where a session is open or can be opened, else raises KeystoreUnavailableError."""
        if not any(process.returncode is None for process in self._all):
            async with self._bounded():
                slot = await self._idle.get()
                try:
                    slot = await self._start()
                finally:
                    self._idle.put_nowait(slot)

    async def close(self) -> None:
        """Ends every session at once."""
        processes, self._all = self._all, set()
        for process in processes:
            kill(process)
        await asyncio.gather(*(process.wait() for process in processes), *self._ending)

    async def _do(self, job: str, key_id: UUID, algorithm: Algorithm, data: bytes = b"") -> bytes:
        head: Json = {"job": job, "key": key_id.hex, "algorithm": algorithm.value}
        async with self._bounded():
            answer, blobs = await self._try_twice(head, [data])
        if said := answer.get("refused"):
            raise KeyUnknownError(str(said))
        (result,) = blobs
        return result

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._seconds):
                yield
        except TimeoutError:
            _logger.warning("token_overran", token=self.label)
            raise self._unavailable("does not answer in time") from None

    async def _try_twice(self, head: Json, blobs: Sequence[bytes]) -> tuple[Json, list[bytes]]:
        """Does a job by the next free session; once more by a new one where that one broke."""
        process = await self._idle.get()
        done = False
        try:
            for last in (False, True):
                if process is None or process.returncode is not None:
                    process = await self._start()
                try:
                    answer = await exchange(process, head, blobs)
                    if "broken" in answer[0]:
                        raise _BrokenError(str(answer[0]["broken"]))
                except (EOFError, ConnectionError, ValueError, _BrokenError) as failure:
                    why = str(failure) if isinstance(failure, _BrokenError) else type(failure).__name__
                    _logger.warning("token_session_broke", token=self.label, why=why)
                    self._discard(process)
                    process = None
                    if last:
                        raise self._unavailable("breaks off") from None
                else:
                    done = True
                    return answer
            raise AssertionError("unreachable")
        finally:
            # An answer that is still under way would be taken for the next job's.
            if process is not None and not done:
                self._discard(process)
            self._idle.put_nowait(process if done else None)

    async def _start(self) -> asyncio.subprocess.Process:
        """A new session. One at a time, so that a wrong PIN is tried once."""
        async with self._opening:
            stamp = self._pin_stamp()
            if stamp == self._pin_refused:
                raise self._unavailable("has refused the PIN; put the right one into its file")
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "services.eseal.keys.token_worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                # The vendor's library is set up by variables of its own.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                start_new_session=True,
            )
            place: Json = {
                "module": str(self._place.module),
                "label": self._place.label,
                "pin_file": str(self._place.pin_file),
                "writing": self._writing,
            }
            try:
                answer, _ = await exchange(process, place, [])
            except (EOFError, ConnectionError, ValueError):
                self._discard(process)
                raise self._unavailable("cannot be opened") from None
            except BaseException:
                self._discard(process)
                raise
            if answer.get("ready"):
                self._all.add(process)
                return process
            self._discard(process)
            why = str(answer.get("refused") or answer.get("pin") or answer.get("broken"))
            _logger.warning("token_not_opened", token=self.label, why=why)
            if "pin" in answer:
                self._pin_refused = stamp
                raise self._unavailable("has refused the PIN; put the right one into its file")
            raise self._unavailable(f"cannot be opened: {why}")

    def _pin_stamp(self) -> tuple[int, int]:
        try:
            state = self._place.pin_file.stat()
        except OSError:
            return (0, 0)
        return state.st_mtime_ns, state.st_ino

    def _discard(self, process: asyncio.subprocess.Process) -> None:
        self._all.discard(process)
        kill(process)
        ending = asyncio.ensure_future(process.wait())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    def _unavailable(self, why: str) -> KeystoreUnavailableError:
        return KeystoreUnavailableError(f"the token {self.label!r} {why}", retry_after=_AGAIN_SECONDS)


class TokenSigner:
    """One key on a token. What the token gives is a signature only if it is this certificate's key's."""

    is_quick = False
    """Whether it signs in a fraction of a millisecond, and waits for nobody meanwhile."""
    in_device = True
    """The token signs."""

    def __init__(
        self,
        token: Token,
        key_id: UUID,
        algorithm: Algorithm,
        certificate: bytes,
        chain: Sequence[bytes] = (),
    ) -> None:
        self.algorithm = algorithm
        """The suite that it signs by."""
        self.certificate = certificate
        """The key's certificate, DER."""
        self.chain = tuple(chain)
        """Certificates between that one and its root, DER, the nearest first."""
        self._token = token
        self._key_id = key_id
        self._public_key = x509.Certificate.load(certificate).public_key.dump()

    async def sign(self, data: bytes) -> bytes:
        """The signature over the data, by the key's suite; ECDSA as DER.

        Raises KeyUnknownError, also where it is another key's, and KeystoreUnavailableError.
        """
        signature = await self._token.sign(self._key_id, self.algorithm, data)
        if not is_signed(self._public_key, self.algorithm, data, signature):
            raise KeyUnknownError("what the token signed is not by the key of the seal's certificate")
        return signature
