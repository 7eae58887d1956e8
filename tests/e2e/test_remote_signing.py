"""Remote signing from outside: by the interface's own forms, by its clients, and refused in its own words."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Iterator

import aiohttp
import pytest
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.signers import PdfSignatureMetadata, async_sign_pdf
from pyhanko.sign.signers.csc_signer import (
    CSCAuthorizationInfo,
    CSCAuthorizationManager,
    CSCServiceSessionInfo,
    CSCSigner,
    fetch_certs_in_csc_credential,
)
from pyhanko.sign.validation import async_validate_pdf_signature
from pyhanko.sign.validation.status import PdfSignatureStatus
from pyhanko_certvalidator import ValidationContext

from tests.city import City
from tests.companies import Company, digest_of, signing_company
from tests.e2e.contract import Contract, refused
from tests.story import Json, Machine, entry_of, letter

HASHES = [digest_of(b"first"), digest_of(b"second")]


@pytest.fixture(scope="module")
def company(city: City, contract: Contract) -> Iterator[Company]:
    """A company with a credential."""
    with signing_company(city, contract.check) as made:
        yield made


async def checked(city: City, document: bytes) -> PdfSignatureStatus:
    """What pyHanko says of the only signature of a PDF, by the city's authority for seals."""
    root = x509.load_pem_x509_certificate((city.settings.pki / "seal-ca.crt").read_bytes())
    trusted = asn1_x509.Certificate.load(root.public_bytes(Encoding.DER))
    (embedded,) = PdfFileReader(io.BytesIO(document)).embedded_signatures
    return await async_validate_pdf_signature(embedded, ValidationContext(trust_roots=[trusted]))


def test_authorised_hashes_are_signed_as_the_certificate_says_and_once(city: City, company: Company) -> None:
    authorised = company.authorized(HASHES)
    sad = str(authorised["SAD"])
    assert entry_of(city, authorised)["method"] == "eseal.remote_authorise"

    signed = company.sign_hash(sad, HASHES)
    again = company.sign_hash(sad, HASHES)

    key = company.certificate().public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    for digest, signature in zip(HASHES, signed["signatures"], strict=True):
        key.verify(base64.b64decode(signature), base64.b64decode(digest), ec.ECDSA(Prehashed(SHA256())))
    assert again == signed, "a retry gets the first answer"
    assert entry_of(city, signed)["method"] == "eseal.remote_sign_hashes"


def test_authorised_pdf_comes_back_signed_by_the_company(city: City, company: Company) -> None:
    document = letter()
    sad = company.authorize([digest_of(document)])

    (sealed,) = company.sign_doc(sad, [document])

    assert sealed.startswith(document)
    status = asyncio.run(checked(city, sealed))
    assert (status.intact, status.valid, status.trusted) == (True, True, True)


class Holder(CSCAuthorizationManager):
    """Authorises as the holder of a company's credential does, for pyHanko's client."""

    company: Company

    async def authorize_signature(self, hash_b64s: list[str]) -> CSCAuthorizationInfo:
        """With both factors, for these hashes."""
        return CSCAuthorizationInfo(self.company.authorize(hash_b64s))


async def signed_by_pyhanko(city: City, company: Company, document: bytes) -> bytes:
    """The document, signed by pyHanko through the gateway: it knows nothing of us but the interface."""
    session_info = CSCServiceSessionInfo(
        service_url=city.machines,
        credential_id=company.credential,
        oauth_token=company.token,
        api_ver="v2",
    )
    connector = aiohttp.TCPConnector(ssl=city.tls("company-app"))
    async with aiohttp.ClientSession(connector=connector) as session:
        credential = await fetch_certs_in_csc_credential(session, session_info)
        assert (credential.max_batch_size, credential.hash_pinning_required) == (100, True)
        assert len(credential.chain) == 1
        holder = Holder(session_info, credential)
        holder.company = company
        signer = CSCSigner(session, holder)
        output = await async_sign_pdf(
            IncrementalPdfFileWriter(io.BytesIO(document)),
            PdfSignatureMetadata(field_name="Signature1", md_algorithm="sha256"),
            signer,
        )
        return bytes(output.getbuffer())


