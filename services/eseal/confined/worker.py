"""A confined process that lays out and checks documents: hostile files meet no key, socket or database.

Started by `workshop.py` as `python -m services.eseal.confined.worker`. Speaks frames over standard input and
output: four bytes of length, a JSON head, then the blobs whose lengths the head gives. One job at a
time; the parent kills a worker that takes too long.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
import traceback
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from services.eseal.confined.jobs import row_of
from services.eseal.domain import Format, Picture, format_of
from services.eseal.frames import Json, frame_lengths, integers, write_frame
from services.eseal.gm.sm2 import Sm2, load_sm2
from services.eseal.ofd import inspection as ofd_inspection
from services.eseal.ofd import sealing as ofd_sealing
from services.eseal.pdf import inspection, prolonging
from services.eseal.pdf import sealing as pdf
from services.eseal.refusals import (
    DocumentError,
    DocumentMalformedError,
    SealPictureInvalidError,
    Sm2UnavailableError,
)
from services.eseal.sealing.placing import from_json
from services.eseal.sealing.prepared import Imprint
from services.eseal.splice import Splice
from services.eseal.verifying.finding import Finding

BEHIND = 1
"""How much a worker goes behind the process that started it, where both want a core (nice(2))."""

MEMORY_LIMIT = 1024 * 1024 * 1024
"""Address space of a worker, in bytes: what a bomb may grow to before it is refused."""

LAST_RESORT_SECONDS = 60
"""The parent kills a job long before; this ends a worker whose parent died."""


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
        if head["job"] == "prolong":
            return _prolong(head, blobs)
        if head["job"] == "prepare_ofd":
            return _prepare_ofd(head, blobs, moment)
        if head["job"] == "picture":
            return _picture(head, blobs)
        if head["job"] == "photo":
            return _photo(head, blobs)
        if head["job"] == "vouch":
            return {"findings": [row_of(finding) for finding in _vouch(head, blobs, moment)]}, []
        return {"findings": [row_of(finding) for finding in _inspect(head, blobs, moment)]}, []
    except (DocumentError, Sm2UnavailableError) as refusal:
        faults = [[fault.field, fault.rule, fault.message] for fault in refusal.faults]
        cause = _where(refusal.__cause__) if refusal.__cause__ else ""
        return {"refused": refusal.reason, "message": refusal.message, "faults": faults, "cause": cause}, []
    except Exception as fault:  # whatever a file makes a reader do, the worker lives
        message = "the file is not well-formed, or takes too much to read"
        return {"refused": DocumentMalformedError.reason, "message": message, "cause": _where(fault)}, []


def _inspect(head: Json, blobs: list[bytes], moment: datetime) -> list[Finding]:
    document, end = blobs[0], 1 + int(str(head["roots"]))
    roots, time_roots = blobs[1:end], blobs[end:]
    if format_of(document) is Format.PDF:
        return asyncio.run(inspection.inspect(document, roots=roots, moment=moment, time_roots=time_roots))
    return ofd_inspection.inspect(document, sm2=_sm2(head), roots=roots, moment=moment, time_roots=time_roots)


def _vouch(head: Json, blobs: list[bytes], moment: datetime) -> list[Finding]:
    end = 1 + int(str(head["above"]))
    said = inspection.vouch(blobs[0], blobs[1:end], str(head["digest"]), roots=blobs[end:], moment=moment)
    return asyncio.run(said)


def _sm2(head: Json) -> Sm2:
    chosen = str(head["libcrypto"])
    return load_sm2(Path(chosen) if chosen else None)


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
        room=int(str(head["room"])),
        certify=bool(head["certify"]),
    )
    prepared = pdf.prepare(blobs[0], from_json(place), imprint)
    answer: Json = {"gap": [prepared.gap_start, prepared.gap_end], "first": prepared.is_first}
    return answer, [prepared.update]


def _prolong(head: Json, blobs: list[bytes]) -> tuple[Json, list[bytes]]:
    counts = head["counts"]
    if not isinstance(counts, list):
        raise ValueError("counts must be a list")
    rest = iter(blobs[1:])
    certificates, crls, ocsps = (list(islice(rest, int(count))) for count in counts)
    update, gap = prolonging.prolong(
        blobs[0],
        field_name=str(head["field_name"]),
        certificates=certificates,
        crls=crls,
        ocsps=ocsps,
        timestamp_field=str(head["timestamp_field"]),
    )
    return {"gap": list(gap or ())}, [update]


def _picture(head: Json, blobs: list[bytes]) -> tuple[Json, list[bytes]]:
    # Sealing and checking draw nothing, and a worker starts the sooner.
    from services.eseal.pictures.uploaded import read_uploaded  # noqa: PLC0415

    try:
        picture, face = read_uploaded(blobs[0], float(str(head["width"])))
    except SealPictureInvalidError:
        raise
    except Exception as fault:  # a decoder may raise anything at all on a file that lies about itself
        raise SealPictureInvalidError.by("form", "the file is no PNG or SVG that can be read") from fault
    answer: Json = {"height": picture.height_mm, "face": [face.width_mm, face.height_mm]}
    return answer, [picture.content, face.picture]


def _photo(head: Json, blobs: list[bytes]) -> tuple[Json, list[bytes]]:
    from services.eseal.pictures.photos import read_photo  # noqa: PLC0415  # as above

    wide, tall = integers(head["room"])
    return {}, [read_photo(blobs[0], (wide, tall))]


def _prepare_ofd(head: Json, blobs: list[bytes], moment: datetime) -> tuple[Json, list[bytes]]:
    place, size = head["place"], head["size"]
    if not isinstance(place, dict) or not isinstance(size, list):
        raise ValueError("place must be an object, size a list")
    document, seal = blobs
    prepared = ofd_sealing.prepare(
        document,
        from_json(place),
        sm2=_sm2(head),
        seal=seal,
        size_mm=(float(size[0]), float(size[1])),
        moment=moment,
    )
    written = prepared.written
    answer: Json = {
        "written": [written.length, written.count],
        "path": prepared.path,
        "value_path": prepared.value_path,
        "first": prepared.is_first,
    }
    return answer, [Splice(written.pieces).encoded(), written.directory, prepared.data_hash]


def _read_exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise EOFError
    return data


def _confine() -> None:
    """Bounds memory, forbids writing files and core dumps, and keeps descriptors few. Calls that need no
    worker go first."""
    os.nice(BEHIND)
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
