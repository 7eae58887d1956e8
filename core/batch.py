"""Runs a batch's items side by side, each under its own deadline; one bad item fails alone."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from google.protobuf.message import Message
from google.rpc import status_pb2
from onestop.common.v1 import context_pb2

from core.errors import InvalidError, LateError, ServiceError
from core.log import answered, get_logger
from core.release import Answered
from core.status import reason_in, to_status
from core.trace import span
from core.validation import item_faults

log = get_logger()


class BatchItem(Protocol):
    """An item that carries its context."""

    @property
    def context(self) -> context_pb2.RequestContext: ...


class BatchResult(Protocol):
    """A result that can carry an error instead of an answer."""

    @property
    def error(self) -> status_pb2.Status: ...


I = TypeVar("I", bound=BatchItem)  # noqa: E741
R = TypeVar("R", bound=BatchResult)


async def answer_batch(
    items: Sequence[I], result_type: Callable[[], R], one: Callable[[I], Awaitable[Answered[R]]]
) -> list[R]:
    """Results that leave the system: each is what `one` answers of what was released, or an error."""

    async def message(item: I) -> R:
        return (await one(item)).message

    return await answer_inner_batch(items, result_type, message)


async def answer_inner_batch(
    items: Sequence[I], result_type: Callable[[], R], one: Callable[[I], Awaitable[R]]
) -> list[R]:
    """The results of `one` for each item, in order; errors become the item's own `error`.

    For calls between parts; what leaves the system goes through `answer_batch`.

    Items that break the contract's rules are answered without being run. Each item leaves a line in the log,
    under its own trace.
    """
    faults = item_faults()

    async def answer(position: int, item: I) -> R:
        began = time.monotonic()
        with span("item", item.context.trace_parent):
            try:
                if position in faults:
                    raise InvalidError("the request breaks the contract's rules", faults=faults[position])
                if seconds_left(item.context) <= 0:
                    raise LateError("the deadline had passed before the work began")
                result = await with_deadline(item.context, one(item))
            except (ServiceError, TimeoutError) as error:
                failure: BaseException = error
            except Exception as error:
                log.exception("item_failed")
                failure = error
            else:
                answered("ok", began)
                return result
            result = result_type()
            result.error.CopyFrom(to_status(failure))
            answered(reason_in(result.error), began)
            return result

    if len(items) == 1:
        return [await answer(0, items[0])]
    return list(await asyncio.gather(*(answer(position, item) for position, item in enumerate(items))))


T = TypeVar("T")


async def with_deadline(context: context_pb2.RequestContext, work: Awaitable[T]) -> T:
    """The work's result, or TimeoutError once the context's deadline passes."""
    left = seconds_left(context)
    async with asyncio.timeout(None if left == math.inf else max(left, 0.0)):
        return await work


def seconds_left(context: context_pb2.RequestContext) -> float:
    """Seconds until the context's deadline, negative past it; infinite where it names none."""
    if not context.HasField("deadline"):
        return math.inf
    return context.deadline.ToNanoseconds() / 1e9 - time.time()


def is_batch(request: Message) -> bool:
    """Whether a request carries items."""
    return "items" in request.DESCRIPTOR.fields_by_name
