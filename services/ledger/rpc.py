"""The ledger's contract: messages in, use cases, messages out; and how its state is shown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC
from typing import Any
from uuid import UUID

import grpc
from onestop.ledger.v1 import ledger_pb2 as pb
from onestop.ledger.v1 import ledger_pb2_grpc as pb_grpc

from core.access import STANDS_BY
from core.batch import with_deadline
from core.context import ContextReader, request_body
from core.entries import BasisKind, Entry, Receipt
from core.errors import InvalidError, ServiceError, fault_error
from core.identity import Scope
from core.ledger import entry_of, item_of, receipt_to_pb
from core.log import answered, get_logger
from core.release import Answered, answer_of, releasing
from core.rpc import Ready, peer_name
from core.status import reason_in, to_status
from core.validation import item_faults
from core.wire import instant_of
from services.ledger.disclosures import DisclosureDesk
from services.ledger.domain import CustodyError
from services.ledger.feeding import Attitude
from services.ledger.feeding import Standing as WitnessStanding
from services.ledger.publishing import PublicLog
from services.ledger.sequencer import State
from services.ledger.service import LedgerDesk

SERVICE = pb.DESCRIPTOR.services_by_name["LedgerService"].full_name

Context = grpc.aio.ServicerContext[Any, Any]

BY_HOLDER = frozenset({BasisKind.HOLDER})

_ADVICE = (
    "restore the newest database, or the file of the last released checkpoint, and start again; a log that"
    " cannot be proved any more goes on only as a new one, under another origin and key"
)

_logger = get_logger()


class LedgerServicer(pb_grpc.LedgerServiceServicer):
    """Speaks for the desk. Who records is the name in the peer's certificate, never in the message."""

    def __init__(
        self,
        desk: LedgerDesk,
        reader: ContextReader,
        public: PublicLog,
        standings: Mapping[str, WitnessStanding],
        *,
        disclosures: DisclosureDesk,
    ) -> None:
        self._desk = desk
        self._disclosures = disclosures
        self._reader = reader
        self._public = public
        self._standings = standings

    async def AppendBatch(self, request: pb.AppendBatchRequest, context: Context) -> pb.AppendBatchResponse:
        """Appends the items that are well formed, in one go; every item has its own result."""
        began = time.monotonic()
        parsed = [_parse(position, item) for position, item in enumerate(request.items)]
        entries = [one for one in parsed if isinstance(one, Entry)]
        answers = iter(await self._desk.append(peer_name(context), entries))
        results = [_result(next(answers) if isinstance(one, Entry) else one) for one in parsed]
        for item, result in zip(request.items, results, strict=True):
            outcome = reason_in(result.error) if result.HasField("error") else "ok"
            answered(outcome, began, item.trace_parent)
        return pb.AppendBatchResponse(results=results)

    async def ListOpenIntents(
        self, request: pb.ListOpenIntentsRequest, context: Context
    ) -> pb.ListOpenIntentsResponse:
        """The calling part's intents that have no outcome yet."""
        older_than = request.older_than.ToDatetime(tzinfo=UTC)
        intents = await self._desk.open_intents(peer_name(context), older_than, request.limit)
        return pb.ListOpenIntentsResponse(intents=[item_of(intent) for intent in intents])

    async def GetReceipt(self, request: pb.GetReceiptRequest, context: Context) -> pb.GetReceiptResponse:
        """A receipt, to its caller or holder."""
        asking = await self._reader.read(
            request.credential,
            request.context,
            scope=(Scope.LEDGER_READ, Scope.CITIZEN),
            basis=frozenset(),  # Nothing is disclosed but what the asker was told, or is about her.
        )
        try:
            receipt = await self._desk.receipt(asking, UUID(request.id), cosigned=request.cosigned)
        except CustodyError as failure:
            _logger.critical("ledger_altered", why=str(failure))
            raise
        return pb.GetReceiptResponse(receipt=receipt_to_pb(receipt))

    @releasing
    async def ListDisclosures(
        self, request: pb.ListDisclosuresRequest, context: Context
    ) -> Answered[pb.ListDisclosuresResponse]:
        """Who used the signed-in person's data."""
        asking = await self._reader.read(
            request.credential, request.context, scope=Scope.CITIZEN, basis=BY_HOLDER
        )
        released = await with_deadline(
            request.context,
            self._disclosures.list(
                asking,
                request.page_size,
                request.page_token,
                since=instant_of(request.since) if request.HasField("since") else None,
                until=instant_of(request.until) if request.HasField("until") else None,
                own_reads=request.own_reads,
                body=request_body(request),
            ),
        )
        return answer_of(
            released, lambda wire, receipt: pb.ListDisclosuresResponse(answer=wire, receipt=receipt)
        )

    async def GetCheckpoint(
        self, request: pb.GetCheckpointRequest, context: Context
    ) -> pb.GetCheckpointResponse:
        """The newest signed checkpoint, and the key that it verifies with."""
        return pb.GetCheckpointResponse(
            checkpoint=await self._public.checkpoint(cosigned=request.cosigned),
            verifier_key=self._public.verifier_key,
        )

    async def GetTile(self, request: pb.GetTileRequest, context: Context) -> pb.GetTileResponse:
        """A tile of hashes."""
        return pb.GetTileResponse(hashes=await self._public.tile(request.level, request.index, request.width))

    async def GetPolicy(self, request: pb.GetPolicyRequest, context: Context) -> pb.GetPolicyResponse:
        """The keys that checkpoints verify with."""
        return pb.GetPolicyResponse(policy=await self._public.policy())

    async def ListContinuations(
        self, request: pb.ListContinuationsRequest, context: Context
    ) -> pb.ListContinuationsResponse:
        """The receipts of the entries by which this log continues others."""
        receipts = [receipt_to_pb(one) for one in await self._desk.continuations()]
        return pb.ListContinuationsResponse(receipts=receipts)

    async def ListWitnesses(
        self, request: pb.ListWitnessesRequest, context: Context
    ) -> pb.ListWitnessesResponse:
        """How the witnesses stand to this log, as this process knows."""
        standings = [
            pb.WitnessStanding(name=name, state=pb.WitnessState.ValueType(one.attitude.value), size=one.size)
            for name, one in self._standings.items()
        ]
        return pb.ListWitnessesResponse(witnesses=standings, size=await self._public.size())

    async def GetLastReleased(
        self, request: pb.GetLastReleasedRequest, context: Context
    ) -> pb.GetLastReleasedResponse:
        """What this process keeps outside the database, for another one that takes over."""
        return pb.GetLastReleasedResponse(checkpoint=await self._desk.last_released())


