"""The outside callers of a test's city, and the facts they know."""

from __future__ import annotations

import json
import uuid
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cli.demo.citizen import Citizen
from cli.demo.client import Caller
from cli.letter import make_letter
from core.note import VerifierKey
from core.receipt import Proved, answer_bytes, verify_receipt
from tests.city import City

Json = dict[str, Any]

MATTER = "sole-trader-registration"
ID_CARD = "11100000000013127D001"
HOUSEHOLD_REGISTER = "11100000000013127D902"
PURPOSE = "loan_application"


def cast_of(city: City) -> Json:
    """The demo cast: applicant, farmer, company, office, password."""
    return dict(json.loads((city.home / "demo" / "cast.json").read_text(encoding="utf-8")))


def platform_of(city: City) -> Caller:
    """The approval platform; use as a context manager."""
    return Caller(city.machines, city.settings.pki, "approval-platform")


def bank_of(city: City) -> Caller:
    """The lending partner."""
    return Caller(city.machines, city.settings.pki, "rural-bank")


def citizen_of(city: City) -> Citizen:
    """Somebody who has yet to sign in."""
    return Citizen(city.people, city.identity_provider, city.settings.pki / "ca.crt")


def case_of(city: City, **other: str) -> Json:
    """A fresh case of the demo's matter at the demo's office."""
    return {
        "matter_code": MATTER,
        "case_number": f"TEST-{uuid.uuid4().hex[:12]}",
        "office": cast_of(city)["office"]["code"],
        "operator": "clerk-1",
        **other,
    }


def person(code: str) -> Json:
    """A citizen as the contract names her."""
    return {"code_type": "111", "code": code}


def proved(city: City, answer: Json) -> Proved:
    """What an answer's receipt proves, with the ledger's public key alone."""
    return verify_receipt(answer["receipt"], _key(city.settings.keys), answered=answer_bytes(answer))


def proved_file(city: City, content: bytes, receipt: Json) -> Proved:
    """The same for a file and the receipt beside it."""
    return verify_receipt(receipt, _key(city.settings.keys), answered=content)


@cache
def letter() -> bytes:
    """A decision letter to seal."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "letter.pdf"
        make_letter(path, "武江区市场监督管理局", "某某", "测试商行", "TEST-1", date(2026, 3, 2))
        return path.read_bytes()


def ask_consent(bank: Caller, farmer_code: str, **other: object) -> Json:
    """A consent request by the bank."""
    body = {
        "farmer": person(farmer_code),
        "purpose_code": PURPOSE,
        "items": ["land_rights", "subsidies"],
        "validity_days": 30,
        "max_uses": 10,
        **other,
    }
    return dict(bank.post("/partner/v1/consent_requests", body)["consent_request"])


def grant(farmer: Citizen, asked: Json, items: list[str] | None = None) -> str:
    """Grants what was asked, or less; the consent's id."""
    body = {
        "consent_request_id": asked["id"],
        "text_sha256": asked["text_sha256"],
        "items": items or asked["items"],
    }
    return str(farmer.post("/citizen/v1/consents", body)["consent"]["id"])


def _key(keys: Path) -> VerifierKey:
    return VerifierKey.parse((keys / "ledger.vkey").read_text(encoding="utf-8").strip())
