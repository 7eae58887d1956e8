"""The gRPC adapter through which the disclosure protocol reaches the ledger."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from datetime import datetime

import grpc
from onestop.common.v1 import context_pb2, receipt_pb2, subject_pb2
from onestop.ledger.v1 import ledger_pb2 as pb
from onestop.ledger.v1 import ledger_pb2_grpc as pb_grpc

from core.coalesce import Coalescer
from core.entries import MOST_OPEN_INTENTS, Basis, BasisKind, Entry, EntryKind, Outcome, Receipt, RecordRef
from core.errors import Kind, ServiceError
from core.failover import FailoverChannel
from core.identity import Subject
from core.status import from_rpc_error, from_status
from core.trace import current_trace_parent

APPEND_TIMEOUT_SECONDS = 5.0


class LedgerClient:
    """Appends entries; what waits goes together in the next batch."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = pb_grpc.LedgerServiceStub(channel)
        self._several = channel if isinstance(channel, FailoverChannel) else None
        self._coalescer: Coalescer[pb.AppendItem, Receipt] = Coalescer(self._send, largest=512)

    async def append(self, entry: Entry) -> Receipt:
        """The receipt, once the entry is durable. Raises the ledger's error; fails closed."""
        item = item_of(entry)
        item.trace_parent = current_trace_parent()
        return await self._coalescer.submit(item)

    async def append_all(self, entries: Sequence[Entry]) -> Sequence[Receipt | ServiceError]:
        """For each the receipt, once it is durable, or its own error: in one call, at most 1,024 entries.

        Raises the ledger's error where that is of the whole call.
        """
        items = [item_of(entry) for entry in entries]
        here = current_trace_parent()
        for item, entry in zip(items, entries, strict=True):
            item.trace_parent = entry.trace_parent or here
        return await self._send(items)

    async def open_intents(self, older_than: datetime) -> list[Entry]:
        """This part's intents that have no outcome yet."""
        request = pb.ListOpenIntentsRequest(limit=MOST_OPEN_INTENTS)
        request.older_than.FromDatetime(older_than)
        try:
            response = await self._stub.ListOpenIntents(request, timeout=APPEND_TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, "ledger") from error
        return [entry_of(item) for item in response.intents]

    async def _send(self, items: Sequence[pb.AppendItem]) -> Sequence[Receipt | ServiceError]:
        """Results in order; where a ledger has lost its place meanwhile, the next one is asked once more."""
        began = time.monotonic()
        results = await self._ask(items, APPEND_TIMEOUT_SECONDS)
        lost = [place for place, result in enumerate(results) if _is_away(result)]
        left = APPEND_TIMEOUT_SECONDS - (time.monotonic() - began)
        if not lost or self._several is None or left <= 0:
            return results
        self._several.ask_another()
        try:
            again = await self._ask([items[place] for place in lost], left)
        except ServiceError:
            return results
        for place, result in zip(lost, again, strict=True):
            results[place] = result
        return results

    async def _ask(self, items: Sequence[pb.AppendItem], seconds: float) -> list[Receipt | ServiceError]:
        request = pb.AppendBatchRequest(items=items)
        try:
            response = await self._stub.AppendBatch(request, timeout=seconds)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, "ledger") from error
        return [
            from_status(result.error, "ledger") if result.HasField("error") else receipt_of(result.receipt)
            for result in response.results
        ]


def _is_away(result: Receipt | ServiceError) -> bool:
    return isinstance(result, ServiceError) and result.kind is Kind.UNAVAILABLE


def item_of(entry: Entry) -> pb.AppendItem:
    """An entry as the contract has it."""
    item = pb.AppendItem(
        item_id=str(entry.item_id),
        kind=pb.EntryKind.ValueType(entry.kind.value),
        method=entry.method,
        caller=entry.caller,
        office=entry.office,
        purpose=entry.purpose,
        field_names=entry.field_names,
        records=[pb.RecordRef(resource=ref.resource, version=ref.version) for ref in entry.records],
        outcome=pb.EntryOutcome.ValueType(entry.outcome.value),
        intent_id=str(entry.intent_id) if entry.intent_id else "",
        answer_commitment=entry.answer_commitment,
        answer_salt=entry.answer_salt,
        operator=entry.operator,
    )
    if entry.basis is not None:
        item.basis.CopyFrom(basis_to_pb(entry.basis))
    if entry.subject is not None:
        item.subject.CopyFrom(_subject_to_pb(entry.subject))
    item.further_subjects.extend(map(_subject_to_pb, entry.further_subjects))
    return item


def entry_of(item: pb.AppendItem) -> Entry:
    """The entry that the contract's item says."""
    subject = _subject_from_pb(item.subject) if item.HasField("subject") else None
    return Entry(
        item_id=uuid.UUID(item.item_id),
        kind=EntryKind(item.kind),
        method=item.method,
        caller=item.caller,
        office=item.office,
        basis=basis_from_pb(item.basis) if item.HasField("basis") else None,
        purpose=item.purpose,
        operator=item.operator,
        subject=subject,
        field_names=tuple(item.field_names),
        records=tuple(RecordRef(ref.resource, ref.version) for ref in item.records),
        outcome=Outcome(item.outcome),
        intent_id=uuid.UUID(item.intent_id) if item.intent_id else None,
        answer_commitment=item.answer_commitment,
        answer_salt=item.answer_salt,
        further_subjects=tuple(map(_subject_from_pb, item.further_subjects)),
    )


def _subject_to_pb(subject: Subject) -> subject_pb2.Subject:
    return subject_pb2.Subject(code_type=subject.code_type, code=subject.code)


def _subject_from_pb(subject: subject_pb2.Subject) -> Subject:
    return Subject(subject.code_type, subject.code)


def basis_to_pb(basis: Basis) -> context_pb2.Basis:
    """A basis as the contract has it."""
    return context_pb2.Basis(
        kind=context_pb2.BasisKind.ValueType(basis.kind.value),
        matter_code=basis.matter_code,
        case_number=basis.case_number,
        consent_id=basis.consent_id,
    )


def basis_from_pb(basis: context_pb2.Basis) -> Basis | None:
    """The basis that the contract's message says; None where it names no kind."""
    if basis.kind == context_pb2.BASIS_KIND_UNSPECIFIED:
        return None
    return Basis(BasisKind(basis.kind), basis.matter_code, basis.case_number, basis.consent_id)


def receipt_of(receipt: receipt_pb2.Receipt) -> Receipt:
    """The receipt that the contract's message says."""
    return Receipt(
        receipt.id,
        receipt.entry,
        receipt.index,
        receipt.tree_size,
        tuple(receipt.hashes),
        receipt.checkpoint,
        receipt.answer_salt,
        receipt.answer_json,
        receipt.opening_destroyed,
    )


def receipt_to_pb(receipt: Receipt) -> receipt_pb2.Receipt:
    """A receipt as the contract has it."""
    return receipt_pb2.Receipt(
        id=receipt.id,
        entry=receipt.entry,
        index=receipt.index,
        tree_size=receipt.tree_size,
        hashes=receipt.hashes,
        checkpoint=receipt.checkpoint,
        answer_salt=receipt.answer_salt,
        answer_json=receipt.answer_json,
        opening_destroyed=receipt.opening_destroyed,
    )
