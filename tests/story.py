"""The outside callers of a test's city, and the facts they know."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import psycopg
from joserfc import jwe, jws
from joserfc.jwk import ECKey, KeySet

from cli.demo.citizen import Citizen
from cli.demo.client import Caller
from cli.letter import make_letter
from cli.letter_ofd import make_letter_ofd
from core.identifiers import citizen_check_digit
from core.note import VerifierKey
from core.receipt import Proved, answer_bytes, verify_receipt
from deploy.local.pki import Leaf, open_authority, write_leaf
from tests.city import City

Json = dict[str, Any]
Watch = Callable[[httpx2.Response], None]
"""Looks at every answer that a caller gets."""

MATTER = "sole-trader-registration"
ID_CARD = "11100000000013127D001"
HOUSEHOLD_REGISTER = "11100000000013127D902"
PURPOSE = "loan_application"

MENDED_SECONDS = 30.0
"""A part that is well again is found within 2 s; this leaves room for a machine that is busy."""


def cast_of(city: City) -> Json:
    """The demo cast: applicant, farmer, company, office, password."""
    return dict(json.loads((city.home / "demo" / "cast.json").read_text(encoding="utf-8")))


class Machine(Caller):
    """A caller with a certificate that also shows refusals as they come."""

    def __init__(self, city: City, name: str, watch: Watch | None = None) -> None:
        super().__init__(city.machines, city.settings.pki, name)
        if watch is not None:
            self._http.event_hooks = {"response": [watch]}

    @property
    def token(self) -> str:
        """Its access token."""
        return self._token

    def ask(self, method: str, path: str, headers: Json | None = None, **content: Any) -> httpx2.Response:
        """Any request, with its token unless `headers` has another `Authorization` (or an empty one)."""
        return self._http.request(method, path, headers=_sent(self._headers(headers)), **content)


class Person(Citizen):
    """A citizen who also shows refusals as they come."""

    def __init__(self, city: City, watch: Watch | None = None) -> None:
        super().__init__(city.people, city.identity_provider, city.settings.pki / "ca.crt")
        if watch is not None:
            self._http.event_hooks = {"response": [watch]}

    @property
    def token(self) -> str:
        """The identity provider's token; empty until she has signed in."""
        return self._token

    def ask(self, method: str, path: str, headers: Json | None = None, **content: Any) -> httpx2.Response:
        """Any request; with her token, if she has one and `headers` no `Authorization` of its own."""
        own = self._headers() if self._token else {}
        return self._http.request(method, path, headers=_sent({**own, **(headers or {})}), **content)

    def browse_in(self, login: str, password: str) -> httpx2.Response:
        """Signs in as a browser does, and is known by its session's cookie; the page at the end of it."""
        page = self._http.get("/citizen/login", params={"return_to": "/docs"}, follow_redirects=True)
        request = re.search(r'name="request" value="([^"]+)"', page.text)
        assert request, page.text
        form = {"request": request[1], "login": login, "password": password}
        return self._http.post(page.url.join("/login"), data=form, follow_redirects=True)


def platform_of(city: City, watch: Watch | None = None) -> Machine:
    """The approval platform; use as a context manager."""
    return Machine(city, "approval-platform", watch)


def bank_of(city: City, watch: Watch | None = None) -> Machine:
    """The lending partner."""
    return Machine(city, "rural-bank", watch)


def citizen_of(city: City, watch: Watch | None = None) -> Person:
    """Somebody who has yet to sign in."""
    return Person(city, watch)


def certify(city: City, name: str) -> None:
    """Gives a caller of this name a certificate of the city's authority."""
    pki = city.settings.pki
    moment = datetime.now(UTC)
    authority = open_authority(pki / "ca", "Onestop development CA", moment)
    write_leaf(pki, Leaf(name, server=False), authority, now=moment)


def enrol(city: City, name: str, like: str) -> None:
    """Registers one more caller, with its own certificate and the scopes of another."""
    certify(city, name)
    with psycopg.connect(city.admin_dsn) as connection:
        connection.execute(
            "INSERT INTO issuer.client (client_id, certificate_name, scopes)"
            " SELECT %(name)s, %(name)s, scopes FROM issuer.client WHERE client_id = %(like)s",
            {"name": name, "like": like},
        )