def test_a_client_that_others_wrote_signs_through_the_gateway(city: City, company: Company) -> None:
    sealed = asyncio.run(signed_by_pyhanko(city, company, letter()))

    status = asyncio.run(checked(city, sealed))
    assert (status.intact, status.valid, status.trusted) == (True, True, True)


def test_what_is_refused_is_told_as_the_specification_has_it(company: Company, platform: Machine) -> None:
    sad = company.authorize(HASHES[:1])
    authorising = {
        "credentialID": company.credential,
        "numSignatures": 1,
        "hashes": HASHES[:1],
        "authData": company.factors("no-such-pin"),
    }
    calls: list[tuple[Machine, str, Json, tuple[int, str, str]]] = [
        (
            company,
            "credentials/authorize",
            authorising,
            (400, "invalid_authentication_data", "FACTOR_INVALID"),
        ),
        (
            company,
            "credentials/authorize",
            {**authorising, "numSignatures": 2, "authData": company.factors()},
            (400, "invalid_request", "REQUEST_INVALID"),
        ),
        (
            company,
            "signatures/signHash",
            company.signing(sad, HASHES),
            (400, "invalid_request", "DIGEST_NOT_AUTHORISED"),
        ),
        (
            company,
            "signatures/signHash",
            {**company.signing(sad, HASHES[:1]), "signAlgo": "1.2.840.113549.1.1.11"},
            (400, "invalid_request", "REQUEST_INVALID"),
        ),
        (company, "credentials/info", {}, (400, "invalid_request", "REQUEST_INVALID")),
        (platform, "credentials/list", {}, (400, "unauthorized_client", "SCOPE_MISSING")),
    ]

    for caller, method, body, expected in calls:
        answer = caller.ask("POST", f"/csc/v2/{method}", json=body)
        told = answer.json()
        assert (answer.status_code, told["error"], told["reason"]) == expected, answer.text
        assert told["error_description"]
        assert company.secret not in answer.text
    company.authorize(HASHES[:1])  # The right factors: the count of wrong ones begins anew.

    nobody = company.ask("POST", "/csc/v2/credentials/list", {"Authorization": ""}, json={})
    assert (nobody.status_code, nobody.json()["error"]) == (401, "invalid_token")
    assert nobody.headers["WWW-Authenticate"].startswith("Bearer")


def test_taking_a_credential_is_told_in_our_own_form(city: City, company: Company) -> None:
    assert company.enrolled["state"] == "waiting"
    assert entry_of(city, company.enrolled)["method"] == "eseal.remote_enrol"
    again = {"enrolment_code": "A" * 32, "pin": "other-pin-7", "device_secret": company.secret}
    answer = company.ask(
        "POST",
        f"/csc/v2/credentials/{company.credential}:enrol",
        {"Idempotency-Key": "taken-once"},
        json=again,
    )

    refused(answer, 403, "ENROLMENT_CODE_INVALID")


def test_an_application_lists_its_own(company: Company) -> None:
    listed = company.csc(
        "credentials/list",
        {"credentialInfo": True, "certificates": "chain", "certInfo": True, "authInfo": True},
    )

    (own,) = (one for one in listed["credentialInfos"] if one["credentialID"] == company.credential)
    assert listed["credentialIDs"] == [one["credentialID"] for one in listed["credentialInfos"]]
    assert (own["key"]["status"], own["cert"]["status"], own["SCAL"]) == ("enabled", "valid", "2")
    assert len(own["cert"]["certificates"]) == 2
    assert [one["id"] for one in own["auth"]["objects"]] == ["PIN", "DEVICE"]
    assert "91440299MA51000172" in own["cert"]["subjectDN"]
