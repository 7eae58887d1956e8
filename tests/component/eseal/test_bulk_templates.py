"""Templates in a stream of documents: filled and sealed each once, as alone."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4

from onestop.eseal.v1 import bulk_pb2 as pb
from onestop.eseal.v1 import eseal_pb2, template_pb2

from tests.component.eseal.bulk import item, reasons, seal_all
from tests.component.eseal.harness import Desk
from tests.unit.eseal.forms_filled import DECISION


def form(desk: Desk, number: int, **change: str) -> pb.SealItem:
    """A decision to be filled, for a case of its own."""
    asked = replace(desk.asking, case_number=f"2026-{number:04}", request_id=f"form-{uuid4().hex}")
    fill = template_pb2.TemplateFill(template="permit_decision", fields={**DECISION, **change})
    return pb.SealItem(context=desk.context(asked), fill=fill)


async def test_templates_are_filled_and_sealed_among_uploads_and_a_retry_gets_the_same(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    fills = [form(desk, number, applicant=f"第{number}号商行") for number in range(3)]

    results = await seal_all(desk, seal_id, [*fills, item(desk, 5), form(desk, 6, decided_on="昨天")])
    again = await seal_all(desk, seal_id, fills)
    alone = await desk.templates.SignTemplate(
        template_pb2.SignTemplateRequest(
            **{**desk.about(None), "context": fills[0].context}, seal_id=str(seal_id), fill=fills[0].fill
        )
    )

    assert reasons(results) == ["", "", "", "", "TEMPLATE_FIELDS_INVALID"]
    assert [one.document for one in again] == [one.document for one in results[:3]]
    assert alone.document == results[0].document
    assert len(await desk.signatures()) == 4
    for one in again:
        assert one.verification_link.endswith(UUID(one.signature_id).hex)
        answer = await desk.verify(one.document)
        assert answer.verdict == eseal_pb2.DOCUMENT_VERDICT_VALID
