"""What a worker answers, whatever a file makes a reader do."""

from __future__ import annotations

import pytest

from services.eseal.confined import worker
from services.eseal.confined.jobs import InspectJob, findings_of
from services.eseal.frames import Json
from services.eseal.refusals import DocumentMalformedError
from tests.unit.eseal.documents import NOW, plain


@pytest.mark.parametrize("fault", [MemoryError, RecursionError, UnicodeDecodeError("utf-8", b"x", 0, 1, "x")])
def test_whatever_a_reader_raises_is_a_refusal_that_quotes_nothing(
    monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    def read(_head: Json, _blobs: list[bytes]) -> list[bytes]:
        raise fault

    monkeypatch.setattr(worker, "_inspect", lambda head, blobs, _moment: read(head, blobs))
    head, blobs = InspectJob(plain(), [], NOW).frame()

    answer, parts = worker._run(head, blobs)

    assert str(answer["cause"]).startswith(
        fault.__name__ if isinstance(fault, type) else type(fault).__name__
    )
    with pytest.raises(DocumentMalformedError, match="takes too much"):
        findings_of(answer, parts)
