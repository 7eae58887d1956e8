"""A confined process that lays out and checks PDFs: hostile files meet no key, no socket and no database.

Started by `workshop.py` as `python -m services.eseal.worker`. Speaks frames over standard input and
output: four bytes of length, a JSON head, then the blobs whose lengths the head gives. One job at a
time; the parent kills a worker that takes too long.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from core.errors import FieldFault
from services.eseal import inspection, pdf
from services.eseal.domain import Finding, Modification, Picture
from services.eseal.placing import Placing, from_json, to_json
from services.eseal.prepared import Imprint, PreparedDocument
from services.eseal.refusals import (
    DocumentEncryptedError,
    DocumentError,
    DocumentLockedError,
    DocumentMalformedError,
    DocumentTooLargeError,
    FieldNotFoundError,
    KeywordNotFoundError,
    PageNotFoundError,
    TooManyPlacesError,
)

MAX_FRAME = 64 * 1024 * 1024
MEMORY_LIMIT = 1024 * 1024 * 1024
"""Address space of a worker, in bytes: what a bomb may grow to before it is refused."""

LAST_RESORT_SECONDS = 60
"""The parent kills a job long before; this ends a worker whose parent died."""

Json = dict[str, object]

_ERRORS: dict[str, type[DocumentError]] = {
    error.reason: error
    for error in (
        DocumentEncryptedError,
        DocumentLockedError,
        DocumentMalformedError,
        DocumentTooLargeError,
        FieldNotFoundError,
        KeywordNotFoundError,
        PageNotFoundError,
        TooManyPlacesError,
    )
}


@dataclass(frozen=True)
class PrepareJob:
    """Lay out one more seal."""

    document: bytes
    place: Placing
    picture: Picture
    field_name: str
    signer_name: str
    moment: datetime

    def frame(self) -> tuple[Json, list[bytes]]:
        """The job as it travels."""
        head: Json = {
            "job": "prepare",
            "place": to_json(self.place),
            "size": [self.picture.width_mm, self.picture.height_mm],
            "field_name": self.field_name,
            "signer_name": self.signer_name,
            "moment": self.moment.isoformat(),
        }
        return head, [self.document, self.picture.content]


@dataclass(frozen=True)
class InspectJob:
    """Check every seal in a file."""

    document: bytes
    roots: Sequence[bytes]
    moment: datetime

    def frame(self) -> tuple[Json, list[bytes]]:
        """The job as it travels."""
        return {"job": "inspect", "moment": self.moment.isoformat()}, [self.document, *self.roots]


def prepared_of(document: bytes, head: Json, blobs: list[bytes]) -> PreparedDocument:
    """The answer to a PrepareJob for this document, to which a worker can do nothing but append.

    Raises DocumentError, and ValueError on an answer out of form.
    """
    _raise_refusal(head)
    start, end = _integers(head["gap"])
    (update,) = blobs
    return PreparedDocument(document, update, start, end)


def findings_of(head: Json, blobs: list[bytes]) -> list[Finding]:
    """The answer to an InspectJob. Raises DocumentError, and ValueError on an answer out of form."""
    _raise_refusal(head)
    rows = head["findings"]
    if not isinstance(rows, list):
        raise ValueError("findings must be a list")
    return [_finding(row) for row in rows]


def _raise_refusal(head: Json) -> None:
    """Raises what the worker refused with."""
    reason = head.get("refused")
    if reason is None:
        return
    error = _ERRORS.get(str(reason), DocumentMalformedError)
    faults = head.get("faults")
    rows = faults if isinstance(faults, list) else []
    raise error(str(head.get("message", "")), faults=[FieldFault(*map(str, row)) for row in rows])


def _integers(value: object) -> list[int]:
    if not isinstance(value, list) or not all(isinstance(number, int) for number in value):
        raise ValueError("expected whole numbers")
    return value


def _row(finding: Finding) -> Json:
    row: Json = dict(vars(finding))
    row["cms_sha256"] = base64.b64encode(finding.cms_sha256).decode("ascii")
    row["signed_at"] = finding.signed_at.isoformat() if finding.signed_at else None
    row["modification"] = finding.modification.value
    return row


def _finding(row: object) -> Finding:
    if not isinstance(row, dict):
        raise ValueError("a finding must be an object")
    said = dict(row)
    said["cms_sha256"] = base64.b64decode(said["cms_sha256"])
    said["signed_at"] = datetime.fromisoformat(said["signed_at"]) if said["signed_at"] else None
    said["modification"] = Modification(said["modification"])
    return Finding(**said)


def write_frame(head: Json, blobs: Sequence[bytes]) -> list[bytes]:
    """The pieces of a frame, to be written one after another."""
    encoded = json.dumps({**head, "blobs": [len(blob) for blob in blobs]}).encode("utf-8")
    return [len(encoded).to_bytes(4, "big"), encoded, *blobs]


def frame_lengths(head: Json) -> list[int]:
    """Lengths of the blobs that follow a head. Raises ValueError where they exceed MAX_FRAME."""
    lengths = _integers(head.get("blobs"))
    if min(lengths, default=0) < 0 or sum(lengths) > MAX_FRAME:
        raise ValueError("a frame is larger than it may be")
    return lengths


class OutOfTimeError(BaseException):
    """A file costs more to read than any honest one. No `except Exception` on the way may swallow it."""


def _out_of_time(_number: int, _frame: object) -> None:
    raise OutOfTimeError


def _run_within(head: Json, blobs: list[bytes]) -> tuple[Json, list[bytes]]:
    """Runs a job within its processor time."""
    seconds = float(str(head["cpu_seconds"]))
    try:
        # Again every tenth of a second: an exception raised inside a finaliser is lost.
        signal.setitimer(signal.ITIMER_PROF, seconds, 0.1)
        try:
            return _run(head, blobs)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except OutOfTimeError:
        message = f"the file takes more than {seconds:g} s of work to read"
        return {"refused": DocumentMalformedError.reason, "message": message, "cause": "OutOfTime"}, []


def _run(head: Json, blobs: list[bytes]) -> tuple[Json, list[bytes]]:
    moment = datetime.fromisoformat(str(head["moment"]))
    try:
        if head["job"] == "prepare":
            return _prepare(head, blobs, moment)
        found = asyncio.run(inspection.inspect(blobs[0], roots=blobs[1:], moment=moment))
        return {"findings": [_row(finding) for finding in found]}, []
    except DocumentError as refusal:
        faults = [[fault.field, fault.rule, fault.message] for fault in refusal.faults]
        cause = _where(refusal.__cause__) if refusal.__cause__ else ""
        return {"refused": refusal.reason, "message": refusal.message, "faults": faults, "cause": cause}, []


def _where(fault: BaseException) -> str:
    """Kind and place of a fault, for the log: no message, which may quote the document."""
    frames = traceback.extract_tb(fault.__traceback__)
    last = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    return f"{type(fault).__name__}{last}"


def _prepare(head: Json, blobs: list[bytes], moment: datetime) -> tuple[Json, list[bytes]]:
    place, size = head["place"], head["size"]
    if not isinstance(place, dict) or not isinstance(size, list):
        raise ValueError("place must be an object, size a list")
    imprint = Imprint(
        Picture(blobs[1], float(size[0]), float(size[1])),
        field_name=str(head["field_name"]),
        signer_name=str(head["signer_name"]),
        moment=moment,
    )
    prepared = pdf.prepare(blobs[0], from_json(place), imprint)
    return {"gap": [prepared.gap_start, prepared.gap_end]}, [prepared.update]


def _read_exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise EOFError
    return data


def _confine() -> None:
    """Bounds memory, forbids writing files and core dumps, and keeps descriptors few."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))


def main() -> None:
    """Serves jobs until the parent closes the pipe."""
    _confine()
    signal.signal(signal.SIGPROF, _out_of_time)
    jobs = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # Nothing that a library prints may get between the frames.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    answers.write(b"".join(write_frame({"ready": True}, [])))
    answers.flush()
    while True:
        try:
            head: Json = json.loads(_read_exactly(jobs, int.from_bytes(_read_exactly(jobs, 4), "big")))
            blobs = [_read_exactly(jobs, length) for length in frame_lengths(head)]
        except EOFError:
            return
        signal.alarm(LAST_RESORT_SECONDS)
        answer, parts = _run_within(head, blobs)
        signal.alarm(0)
        for piece in write_frame(answer, parts):
            answers.write(piece)
        answers.flush()


if __name__ == "__main__":
    main()
