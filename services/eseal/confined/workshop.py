"""Keeps a few confined workers ready, gives each one job at a time, and kills what overruns its time."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

from core.errors import ServiceError
from core.log import get_logger
from services.eseal.confined.jobs import (
    InspectJob,
    PrepareJob,
    PrepareOfdJob,
    ProlongJob,
    VouchJob,
    findings_of,
    prepared_of,
    prepared_ofd_of,
    prolonged_of,
)
from services.eseal.confined.photo_job import PhotoJob, read_answer
from services.eseal.confined.picture_job import PictureJob, picture_of
from services.eseal.domain import Picture, Stamp
from services.eseal.frames import Json, exchange, kill, read_frame
from services.eseal.gm.ses_making import SealFace
from services.eseal.photo import Photo
from services.eseal.refusals import DocumentMalformedError, WorkshopBusyError
from services.eseal.sealing.placing import Placing
from services.eseal.sealing.ports import Evidence, Prolonged
from services.eseal.sealing.prepared import RESERVED_HEX, PreparedDocument
from services.eseal.sealing.prepared_ofd import PreparedOfd
from services.eseal.verifying.finding import Finding

_logger = get_logger()

START_SECONDS = 30.0
_OUT_OF_FORM = (EOFError, ConnectionError, ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What reading the answer of a worker raises that died, or that is not itself any more."""

T = TypeVar("T")
Read: TypeAlias = Callable[[Json, list[bytes]], T]
"""Reads the answer to a job."""


class Job(Protocol):
    """Work for a worker."""

    def frame(self) -> tuple[Json, list[bytes]]:
        """The job as it travels."""
        ...


