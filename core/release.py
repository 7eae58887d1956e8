"""The one way from what the disclosure protocol releases to what a service answers.

A servicer's methods whose answers leave the system return `Answered`, and `answer_of` alone makes it, of what
was released. So an answer without a receipt is a type error; `make check` finds what types cannot see
(tests/checks/receipts.py), and the guard of the server refuses what both have missed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from functools import wraps
from typing import Any, Generic, TypeVar, cast

from google.protobuf.message import Message
from onestop.common.v1 import receipt_pb2

from core import log
from core.entries import Released
from core.ledger import receipt_to_pb
from core.merkle import leaf_hash

R = TypeVar("R")
S = TypeVar("S")
Q = TypeVar("Q")


class MissingReceiptError(Exception):
    """An answer was about to leave without a receipt; it does not (design, invariant 1)."""


@dataclass(frozen=True)
class Answered(Generic[R]):
    """A message that may leave, because it carries the receipt of its own release."""

    message: R


def answer_of(released: Released, make: Callable[[Any, receipt_pb2.Receipt], R]) -> Answered[R]:
    """The message that `make` builds of the released answer and its receipt; noted for the log."""
    receipt = released.receipt
    if not receipt.id:
        raise MissingReceiptError("a released answer has no receipt")
    log.released(receipt.id, receipt.index, leaf_hash(receipt.entry))
    return Answered(make(released.wire, receipt_to_pb(receipt)))


def refused(message: R) -> Answered[R]:
    """A result that carries an error and no answer."""
    if not _failed(cast(Message, message)):
        raise MissingReceiptError("a result without an answer has no error either")
    return Answered(message)


def together(results: Iterable[Answered[S]], make: Callable[[list[S]], R]) -> Answered[R]:
    """One message of a stream that carries several results."""
    return Answered(make([result.message for result in results]))


def releasing_stream(
    method: Callable[[S, AsyncIterator[Q], Any], AsyncIterator[Answered[R]]],
) -> Callable[[S, AsyncIterator[Q], Any], AsyncIterator[R]]:
    """Makes a servicer's streaming method of one that answers what was released."""

    @wraps(method)
    async def answers(servicer: S, requests: AsyncIterator[Q], context: Any) -> AsyncIterator[R]:
        async with aclosing(
            cast(AsyncGenerator[Answered[R]], method(servicer, requests, context))
        ) as answered:
            async for answer in answered:
                yield answer.message

    return answers


def releasing(
    method: Callable[[S, Q, Any], Awaitable[Answered[R]]],
) -> Callable[[S, Q, Any], Coroutine[Any, Any, R]]:
    """Makes a servicer's method of one that answers what was released."""

    @wraps(method)
    async def answers(servicer: S, request: Q, context: Any) -> R:
        return (await method(servicer, request, context)).message

    return answers


def require_receipts(message: Message) -> None:
    """Passes an answer, or a batch's results, with a receipt or an error each. Raises MissingReceiptError."""
    fields = message.DESCRIPTOR.fields_by_name
    results = getattr(message, "results") if "results" in fields else (message,)  # noqa: B009
    for result in results:
        if not receipt_id(result) and not _failed(result):
            raise MissingReceiptError(f"{message.DESCRIPTOR.name} has an answer without a receipt")


def receipt_id(message: Message) -> str:
    """The id of the receipt that a message carries, or names where the receipt is encrypted; else empty."""
    fields = message.DESCRIPTOR.fields_by_name
    if "receipt" in fields:
        return str(getattr(message, "receipt").id)  # noqa: B009
    return str(getattr(message, "receipt_id")) if "receipt_id" in fields else ""  # noqa: B009


def _failed(result: Message) -> bool:
    return "error" in result.DESCRIPTOR.fields_by_name and result.HasField("error")
