"""From what a file shows and what our records say to one verdict and one plain sentence. Pure rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from uuid import UUID

from services.eseal.domain import Finding, Modification, Seal, SealState

_SAME_TIME = timedelta(seconds=2)
"""PDF dates have whole seconds (ISO 32000-2 7.9.4)."""


class Verdict(Enum):
    """What can be said of a document as a whole; values as in the contract."""

    VALID = 1
    INVALID = 2
    UNSEALED = 3


class Fault(Enum):
    """What speaks against a seal, with the words for it."""

    CHANGED = "被签内容已被改动", "the sealed content was changed"
    FORGED = "签名值与证书不符", "the signature does not belong to its certificate"
    ADDED = "加盖之后文件又被改动或增添", "the file was changed or added to afterwards"
    REVOKED = "印章已被撤销或停用", "the seal has been revoked or suspended"
    UNTRUSTED = "签章证书不受信任或不在有效期内", "its certificate is not trusted or not in its validity"
    UNCOVERED = "文件有未被签章覆盖的部分", "the document has parts that the seal does not cover"
    NOT_GENUINE = (
        "印章本身不可信、不在有效期内或未授权该签章人",
        "the seal itself is not trusted, not in its validity, or not for this signer",
    )


@dataclass(frozen=True)
class SealReport:
    """One seal in a document, with what our records say of it."""

    finding: Finding
    trusted: bool
    genuine: bool
    """Of an OFD: whether the seal itself is in order."""
    revoked: bool
    seal_id: UUID | None
    seal_name: str
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class DocumentReport:
    """The answer to a check."""

    verdict: Verdict
    seals: tuple[SealReport, ...]
    summary_zh: str
    summary_en: str
    document_sha256: str


def report_on(
    findings: Sequence[Finding],
    *,
    seals: Mapping[str, Seal],
    signing_times: Mapping[bytes, datetime],
    document_sha256: str,
) -> DocumentReport:
    """The report on a document.

    `findings` in the order the seals were put; `seals` ours by SHA-256 of their certificates;
    `signing_times` the times in our own signature records, by SHA-256 of the CMS object.
    """
    reports = tuple(
        _report(finding, seals.get(finding.certificate_sha256), signing_times, last=finding is findings[-1])
        for finding in findings
    )
    if not reports:
        verdict = Verdict.UNSEALED
    elif any(report.faults for report in reports):
        verdict = Verdict.INVALID
    else:
        verdict = Verdict.VALID
    return DocumentReport(verdict, reports, *_sentences(verdict, reports), document_sha256)


def _report(
    finding: Finding, seal: Seal | None, signing_times: Mapping[bytes, datetime], *, last: bool
) -> SealReport:
    proved = _time_is_proved(finding, signing_times)
    trusted = finding.trusted_now or (finding.trusted_then and proved)
    genuine = finding.genuine_now or (finding.genuine_then and proved)
    revoked = seal is not None and seal.standing in (SealState.SUSPENDED, SealState.REVOKED)
    added = not finding.permitted or not (_is_last_word(finding) if last else _precedes_seals(finding))
    faults = {
        Fault.CHANGED: not finding.intact,
        Fault.FORGED: not finding.valid,
        Fault.ADDED: finding.intact and added and not finding.uncovered_parts,
        Fault.UNCOVERED: bool(finding.uncovered_parts),
        Fault.REVOKED: revoked,
        Fault.UNTRUSTED: not trusted,
        Fault.NOT_GENUINE: not genuine,
    }
    return SealReport(
        finding=finding,
        trusted=trusted,
        genuine=genuine,
        revoked=revoked,
        seal_id=seal.id if seal else None,
        seal_name=seal.name if seal else "",
        faults=tuple(fault for fault, found in faults.items() if found),
    )


def _is_last_word(finding: Finding) -> bool:
    """Whether nothing came after the last seal, save data for its own validation in years to come."""
    return finding.covers_whole_document or finding.modification is Modification.LTV_UPDATES


def _precedes_seals(finding: Finding) -> bool:
    """Whether what came after is at most what a further seal adds: its field and its picture."""
    return finding.modification in (
        Modification.NONE,
        Modification.LTV_UPDATES,
        Modification.FORM_FILLING,
    )


def _time_is_proved(finding: Finding, signing_times: Mapping[bytes, datetime]) -> bool:
    """Whether our own record of this very signature bears out the time that it claims."""
    recorded = signing_times.get(finding.cms_sha256)
    if recorded is None or finding.signed_at is None:
        return False
    return abs(recorded - finding.signed_at) <= _SAME_TIME


def _sentences(verdict: Verdict, reports: Sequence[SealReport]) -> tuple[str, str]:
    """The sentence in Chinese and in English."""
    if verdict is Verdict.UNSEALED:
        return "文件上没有电子印章，不能证明任何事项。", "The document bears no seal; it proves nothing."
    if verdict is Verdict.VALID:
        names = [_name(report) for report in reports]
        return (
            f"文件有效：{len(names)}枚电子印章（{'、'.join(names)}）真实可信，加盖之后内容未被改动。",
            f"The document is valid: its {_count(len(names))} ({', '.join(names)}) "
            f"{'is' if len(names) == 1 else 'are'} genuine, and nothing was changed afterwards.",
        )
    faulty = [report for report in reports if report.faults]
    zh = "；".join(f"{_name(it)}：{'、'.join(fault.value[0] for fault in it.faults)}" for it in faulty)
    en = "; ".join(f"{_name(it)}: {', '.join(fault.value[1] for fault in it.faults)}" for it in faulty)
    return f"文件无效。{zh}。", f"The document is not valid. {en}."


def _name(report: SealReport) -> str:
    return report.seal_name or report.finding.signer or report.finding.field_name


def _count(number: int) -> str:
    return "seal" if number == 1 else f"{number} seals"
