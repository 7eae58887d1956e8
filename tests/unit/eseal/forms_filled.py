"""Templates for the tests, and what goes into them. People, companies and numbers are made up."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from io import BytesIO
from uuid import UUID

from PIL import Image, ImageDraw

from services.eseal.photo import Photo, photo_of
from services.eseal.pictures.photos import read_photo
from services.eseal.pictures.vector import draw_round_seal
from services.eseal.template import Template
from services.eseal.templates.face import serif
from services.eseal.templates.loading import load_templates
from services.eseal.templates.pdf import make_plate
from services.eseal.templates.pdf_document import PdfPlate
from services.eseal.templates.qr import Codes, codes_for

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
CAMERA = "a camera of nobody's"
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
OPERATOR = {
    "certificate_code": "TS6JDEM000001",
    "holder_name": "林小满",
    "id_number": "44029919900101001X",
    "items": "起重机指挥（Q1）\n叉车司机（N1）",
    "approved_on": "2026-03-02",
    "valid_until": "2030-03-01",
    "office_name": "武江区市场监督管理局",
}
PENALTY = {
    "office_name": "武江区市场监督管理局",
    "decision_code": "武市监处罚〔2026〕第0007号",
    "party": "韶关市演示农产品有限公司",
    "party_code": "91440299MA00000001",
    "party_address": "广东省韶关市武江区演示路8号101室",
    "facts": "2026年1月12日，执法人员检查当事人的经营场所，发现货架上待售的演示牌糕点二十三袋已超过保质期。\n"
    "经查，当事人购入上述食品一百袋，已售出七十七袋，违法所得254.10元，货值金额980.00元。",
    "evidence": "（一）现场笔录一份；\n（二）询问笔录一份；\n（三）进货单据复印件二份。",
    "reasons": "当事人经营超过保质期的食品的行为，违反了《中华人民共和国食品安全法》第三十四条第十项的规定。",
    "penalty": "（一）没收超过保质期的食品二十三袋；\n（二）没收违法所得254.10元；\n（三）罚款5000.00元。",
    "review_office": "武江区人民政府",
    "court": "韶关市武江区人民法院",
    "decided_on": "2026-03-02",
}


def long_penalty(times: int = 6) -> dict[str, str]:
    """A decision whose facts take some pages."""
    return {**PENALTY, "facts": "\n".join([PENALTY["facts"]] * times)}


@lru_cache(maxsize=4)
def photograph(kind: str = "JPEG", size: tuple[int, int] = (700, 980)) -> bytes:
    """A picture of nobody: a head and shoulders in a few colours, with what cameras write beside it."""
    wide, tall = size
    shown = Image.radial_gradient("L").resize(size)
    picture = Image.merge("RGB", (shown.point(lambda dot: 225 - dot // 4), shown, shown))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((wide * 0.3, tall * 0.15, wide * 0.7, tall * 0.6), fill=(236, 196, 170))
    draw.ellipse((wide * 0.1, tall * 0.66, wide * 0.9, tall * 1.4), fill=(40, 60, 110))
    out, exif = BytesIO(), Image.Exif()
    exif[0x010F] = CAMERA
    picture.save(out, kind, exif=exif)
    return out.getvalue()


def read_whole(file: bytes) -> Photo:
    """The picture as it goes into a document, where its place is that of a photograph."""
    room = 420, 588
    return photo_of(read_photo(file, room), room)


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