class Standing:
    """Shows what the sequencer does: in the log, and to whoever asks whether the part is well.

    A ledger that does not append is not well: nothing can be disclosed through it.
    """

    def __init__(self) -> None:
        self._state = State.STANDBY
        self._turned = asyncio.Event()

    def turned(self, witness: str, attitude: Attitude, why: str) -> None:
        """The witness does this now. None of it stops the log but what it proves."""
        if attitude is Attitude.COSIGNS:
            _logger.info("witness", witness=witness, state="cosigns")
        elif attitude is Attitude.SILENT:
            _logger.warning("witness", witness=witness, state="silent", why=why)
        else:
            _logger.critical("witness", witness=witness, state="refuses", why=why)

    def changed(self, state: State, why: str) -> None:
        """The sequencer is now in this state."""
        self._state = state
        self._turned.set()
        if state is State.READ_ONLY:
            _logger.critical("sequencer", state=state.value, why=why, what_to_do=_ADVICE)
        elif state is State.RECOVERING:
            _logger.warning("sequencer", state=state.value, why=why)
        else:
            _logger.info("sequencer", state=state.value, why=why)

    async def show(self, ready: Ready) -> None:
        """Tells the health service, at first and at every turn."""
        while True:
            await ready(self._state is State.LEADING)
            await ready(self._state is not State.READ_ONLY, STANDS_BY)
            await self._turned.wait()
            self._turned.clear()


def _parse(position: int, item: pb.AppendItem) -> Entry | ServiceError:
    faults = item_faults().get(position)
    if faults:
        return InvalidError("the item breaks the contract's rules", faults=faults)
    try:
        return entry_of(item)
    except ValueError:
        return fault_error("intent_id", "uuid", "an intent is named by its UUID")


def _result(answer: Receipt | ServiceError | CustodyError) -> pb.AppendResult:
    if isinstance(answer, Receipt):
        return pb.AppendResult(receipt=receipt_to_pb(answer))
    if isinstance(answer, CustodyError):
        _logger.critical("ledger_altered", why=str(answer))
    return pb.AppendResult(error=to_status(answer))
