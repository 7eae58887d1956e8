"""From what a file shows and what our records say to one verdict and one plain sentence. Pure rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from uuid import UUID

from services.eseal.domain import Seal, SealState
from services.eseal.levels import Level
from services.eseal.verifying.finding import Finding, Modification
from services.eseal.verifying.standing import UNKNOWN, Revocation, Standing, revocation_of
from services.eseal.verifying.wording import UNREAD, sentence_on

_SAME_TIME = timedelta(seconds=2)
"""PDF dates have whole seconds (ISO 32000-2 7.9.4)."""

_OUT_OF_FORCE = (SealState.SUSPENDED, SealState.REVOKED, SealState.DESTROYED)
"""What its keepers have decided against a seal that was in force."""


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
    WITHDRAWN = "签章证书已被吊销", "its certificate has been revoked"
    TIME = (
        "所称的签章时间不可能属实",
        "it cannot have been put at the time that it claims",
    )
    UNTRUSTED = "签章证书不受信任或不在有效期内", "its certificate is not trusted or not in its validity"
    UNCOVERED = "文件有未被签章覆盖的部分", "the document has parts that the seal does not cover"
    WEAK = "所用算法强度不足", "its algorithms are too weak to prove anything"
    UNKNOWN = "无法得知证书是否已被吊销", "nobody can say whether its certificate was revoked"
    NOT_GENUINE = (
        "印章本身不可信、不在有效期内或未授权该签章人",
        "the seal itself is not trusted, not in its validity, or not for this signer",
    )


class TimeProof(StrEnum):
    """By what the time of a seal is borne out."""

    TIMESTAMP = "timestamp"
    RECORD = "record"
    CLAIM = "claim"


@dataclass(frozen=True)
class SealReport:
    """One seal in a document, with what our records and its certificate's authority say of it."""

    finding: Finding
    trusted: bool
    genuine: bool
    """Of an OFD: whether the seal itself is in order."""
    revoked: bool
    seal_id: UUID | None
    seal_name: str
    state: SealState | None
    """Of a seal of ours: its state at the moment of the check."""
    faults: tuple[Fault, ...]
    time_proof: TimeProof = TimeProof.CLAIM
    revocation: Revocation = Revocation.UNKNOWN
    revoked_at: datetime | None = None
    summary_zh: str = ""
    summary_en: str = ""


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
    moment: datetime | None = None,
    standings: Sequence[Standing] = (),
    refuse_unknown: bool = False,
) -> DocumentReport:
    """The report on a document.

    `findings` in the order the seals were put; `seals` ours by SHA-256 of their certificates;
    `signing_times` the times in our own signature records, by SHA-256 of the CMS object; `moment` that of the
    check, without which a seal's own validity is not weighed in; `standings` what is known of the
    certificates of each finding, where anything is; `refuse_unknown` whether nothing is a fault.
    """
    known = standings or [UNKNOWN] * len(findings)
    reports = tuple(
        _report(
            finding,
            seals.get(finding.certificate_sha256),
            signing_times,
            standing,
            moment=moment,
            last=finding is findings[-1],
            refuse_unknown=refuse_unknown,
        )
        for finding, standing in zip(findings, known, strict=True)
    )
    if not reports:
        verdict = Verdict.UNSEALED
    elif any(report.faults for report in reports):
        verdict = Verdict.INVALID
    else:
        verdict = Verdict.VALID
    return DocumentReport(verdict, reports, *_sentences(verdict, reports), document_sha256)


