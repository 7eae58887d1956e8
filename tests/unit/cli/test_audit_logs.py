"""Which lines of the parts' logs tell of answers."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from cli.audit.findings import Report
from cli.audit.records import OWN
from cli.audit.released import Line, log_files
from cli.audit.run import LOGGING
from core.access import RELEASING_PARTS

GET = "/onestop.licence.v1.LicenceService/BatchGetLicences"
INNER = "/onestop.licence.v1.LicenceService/BatchReadLicenceFields"
ID = "5b3c2a44-3b1e-4d22-9c3e-0d9a1b6f7a10"


def test_every_part_that_appends_is_compared() -> None:
    assert OWN.keys() == RELEASING_PARTS
    assert set(LOGGING) == RELEASING_PARTS | {"gateway"}


def call(method: str = GET, outcome: str = "ok", **more: object) -> str:
    """A line as parts write it."""
    return json.dumps({"event": "call", "method": method, "outcome": outcome, **more}, separators=(",", ":"))


def read(folder: Path) -> tuple[list[Line], Report]:
    report = Report()
    with log_files(folder, ["licence", "gateway"]) as files:
        return list(files.lines(report)), report


def test_lines_are_read_from_the_oldest_piece_to_the_newest(tmp_path: Path) -> None:
    for name, entry in (
        ("licence.log.10", 1),
        ("licence.log.2", 2),
        ("licence.log", 3),
        ("licence.log.gz", 9),
    ):
        (tmp_path / name).write_text(call(receipt=ID, entry=entry, leaf="ab") + "\n")

    lines, report = read(tmp_path)

    assert lines == [Line("licence", ID, number, "ab") for number in (1, 2, 3)]
    assert report.clean


def test_pieces_of_other_days_are_read_compressed_or_not(tmp_path: Path) -> None:
    def line(entry: int) -> bytes:
        return call(receipt=ID, entry=entry, leaf="ab").encode() + b"\n"

    (tmp_path / "licence-20261127T000000.000001Z.log").write_bytes(line(3))
    (tmp_path / "licence-20261126T000000.000001Z.log.gz").write_bytes(gzip.compress(line(2)))
    # Both forms are there for a moment, while one is made of the other.
    (tmp_path / "licence-20261125T000000.000001Z.log").write_bytes(line(1))
    (tmp_path / "licence-20261125T000000.000001Z.log.gz").write_bytes(gzip.compress(line(1)))
    (tmp_path / "licence.log").write_bytes(line(4))
    (tmp_path / "gateway-20261126T000000.000001Z.log.gz").write_bytes(gzip.compress(b"no JSON\n"))

    lines, report = read(tmp_path)

    assert lines == [Line("licence", ID, number, "ab") for number in (1, 2, 3, 4)]
    assert report.clean


def test_an_answer_without_a_receipt_is_a_finding_once_the_part_names_receipts(tmp_path: Path) -> None:
    before, named = call(), call(receipt=ID, entry=1, leaf="ab")
    (tmp_path / "licence.log").write_text("\n".join([before, named, call(), ""]))

    lines, report = read(tmp_path)

    assert len(lines) == 1
    assert report.checked == {"answers in the logs from before they named receipts": 1}
    assert [(one.kind, one.count) for one in report.findings] == [("unrecorded", 1)]


def test_refusals_inner_reads_and_other_lines_tell_of_no_answer(tmp_path: Path) -> None:
    named = call(receipt=ID, entry=1, leaf="ab")
    others = [call(outcome="LICENCE_NOT_FOUND"), call(INNER), call("/grpc.health.v1.Health/Check")]
    (tmp_path / "licence.log").write_text("\n".join([named, *others, '{"event":"serving"}', ""]))

    lines, report = read(tmp_path)

    assert len(lines) == 1
    assert report.clean


def test_what_is_cut_off_or_no_receipt_is_counted(tmp_path: Path) -> None:
    cut = call(receipt=ID, entry=1, leaf="ab")[:60]
    (tmp_path / "licence.log").write_text(
        "\n".join([call(receipt="no id"), call(receipt=7), cut + '"receipt"', ""])
    )

    lines, report = read(tmp_path)

    assert lines == []
    assert report.checked == {"lines of the logs that cannot be read": 3}
