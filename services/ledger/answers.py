"""What the ledger releases itself, as the contract has it."""

from __future__ import annotations

from google.protobuf.message import Message
from onestop.common.v1 import context_pb2
from onestop.ledger.v1 import ledger_pb2 as pb

from core.entries import EntryKind, Outcome
from core.wire import set_instant
from services.ledger.disclosures import ShownUse, UsesAnswer

OUTCOMES = {
    Outcome.RELEASED: pb.USE_OUTCOME_RELEASED,
    Outcome.COMPLETED: pb.USE_OUTCOME_COMPLETED,
    Outcome.ABORTED: pb.USE_OUTCOME_ABORTED,
}
RECEIPTS = "/ledger/v1/receipts/"


def answer_to_pb(answer: object) -> Message:
    """What is released, and what its receipt commits to."""
    if not isinstance(answer, UsesAnswer):
        raise TypeError(f"no desk answers anything of type {type(answer).__name__}")
    return pb.ListDisclosuresAnswer(
        disclosures=[_use(one) for one in answer.uses], next_page_token=answer.next_page_token
    )


def _use(shown: ShownUse) -> pb.DisclosedUse:
    entry, basis = shown.use.entry, shown.use.entry.basis
    under_way = entry.kind is EntryKind.INTENT
    use = pb.DisclosedUse(
        receipt_id=str(entry.item_id),
        receipt_path=f"{RECEIPTS}{entry.item_id}",
        outcome=pb.USE_OUTCOME_UNDER_WAY if under_way else OUTCOMES[entry.outcome],
        method=entry.method,
        method_name=shown.words.zh,
        method_name_en=shown.words.en,
        caller=entry.caller,
        caller_name=shown.caller.name if shown.caller else None,
        caller_name_en=(shown.caller.name_en or None) if shown.caller else None,
        office=entry.office or None,
        office_name=shown.office.name if shown.office else None,
        matter_name=shown.matter.name if shown.matter else None,
        matter_name_en=(shown.matter.name_en or None) if shown.matter else None,
        field_names=entry.field_names,
        field_titles=shown.field_titles,
        other_subjects=shown.use.others,
    )
    if basis is not None:
        use.basis = context_pb2.BasisKind.ValueType(basis.kind.value)
        for name in ("matter_code", "case_number", "consent_id"):
            if value := getattr(basis, name):
                setattr(use, name, value)
    set_instant(use.recorded_at, shown.use.recorded_at)
    return use
