"""An answer without a receipt, planted in each way that comes to mind, is caught: by types, rule or guard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mypy import api
from onestop.agricredit.v1 import agricredit_pb2
from onestop.autofill.v1 import autofill_pb2
from onestop.common.v1 import receipt_pb2
from onestop.datanode.v1 import datanode_pb2
from onestop.eseal.v1 import eseal_pb2
from onestop.licence.v1 import licence_pb2

from core import access
from core.entries import Receipt, Released
from core.release import MissingReceiptError, answer_of, require_receipts
from core.status import to_status
from deploy.local.migrate import ROOT
from tests.checks import receipts

HEAD = """
from typing import Any
from onestop.licence.v1 import licence_pb2 as pb
from core.batch import answer_batch
from core.entries import Released
from core.release import Answered, answer_of, releasing
"""

HONEST = """
class Servicer:
    async def BatchSearchLicences(self, request: Any, context: Any) -> pb.BatchSearchLicencesResponse:
        async def one(item: pb.SearchLicencesItem) -> Answered[pb.SearchLicencesResult]:
            released: Released = await self.search(item)
            return answer_of(released, lambda wire, kept: pb.SearchLicencesResult(answer=wire, receipt=kept))

        results = await answer_batch(request.items, pb.SearchLicencesResult, one)
        return pb.BatchSearchLicencesResponse(results=results)

    async def search(self, item: pb.SearchLicencesItem) -> Released:
        raise NotImplementedError
"""


def planted(text: str) -> list[str]:
    """What the rule says of the licence service's face if this stands in it."""
    faults = receipts.code_faults([("services/licence/rpc.py", HEAD + text)])
    return [one for one in faults if "is not served here" not in one]


def test_the_project_keeps_the_rule() -> None:
    assert [*receipts.contract_faults(), *receipts.code_faults(receipts.sources(ROOT))] == []
    assert planted(HONEST) == []


@pytest.mark.parametrize(
    ("honest", "other", "complaint"),
    [
        (
            "await answer_batch(",
            "await answer_inner_batch(",
            "answers a batch and not with answer_batch alone",
        ),
        ("(results=results)", "(results=[pb.SearchLicencesResult()])", "not with answer_batch alone"),
        (
            "(results=results)",
            "(results=[*results, pb.SearchLicencesResult()])",
            "not with answer_batch alone",
        ),
        (
            "        return pb.Batch",
            "        results.append(pb.SearchLicencesResult())\n        return pb.Batch",
            "not with answer_batch alone",
        ),
        (
            "        return pb.Batch",
            "        results = [pb.SearchLicencesResult()]\n        return pb.Batch",
            "not with answer_batch alone",
        ),
        (
            "released: Released = await self.search(item)",
            "released = Released(pb.X(), None)",
            "Released is called",
        ),
        (
            "released: Released = await self.search(item)",
            "released = entries.Released(None, None)",
            "Released is",
        ),
        (
            "return answer_of(",
            "return Answered(pb.SearchLicencesResult())\n            return answer_of(",
            "Answered is",
        ),
        (
            "return answer_of(",
            "return Answered[Any](None)\n            return answer_of(",
            "Answered is called",
        ),
        ("answer_of(released", "answer_of(object.__new__(Released)", "made around its constructor"),
        ("class Servicer", "from core.entries import Released as Given\nclass Servicer", "keeps its name"),
        ("receipt=kept", "receipt=receipt_pb2.Receipt(id='x')", "receipt_pb2.Receipt is called"),
    ],
)
def test_what_goes_around_the_protocol_is_found(honest: str, other: str, complaint: str) -> None:
    assert honest in HONEST

    assert any(complaint in fault for fault in planted(HONEST.replace(honest, other, 1)))


def test_a_single_answer_that_is_not_marked_is_found() -> None:
    text = """
class Servicer:
    async def SignDocument(self, request, context):
        return pb.SignDocumentResponse()
"""
    faults = list(receipts.code_faults([("services/eseal/rpc.py", text)]))

    assert any("SignDocument answers the gateway and is not marked @releasing" in one for one in faults)
    assert any("VerifyDocument is not served here" in one for one in faults)


TYPED = {
    "a bare result in a batch": (
        "return answer_of(released, lambda wire, kept: pb.SearchLicencesResult(answer=wire, receipt=kept))",
        "return pb.SearchLicencesResult(answer=pb.SearchLicencesAnswer())",
    ),
    "another thing than what was released": ("answer_of(released,", "answer_of(pb.SearchLicencesAnswer(),"),
    "results that a helper makes": (
        "async def one(item: pb.SearchLicencesItem) -> Answered[pb.SearchLicencesResult]:",
        "async def one(item: pb.SearchLicencesItem) -> pb.SearchLicencesResult:",
    ),
}


