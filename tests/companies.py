"""A company of a test's city that signs remotely: its application, and the holder who has the factors."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import uuid
from collections.abc import Sequence
from typing import Self

import asyncpg
from cryptography import x509

from core.clock import now
from deploy.local.pki import COMPANY_APP
from services.eseal.remote.making import RemoteOrder, certify, prepare
from services.eseal.trust.authority import SealAuthority
from tests.city import City
from tests.story import Json, Machine, Watch

COMPANY_CODE = "91440299MA51000172"
COMPANY = "韶关市武江区某某商贸有限公司"
PIN = "wj-2026-71"
SHA256 = "2.16.840.1.101.3.4.2.1"
ECDSA_SHA256 = "1.2.840.10045.4.3.2"


def b64(data: bytes) -> str:
    """As the interface has bytes."""
    return base64.b64encode(data).decode()


def device_secret() -> str:
    """What a device draws."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()


def digest_of(data: bytes) -> str:
    """SHA-256, base64."""
    return b64(hashlib.sha256(data).digest())


class Company(Machine):
    """The company's application. As a context manager it takes a credential that an operator has prepared."""

    def __init__(self, city: City, watch: Watch | None = None, *, taken: bool = True) -> None:
        super().__init__(city, COMPANY_APP, watch)
        self._city = city
        self._taken = taken
        self.credential = ""
        self.secret = device_secret()
        self.enrolled: Json = {}

    def __enter__(self) -> Self:
        super().__enter__()
        if self._taken:
            self.take()
        return self

    def take(self) -> None:
        """Prepared by an operator, taken by the holder, certified."""
        credential, code = asyncio.run(self._prepare())
        self.credential = str(credential)
        taking = {"enrolment_code": code, "pin": PIN, "device_secret": self.secret}
        self.enrolled = self.post(f"/csc/v2/credentials/{self.credential}:enrol", taking)
        asyncio.run(self._certify())

    def factors(self, pin: str = PIN) -> list[Json]:
        """What the holder gives."""
        return [{"id": "PIN", "value": pin}, {"id": "DEVICE", "value": self.secret}]

    def authorize(self, hashes: Sequence[str]) -> str:
        """The SAD for these digests, in base64."""
        return str(self.authorized(hashes)["SAD"])

    def authorized(self, hashes: Sequence[str]) -> Json:
        """The whole answer."""
        body = {
            "credentialID": self.credential,
            "numSignatures": len(hashes),
            "hashes": list(hashes),
            "hashAlgorithmOID": SHA256,
            "authData": self.factors(),
        }
        return self.csc("credentials/authorize", body)

    def csc(self, method: str, body: Json) -> Json:
        """A call of the interface, as its clients make it: without a key."""
        answer = self.ask("POST", f"/csc/v2/{method}", json=body)
        assert answer.is_success, answer.text
        return dict(answer.json())

    def sign_hash(self, sad: str, hashes: Sequence[str]) -> Json:
        """Signatures over digests."""
        return self.csc("signatures/signHash", self.signing(sad, hashes))

    def signing(self, sad: str, hashes: Sequence[str]) -> Json:
        """What asks for them."""
        return {
            "credentialID": self.credential,
            "SAD": sad,
            "hashes": list(hashes),
            "hashAlgorithmOID": SHA256,
            "signAlgo": ECDSA_SHA256,
        }

    def sign_doc(self, sad: str, documents: Sequence[bytes]) -> list[bytes]:
        """PDFs with the company's signature."""
        sealing = {"signature_format": "P", "conformance_level": "AdES-B-B", "signAlgo": ECDSA_SHA256}
        body = {
            "credentialID": self.credential,
            "SAD": sad,
            "documents": [{"document": b64(one), **sealing} for one in documents],
        }
        signed = self.csc("signatures/signDoc", body)["DocumentWithSignature"]
        return [base64.b64decode(one) for one in signed]

    def change_factor(self, pin: str) -> Json:
        """Another PIN; the device's secret stays."""
        body = {"pin": PIN, "device_secret": self.secret, "new_pin": pin, "new_device_secret": self.secret}
        return self.post(f"/csc/v2/credentials/{self.credential}:change_factor", body)

    def certificate(self) -> x509.Certificate:
        """The credential's own."""
        told = self.csc("credentials/info", {"credentialID": self.credential})
        return x509.load_der_x509_certificate(base64.b64decode(told["cert"]["certificates"][0]))

    async def _prepare(self) -> tuple[uuid.UUID, str]:
        connection = await self._owner()
        try:
            return await prepare(
                connection, RemoteOrder(COMPANY_CODE, COMPANY, "legal.rep", COMPANY_APP), now()
            )
        finally:
            await connection.close()

    async def _certify(self) -> None:
        pki = self._city.settings.pki
        connection = await self._owner()
        try:
            await certify(connection, SealAuthority.load(pki / "seal-ca.crt", pki / "seal-ca.key"), now())
        finally:
            await connection.close()

    async def _owner(self) -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(
            self._city.admin_dsn, server_settings={"search_path": "eseal"}, timeout=15
        )


def signing_company(city: City, watch: Watch | None = None, *, taken: bool = True) -> Company:
    """The company; use as a context manager."""
    return Company(city, watch, taken=taken)
