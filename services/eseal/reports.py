"""Reports on documents as the contract has them."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from google.protobuf.timestamp_pb2 import Timestamp
from onestop.eseal.v1 import eseal_pb2 as pb

from core.present import AnswerPresenter
from services.eseal.verifying.verdict import DocumentReport, SealReport


def report_to_pb(answer: object) -> pb.VerifyDocumentAnswer:
    """A DocumentReport as the contract has it."""
    report = cast(DocumentReport, answer)
    return pb.VerifyDocumentAnswer(
        verdict=cast(pb.DocumentVerdict.ValueType, report.verdict.value),
        seals=[_seal_report(seal) for seal in report.seals],
        summary_zh=report.summary_zh,
        summary_en=report.summary_en,
        document_sha256=report.document_sha256,
    )


present_report = AnswerPresenter(report_to_pb)
"""A report commits to its RFC 8785 form."""


def _seal_report(report: SealReport) -> pb.SealReport:
    found = report.finding
    return pb.SealReport(
        field_name=found.field_name,
        signer=found.signer,
        seal_id=str(report.seal_id) if report.seal_id else None,
        seal_name=report.seal_name or None,
        signed_at=_timestamp(found.signed_at) if found.signed_at else None,
        intact=found.intact,
        valid=found.valid,
        trusted=report.trusted,
        revoked=report.revoked,
        covers_whole_document=found.covers_whole_document,
        modification=found.modification.value,
        algorithm=found.algorithm,
        structure=found.structure or None,
        seal_genuine=report.genuine if found.structure and found.bears_seal else None,
        altered_parts=found.altered_parts,
        uncovered_parts=found.uncovered_parts,
        level=cast(pb.SealLevel.ValueType, found.level) if found.level else None,
        timestamp_at=_timestamp(found.stamped_at) if found.stamped_at else None,
        timestamp_authority=found.stamped_by or None,
        time_proof=report.time_proof.value,
        byte_range=found.byte_range,
        chain=found.chain,
        revocation=report.revocation.value,
        revoked_at=_timestamp(report.revoked_at) if report.revoked_at else None,
        weaknesses=found.weaknesses,
        summary_zh=report.summary_zh,
        summary_en=report.summary_en,
        certifies=found.certifies,
        seal_state=cast(pb.SealState.ValueType, report.state.value) if report.state else None,
    )


def _timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