def _report(
    finding: Finding,
    seal: Seal | None,
    signing_times: Mapping[bytes, datetime],
    standing: Standing,
    *,
    moment: datetime | None,
    last: bool,
    refuse_unknown: bool,
) -> SealReport:
    proof, proved_at = _time(finding, signing_times)
    recorded = _time_is_proved(finding, signing_times)
    trusted = finding.trusted_now or (finding.trusted_then and recorded) or finding.trusted_stamped
    genuine = finding.genuine_now or (finding.genuine_then and recorded) or finding.genuine_stamped
    revocation = revocation_of(standing, proved_at)
    suspended = seal is not None and seal.standing in _OUT_OF_FORCE
    revoked = suspended or revocation is Revocation.REVOKED
    added = not finding.permitted or not (_is_last_word(finding) if last else _precedes_seals(finding))
    faults = {
        Fault.CHANGED: not finding.intact,
        Fault.FORGED: not finding.valid,
        Fault.ADDED: finding.intact and added and not finding.uncovered_parts,
        Fault.UNCOVERED: bool(finding.uncovered_parts),
        Fault.REVOKED: suspended,
        Fault.WITHDRAWN: revocation is Revocation.REVOKED,
        Fault.UNTRUSTED: not trusted,
        Fault.TIME: trusted and not finding.may_be_true,
        Fault.WEAK: bool(finding.weaknesses),
        Fault.UNKNOWN: refuse_unknown and revocation is Revocation.UNKNOWN,
        Fault.NOT_GENUINE: not genuine,
    }
    report = SealReport(
        finding=finding,
        trusted=trusted,
        genuine=genuine,
        revoked=revoked,
        seal_id=seal.id if seal else None,
        seal_name=seal.name if seal else "",
        state=_state(seal, moment),
        faults=tuple(fault for fault, found in faults.items() if found),
        time_proof=proof,
        revocation=revocation,
        revoked_at=standing.revoked_at,
    )
    if not finding.is_readable:
        return replace(
            report, summary_zh=f"{_name(report)}：{UNREAD[0]}。", summary_en=f"{_name(report)}: {UNREAD[1]}."
        )
    zh, en = sentence_on(
        _name(report),
        moment=finding.stamped_at or finding.signed_at,
        proof=proof.value,
        revocation=revocation,
        of_file=standing.of_file,
        level=Level(finding.level).label if finding.level else "",
        modification=finding.modification.value,
        faults=[fault.value for fault in report.faults],
    )
    return replace(report, summary_zh=zh, summary_en=en)


def _time(finding: Finding, signing_times: Mapping[bytes, datetime]) -> tuple[TimeProof, datetime | None]:
    """How the time is borne out, and the time by which the seal had been put for certain."""
    if finding.stamped_at is not None:
        return TimeProof.TIMESTAMP, finding.stamped_at
    if _time_is_proved(finding, signing_times):
        return TimeProof.RECORD, finding.signed_at
    return TimeProof.CLAIM, None


def _state(seal: Seal | None, moment: datetime | None) -> SealState | None:
    if seal is None:
        return None
    return seal.standing if moment is None else seal.state_at(moment)


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
        sealed = all(report.finding.bears_seal for report in reports)
        what, put = ("枚电子印章", "加盖") if sealed else ("个电子签名", "签署")
        return (
            f"文件有效：{len(names)}{what}（{'、'.join(names)}）真实可信，{put}之后内容未被改动。",
            f"The document is valid: its {_count(len(names), 'seal' if sealed else 'signature')} "
            f"({', '.join(names)}) "
            f"{'is' if len(names) == 1 else 'are'} genuine, and nothing was changed afterwards.",
        )
    faulty = [report for report in reports if report.faults]
    zh = "；".join(f"{_name(it)}：{'、'.join(zh for zh, _ in _told(it))}" for it in faulty)
    en = "; ".join(f"{_name(it)}: {', '.join(en for _, en in _told(it))}" for it in faulty)
    return f"文件无效。{zh}。", f"The document is not valid. {en}."


def _told(report: SealReport) -> list[tuple[str, str]]:
    """The words for what speaks against a seal; of one that cannot be read nothing else can be said."""
    return [fault.value for fault in report.faults] if report.finding.is_readable else [UNREAD]


def _name(report: SealReport) -> str:
    return report.seal_name or report.finding.signer or report.finding.field_name


def _count(number: int, what: str) -> str:
    return what if number == 1 else f"{number} {what}s"
