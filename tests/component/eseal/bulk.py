"""Streams of documents for tests of bulk sealing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar
from uuid import UUID, uuid4

from google.rpc import error_details_pb2, status_pb2
from onestop.eseal.v1 import bulk_pb2 as pb

from tests.component.eseal.harness import Asking, Desk
from tests.unit.eseal.documents import plain


class Failing(Protocol):
    """What became of one of many, where it may have failed."""

    @property
    def error(self) -> status_pb2.Status: ...


def item(
    desk: Desk, number: int, document: bytes = b"", asking: Asking | None = None, **upload: object
) -> pb.SealItem:
    """A document of a case of its own, under a key of its own unless one is named."""
    asked = asking or desk.asking
    made = replace(
        asked, case_number=f"2026-{number:04}", request_id=asked.request_id or f"bulk-{number}-{uuid4().hex}"
    )
    content = pb.UploadedDocument(document=document or plain(), **upload)  # type: ignore[arg-type]
    return pb.SealItem(context=desk.context(made), upload=content)


async def messages(
    desk: Desk, seal_id: UUID, items: Sequence[pb.SealItem], size: int = 64
) -> AsyncIterator[pb.SealDocumentsRequest]:
    """A stream of them, so many to a message; the first says whose they are and which seal they get."""
    first = pb.SealDocumentsRequest(credential=desk.about(None)["credential"], seal_id=str(seal_id))
    for start in range(0, len(items), size):
        first.items.extend(items[start : start + size])
        yield first
        first = pb.SealDocumentsRequest()


async def seal_all(
    desk: Desk, seal_id: UUID, items: Sequence[pb.SealItem], size: int = 64
) -> list[pb.SealedItem]:
    """What became of each, in the order in which they were sent."""
    results = [
        result
        async for response in desk.bulk.SealDocuments(messages(desk, seal_id, items, size))
        for result in response.results
    ]
    return sorted(results, key=lambda one: one.position)


F = TypeVar("F", bound=Failing)


def reasons(results: Iterable[F]) -> list[str]:
    """Why each was refused; empty where it was sealed."""
    return [_reason(result) for result in results]


def _reason(result: Failing) -> str:
    for detail in result.error.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return str(info.reason)
    return ""