@pytest.mark.timeout(300)
def test_types_refuse_an_answer_that_was_not_released(tmp_path: Path) -> None:
    (tmp_path / "honest.py").write_text(HEAD + HONEST, encoding="utf-8")
    for number, (name, (honest, other)) in enumerate(TYPED.items()):
        assert honest in HONEST, name
        text = HEAD + HONEST.replace(honest, other, 1)
        (tmp_path / f"planted_{number}.py").write_text(text, encoding="utf-8")
    single = """
class Servicer:
    @releasing
    async def SearchOne(self, request: pb.SearchLicencesItem, context: Any) -> pb.SearchLicencesResult:
        return pb.SearchLicencesResult()
"""
    (tmp_path / "planted_single.py").write_text(HEAD + single, encoding="utf-8")
    options = [
        "--strict",
        "--config-file",
        str(ROOT / "pyproject.toml"),
        "--cache-dir",
        str(tmp_path / "cache"),
    ]

    told, failure, _ = api.run([*options, "--no-error-summary", *map(str, sorted(tmp_path.glob("*.py")))])

    files = {line.partition(".py:")[0].rpartition("/")[2] for line in told.splitlines() if ": error:" in line}
    assert files == {"planted_single", *(f"planted_{number}" for number in range(len(TYPED)))}, told + failure


@pytest.mark.parametrize(
    "answer",
    [
        eseal_pb2.SignDocumentResponse(document=b"%PDF"),
        licence_pb2.BatchSearchLicencesResponse(results=[licence_pb2.SearchLicencesResult()]),
        agricredit_pb2.BatchFetchSubsidiesResponse(
            results=[agricredit_pb2.FetchSubsidiesResult(answer=agricredit_pb2.SealedAnswer(jwe="x"))]
        ),
        autofill_pb2.ListMattersResponse(),
    ],
    ids=lambda answer: answer.DESCRIPTOR.name,
)
def test_the_guard_lets_nothing_pass_without_a_receipt(answer: Any) -> None:
    with pytest.raises(MissingReceiptError):
        require_receipts(answer)


def test_the_guard_lets_receipts_and_errors_pass() -> None:
    receipt = receipt_pb2.Receipt(id="r")
    require_receipts(eseal_pb2.SignDocumentResponse(receipt=receipt))
    refused = licence_pb2.SearchLicencesResult(error=to_status(ValueError()))
    given = licence_pb2.SearchLicencesResult(receipt=receipt)
    require_receipts(licence_pb2.BatchSearchLicencesResponse(results=[refused, given]))


def test_what_was_released_without_a_receipt_is_no_answer() -> None:
    nothing = Released(licence_pb2.SearchLicencesAnswer(), Receipt("", b"", 0, 1, (), "", b""))

    with pytest.raises(MissingReceiptError):
        answer_of(nothing, lambda wire, receipt: wire)


def test_a_contract_without_a_place_for_the_receipt_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    method = "/onestop.autofill.v1.AutofillService/GetMatter"
    monkeypatch.delitem(access.WITHOUT_RECEIPT, method)

    (fault,) = receipts.contract_faults()

    assert method in fault
    assert "without a receipt" in fault


@pytest.mark.parametrize(
    "method",
    [
        "/onestop.datanode.v1.DataNodeService/BatchReadRecords",
        "/onestop.licence.v1.LicenceService/BatchReadLicenceFields",
        "/onestop.ledger.v1.LedgerService/ListOpenIntents",
    ],
)
def test_a_method_that_is_opened_to_the_gateway_is_found(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(access.CALLERS, method, access.CALLERS[method] | {"gateway"})

    assert any(method in fault for fault in receipts.contract_faults())


def test_an_entry_of_the_list_that_is_no_method_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(access.WITHOUT_RECEIPT, "/onestop.eseal.v1.EsealService/Gone", "")

    faults = list(receipts.contract_faults())

    assert any("is no method that the gateway may call" in fault for fault in faults)
    assert any("needs a reason" in fault for fault in faults)


def test_inner_answers_carry_no_receipt() -> None:
    assert not receipts.carries_receipt(datanode_pb2.BatchReadRecordsResponse.DESCRIPTOR)
    assert not access.releases("/onestop.licence.v1.LicenceService/BatchReadLicenceFields")


def test_a_contract_beside_a_parts_own_is_looked_at_in_a_file_of_its_name() -> None:
    text = """
class Servicer:
    async def SignHashes(self, request, context):
        return pb.SignHashesResponse()
"""
    faults = list(receipts.code_faults([("services/eseal/remote/rpc.py", text)]))

    assert any("SignHashes answers the gateway and is not marked @releasing" in one for one in faults)
    assert any("AuthorizeCredential is not served here" in one for one in faults)