def enrol_bank(city: City, name: str) -> None:
    """Registers one more lending partner, with the first one's agreements and its own key."""
    enrol(city, name, "rural-bank")
    key = ECKey.generate_key("P-256", {"use": "enc", "alg": "ECDH-ES+A256KW"}, private=True, auto_kid=True)
    path = city.settings.pki / f"{name}-encryption.jwk"
    path.write_text(json.dumps(key.as_dict(private=True)), encoding="utf-8")
    with psycopg.connect(city.admin_dsn) as connection:
        connection.execute(
            "INSERT INTO agricredit.partner"
            " (partner_id, name, contact, encryption_jwk, daily_fetches, open_requests)"
            " SELECT %s, name, contact, %s, daily_fetches, open_requests"
            " FROM agricredit.partner WHERE partner_id = 'rural-bank'",
            (name, json.dumps(key.as_dict(private=False))),
        )
        connection.execute(
            "INSERT INTO agricredit.agreement SELECT %s, purpose_code, purpose_text, items,"
            " max_validity_days, max_uses, keeping FROM agricredit.agreement WHERE partner_id = 'rural-bank'",
            (name,),
        )


def opened(city: City, bank: Caller, sealed: Json, name: str = "rural-bank") -> Json:
    """What a sealed answer holds, decrypted with the bank's key and proved to be the city's."""
    signers = KeySet.import_key_set(bank.get("/.well-known/onestop-answer-keys.json"))  # type: ignore[arg-type]
    own = json.loads((city.settings.pki / f"{name}-encryption.jwk").read_text(encoding="utf-8"))
    plain = jwe.decrypt_compact(sealed["jwe"], ECKey.import_key(own), ["ECDH-ES+A256KW", "A256GCM"]).plaintext
    return dict(json.loads(jws.deserialize_compact(plain or b"", signers, algorithms=["ES256"]).payload))


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


def nobody(serial: int = 1) -> str:
    """A right ID number that no register of the town knows; `serial` is 0 to 999."""
    body = f"44029918991231{serial:03}"
    return body + citizen_check_digit(body)


def proved(city: City, answer: Json) -> Proved:
    """What an answer's receipt proves, with the ledger's public key alone."""
    return verify_receipt(answer["receipt"], key_of(city), answered=answer_bytes(answer))


def entry_of(city: City, answer: Json) -> Json:
    """The ledger entry behind an answer, once it is proved that it was written for exactly this answer."""
    proof = proved(city, answer)
    assert proof.answer_proved
    return dict(proof.entry)


def proved_file(city: City, content: bytes, receipt: Json) -> Proved:
    """The same for a file and the receipt beside it."""
    return verify_receipt(receipt, key_of(city), answered=content)


@cache
def letter() -> bytes:
    """A decision letter to seal."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "letter.pdf"
        make_letter(path, "武江区市场监督管理局", "某某", "测试商行", "TEST-1", date(2026, 3, 2))
        return path.read_bytes()


def letter_ofd() -> bytes:
    """The same as OFD."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "letter.ofd"
        make_letter_ofd(path, "武江区市场监督管理局", "某某", "测试商行", "TEST-1", date(2026, 3, 2))
        return path.read_bytes()


def patiently(ask: Callable[[], httpx2.Response]) -> httpx2.Response:
    """The answer, asked for again for as long as a part is told to be away."""
    deadline = time.monotonic() + MENDED_SECONDS
    while (answer := ask()).status_code == 503 and time.monotonic() < deadline:
        time.sleep(0.2)
    return answer


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


def _sent(headers: Json) -> dict[str, str]:
    return {name: value for name, value in headers.items() if value}


def key_of(city: City) -> VerifierKey:
    """The ledger's public key."""
    return VerifierKey.parse((city.settings.keys / "ledger.vkey").read_text(encoding="utf-8").strip())
