"""What never reaches a log line."""

from __future__ import annotations

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.log import Lines, redact

NUMBER = "440299199005189806"
NAME = "林晓棠"
ROW = f"(87b62286, {NAME}, {NUMBER})"
CHAINED = "\n\nDuring handling of the above exception, another exception occurred:\n\nValueError: later"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"the number {NUMBER} is held", "the number [number] is held"),
        (f"trace {'4' * 32} and {'4' * 40}", f"trace {'4' * 32} and {'4' * 40}"),
        (
            f'NotNullViolationError: null value in column "x"\nDETAIL:  Failing row contains {ROW}.',
            'NotNullViolationError: null value in column "x"\nDETAIL: [withheld]',
        ),
        (
            f"UniqueViolationError: twice\nDETAIL:  Key (a)=({NAME}\n{NAME}) exists.\nHINT:  Look.{CHAINED}",
            f"UniqueViolationError: twice\nDETAIL: [withheld]\nHINT:  Look.{CHAINED}",
        ),
        (
            f"DataError: invalid input for query argument $2: '{NAME}' (a bytes-like object is required)",
            "DataError: invalid input for query argument $2 [withheld]",
        ),
        (
            f"DataError: invalid input for query argument $12 in element #3: '{NAME}\n' (no){CHAINED}",
            f"DataError: invalid input for query argument $12 [withheld]{CHAINED}",
        ),
    ],
)
def test_numbers_and_rows_are_blotted_out(text: str, told: str) -> None:
    assert redact(text) == told


class Out(io.BytesIO):
    """Remembers each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.writes.append(bytes(data))
        return len(data)


async def test_lines_of_one_turn_are_written_together_and_trouble_at_once() -> None:
    out = Out()
    lines = Lines(out)

    lines.info(b"one")
    lines.info(b"two")
    before = list(out.writes)
    await asyncio.sleep(0)
    lines.info(b"three")
    lines.error(b"four")

    assert before == []
    assert out.writes == [b"one\ntwo\n", b"three\nfour\n"]


def test_without_a_loop_a_line_is_written_at_once() -> None:
    out = Out()

    Lines(out).info(b"one")

    assert out.writes == [b"one\n"]


def test_lines_from_many_threads_are_all_written_whole() -> None:
    out = Out()
    lines = Lines(out)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: lines.info(b"%d" % number), range(500)))
    lines.flush()

    assert sorted(b"".join(out.writes).split(), key=int) == [b"%d" % number for number in range(500)]