class Workshop:
    """A pool of workers. `open` starts them; `close` ends them.

    `cpu_seconds` is what one file may cost: a file that costs more is refused. `wall_seconds` is how long
    the answer may take on a busy machine: past it the worker is replaced, and the caller told to come back.
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        cpu_seconds: float = 5.0,
        wall_seconds: float = 20.0,
        waiting: int = 32,
        waiting_seconds: float = 20.0,
        libcrypto: Path | None = None,
    ) -> None:
        self._size = workers
        self._cpu_seconds = cpu_seconds
        self._wall_seconds = wall_seconds
        self._waiting_limit = waiting
        self._waiting_seconds = waiting_seconds
        self._libcrypto = str(libcrypto) if libcrypto else ""
        self._idle: asyncio.Queue[asyncio.subprocess.Process | None] = asyncio.Queue()
        self._all: set[asyncio.subprocess.Process] = set()
        self._ending: set[asyncio.Future[int]] = set()
        self._waiting = 0
        self._patient: deque[asyncio.Future[None]] = deque()

    @property
    def size(self) -> int:
        """How many workers there are."""
        return self._size

    async def leisure(self) -> None:
        """Returns when a worker is free and nobody waits for one: to be asked for at once."""
        while self._waiting or self._idle.empty():
            turn = asyncio.get_running_loop().create_future()
            self._patient.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._call_patient()  # The turn may have been this one's already.
                raise

    async def open(self) -> None:
        """Starts every worker, so that the first job finds one ready."""
        for process in await asyncio.gather(*(self._start() for _ in range(self._size))):
            self._idle.put_nowait(process)

    async def close(self) -> None:
        """Ends the workers at once; no job may be under way."""
        processes, self._all = self._all, set()
        for process in processes:
            kill(process)
        await asyncio.gather(*(process.wait() for process in processes))
        if self._ending:
            await asyncio.wait(self._ending)

    async def prepare(
        self,
        document: bytes,
        place: Placing,
        picture: Picture,
        *,
        field_name: str,
        signer_name: str,
        moment: datetime,
        room: int = RESERVED_HEX,
        certify: bool = False,
    ) -> PreparedDocument:
        """A PDF laid out for one more seal, its signature with this room in hexadecimal digits.

        Errors: DOCUMENT_*, PAGE_NOT_FOUND, CERTIFICATION_NOT_FIRST, WORKSHOP_BUSY.
        """
        job = PrepareJob(document, place, picture, field_name, signer_name, moment, room, certify)
        return await self._do(job, partial(prepared_of, document))

    async def prolong(
        self, document: bytes, evidence: Evidence, *, field_name: str, timestamp_field: str
    ) -> Prolonged:
        """What a PDF that was sealed in this field gets for years to come; with a `timestamp_field` a gap
        for a document timestamp too. Errors: DOCUMENT_MALFORMED, WORKSHOP_BUSY."""
        job = ProlongJob(document, evidence, field_name, timestamp_field, datetime.now(UTC))
        return await self._do(job, partial(prolonged_of, document))

    async def prepare_ofd(
        self, document: bytes, place: Placing, stamp: Stamp, *, moment: datetime
    ) -> PreparedOfd:
        """An OFD laid out for one more seal. Errors: DOCUMENT_*, PAGE_NOT_FOUND, WORKSHOP_BUSY."""
        size = (stamp.picture.width_mm, stamp.picture.height_mm)
        job = PrepareOfdJob(document, place, stamp.structure, size, moment, self._libcrypto)
        return await self._do(job, partial(prepared_ofd_of, document, moment))

    async def inspect(
        self,
        document: bytes,
        *,
        roots: Sequence[bytes],
        moment: datetime,
        time_roots: Sequence[bytes] = (),
    ) -> list[Finding]:
        """What a PDF or an OFD shows of the seals in it, `roots` being for its format, `time_roots` those of
        timestamps.

        Errors: DOCUMENT_*, ALGORITHM_UNAVAILABLE, WORKSHOP_BUSY.
        """
        job = InspectJob(document, roots, moment, self._libcrypto, time_roots)
        return await self._do(job, findings_of)

    async def vouch(
        self,
        certificate: bytes,
        above: Sequence[bytes],
        digest: str,
        *,
        roots: Sequence[bytes],
        moment: datetime,
    ) -> list[Finding]:
        """What is to be said now of the certificate of PDFs' seals that are known to be whole; empty where
        it is not to be believed. Errors: DOCUMENT_MALFORMED, WORKSHOP_BUSY."""
        return await self._do(VouchJob(certificate, above, digest, roots, moment), findings_of)

    async def read_picture(self, file: bytes, width_mm: float) -> tuple[Picture, SealFace]:
        """An uploaded picture as that of a seal, for PDF and for OFD. Errors: SEAL_PICTURE_INVALID,
        WORKSHOP_BUSY."""
        job = PictureJob(file, width_mm, datetime.now(UTC))
        return await self._do(job, partial(picture_of, width_mm))

    async def read_photo(self, file: bytes, room: tuple[int, int]) -> Photo:
        """A picture for a template's field, which has room for so many dots across and down. Errors:
        SEAL_PICTURE_INVALID, DOCUMENT_MALFORMED (it takes too much to read), WORKSHOP_BUSY."""
        job = PhotoJob(file, room, datetime.now(UTC))
        # Its dots are counted, of which a whole page has many millions.
        return await self._do(job, partial(read_answer, room), beside_loop=True)

    async def _do(self, job: Job, read: Read[T], *, beside_loop: bool = False) -> T:
        """Runs one job and reads its answer, in a thread where that takes long; once more where a worker
        died, which may have been an accident. One that a file has taken over may answer anything, and is
        replaced as well."""
        head, blobs = job.frame()
        head = {**head, "cpu_seconds": self._cpu_seconds}
        for last in (False, True):
            try:
                return await self._try(head, blobs, read, beside_loop)
            except _OUT_OF_FORM as failure:
                _logger.warning("worker_died", job=head.get("job"), failure=type(failure).__name__)
                if last:
                    raise DocumentMalformedError("the file cannot be read") from failure
        raise AssertionError("unreachable")

    async def _try(self, head: Json, blobs: Sequence[bytes], read: Read[T], beside_loop: bool) -> T:
        """Runs one job on the next free worker. A worker that fails or overruns is replaced."""
        process = await self._take()
        healthy = False
        try:
            async with asyncio.timeout(self._wall_seconds):
                said, parts = await exchange(process, head, blobs)
            if cause := said.get("cause"):
                _logger.info("document_refused", job=head.get("job"), cause=cause)
            answer = await asyncio.to_thread(read, said, parts) if beside_loop else read(said, parts)
            healthy = True
            return answer
        except ServiceError:
            healthy = True  # It refuses the file, which is an answer too.
            raise
        except TimeoutError:
            _logger.warning("worker_overran", job=head.get("job"))
            raise WorkshopBusyError(
                "the file was not read in time; try again shortly", retry_after=5.0
            ) from None
        finally:
            if healthy:
                self._free(process)
            else:
                self._discard(process)

    async def _take(self) -> asyncio.subprocess.Process:
        """A free worker, started anew in the place of one that was discarded."""
        if self._waiting >= self._waiting_limit:
            raise WorkshopBusyError("too many documents are waiting; try again shortly", retry_after=2.0)
        self._waiting += 1
        try:
            async with asyncio.timeout(self._waiting_seconds):
                process = await self._idle.get()
        except TimeoutError:
            raise WorkshopBusyError(
                "no worker came free in time; try again shortly", retry_after=2.0
            ) from None
        finally:
            self._waiting -= 1
            self._call_patient()
        if process is not None and process.returncode is None:
            return process
        try:
            return await self._start()
        except BaseException:
            self._free(None)
            raise

    def _discard(self, process: asyncio.subprocess.Process) -> None:
        self._all.discard(process)
        kill(process)
        ending = asyncio.ensure_future(process.wait())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        self._free(None)

    def _free(self, process: asyncio.subprocess.Process | None) -> None:
        """A worker is free, or the place of one that has to be started."""
        self._idle.put_nowait(process)
        self._call_patient()

    def _call_patient(self) -> None:
        """Calls the first who waits for leisure, where there is some. It looks for itself: whoever has asked
        meanwhile went first."""
        while self._patient and not self._waiting and not self._idle.empty():
            turn = self._patient.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def _start(self) -> asyncio.subprocess.Process:
        """A new worker. Its environment holds no settings of ours, its error stream nobody reads."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.eseal.confined.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                await read_frame(process)
        except (TimeoutError, EOFError) as failure:
            kill(process)
            raise RuntimeError(
                "a PDF worker did not start; `python -m services.eseal.confined.worker` by hand says why"
            ) from failure
        except BaseException:
            kill(process)
            raise
        self._all.add(process)
        return process
