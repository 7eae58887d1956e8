"""Templates for the tests, and what goes into them. People, companies and numbers are made up."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

from services.eseal.pictures.vector import draw_round_seal
from services.eseal.template import Template
from services.eseal.templates.face import serif
from services.eseal.templates.loading import load_templates
from services.eseal.templates.pdf import PdfPlate, make_plate
from services.eseal.templates.qr import Codes, codes_for

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
LINKS = "https://city.example/public/v1/sealed_documents/"
NUMBER = UUID("5ea10000-0000-4000-8000-0123456789ab").hex
DECISION = {
    "office_name": "武江区市场监督管理局",
    "decision_code": "武市监许准字〔2026〕第0001号",
    "applicant": "林小满",
    "applied_on": "2026-02-20",
    "permit_name": "食品经营许可",
    "legal_basis": "《食品经营许可和备案管理办法》第十二条",
    "content": "经营项目：预包装食品销售、散装食品销售。\n经营场所：武江区演示路100号𬭎记商行。",
    "valid_until": "2031-03-01",
    "decided_on": "2026-03-02",
}
LICENCE = {
    "credit_code": "91440299MA00000001",
    "company_name": "韶关市演示农产品有限公司",
    "company_type": "有限责任公司",
    "representative": "林小满",
    "business_scope": "一般项目：农副产品销售；初级农产品收购；技术服务、技术开发、技术咨询。",
    "capital": "1000000.00",
    "founded_on": "2026-03-01",
    "address": "广东省韶关市武江区演示路8号101室",
    "office_name": "武江区市场监督管理局",
    "issued_on": "2026-03-02",
}


@lru_cache(maxsize=1)
def templates() -> dict[tuple[str, int], Template]:
    """The service's own."""
    return load_templates(serif())


@lru_cache(maxsize=1)
def codes() -> Codes:
    """Of links at LINKS."""
    return codes_for(LINKS)


@lru_cache(maxsize=4)
def plate(name: str = "permit_decision") -> PdfPlate:
    """A template with a round seal."""
    return make_plate(
        templates()[name, 1],
        serif(),
        codes(),
        picture=draw_round_seal("武江区市场监督管理局", bottom_text="行政审批专用章"),
        signer_name="武江区市场监督管理局行政审批专用章",
    )
