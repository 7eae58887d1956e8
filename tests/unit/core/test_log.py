"""What never reaches a log line."""

from __future__ import annotations

import pytest

from core.log import redact

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
