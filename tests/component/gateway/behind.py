"""The parts behind the gateway as fakes: real gRPC servers with mutual TLS that answer by the contract.

`Behind` holds what they answer, how long they take and what they were asked.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from onestop.agricredit.v1 import agricredit_pb2, agricredit_pb2_grpc
from onestop.autofill.v1 import autofill_pb2, autofill_pb2_grpc
from onestop.common.v1 import receipt_pb2
from onestop.eseal.v1 import (
    bulk_pb2,
    bulk_pb2_grpc,
    eseal_pb2,
    eseal_pb2_grpc,
    template_pb2,
    template_pb2_grpc,
)
from onestop.issuer.v1 import issuer_pb2, issuer_pb2_grpc
from onestop.ledger.v1 import ledger_pb2, ledger_pb2_grpc
from onestop.licence.v1 import licence_pb2, licence_pb2_grpc

from core.config import PARTS
from core.errors import ServiceError, UnauthenticatedError, UnavailableError, fault_error
from core.guard import Guard
from core.status import to_status
from tests.component.gateway.pki import Authority, Pair

ALL_SCOPES = (
    "licence.read licence.verify matter.read autofill.fill autofill.verify seal.use document.verify "
    "consent.request credit.fetch ledger.read"
)
FARMER_CODE = "440299198001010012"
CHECKPOINT = "onestop.example/ledger\n1\nAAAA\n\n— onestop.example/ledger AAAA\n"


def receipt(**changes: Any) -> receipt_pb2.Receipt:
    """A receipt as the ledger gives it, in form."""
    made = str(uuid.uuid4())
    values: dict[str, Any] = {
        "id": made,
        "entry": b'{"id":"%s","version":1}' % made.encode(),
        "index": 4,
        "tree_size": 5,
        "hashes": [b"\x01" * 32],
        "checkpoint": CHECKPOINT,
        "answer_salt": b"\x02" * 32,
        **changes,
    }
    return receipt_pb2.Receipt(**values)


@dataclass
class Behind:
    """What stands behind the gateway. `failures` and `delays` are by RPC name."""

    failures: dict[str, ServiceError] = field(default_factory=dict)
    delays: dict[str, float] = field(default_factory=dict)
    answers: dict[str, Message] = field(default_factory=dict)
    asked: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    metadata: list[dict[str, str]] = field(default_factory=list)
    refused_cases: dict[str, ServiceError] = field(default_factory=dict)
    """By case number: what a search for that case alone is refused with."""
    without_receipt: bool = False
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256"))
    citizens: dict[str, str] = field(default_factory=dict)
    """ID number by the identity provider's token."""

    def __post_init__(self) -> None:
        self.key.ensure_kid()

    def token(
        self,
        thumbprint: str,
        *,
        client: str = "approval-platform",
        scope: str = ALL_SCOPES,
        age: int = 0,
        key: ECKey | None = None,
    ) -> str:
        """A machine's token, issued `age` seconds ago for five minutes."""
        return self._signed(
            {"client_id": client, "sub": client, "scope": scope, "cnf": {"x5t#S256": thumbprint}}, age, key
        )

    def citizen_token(self, code: str) -> str:
        """A person's token, as the issuer makes it."""
        return self._signed(
            {
                "client_id": "citizen",
                "sub": "citizen",
                "scope": "citizen",
                "code_type": "111",
                "code": code,
                "name": "测试农户",
            },
            0,
            None,
        )

    def _signed(self, claims: dict[str, Any], age: int, key: ECKey | None) -> str:
        now = int(time.time()) - age
        times = {
            "iss": "onestop-issuer",
            "aud": "onestop",
            "iat": now,
            "exp": now + 300,
            "jti": str(uuid.uuid4()),
        }
        signer = key or self.key
        return jwt.encode({"alg": "ES256", "kid": signer.kid, "typ": "at+jwt"}, {**times, **claims}, signer)

    async def answer(self, name: str, request: Any, context: Any, usual: Message) -> Any:
        """What the RPC answers this time."""
        self.asked[name].append(request)
        self.metadata.append({key: str(value) for key, value in context.invocation_metadata()})
        if delay := self.delays.get(name):
            await asyncio.sleep(delay)
        if failure := self.failures.get(name):
            raise failure
        return self.answers.get(name, usual)

    def receipt(self) -> receipt_pb2.Receipt | None:
        """A receipt, unless this test wants none."""
        return None if self.without_receipt else receipt()


class _Licence(licence_pb2_grpc.LicenceServiceServicer):
    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def BatchSearchLicences(self, request: Any, context: Any) -> Any:
        results = []
        for item in request.items:
            result = licence_pb2.SearchLicencesResult()
            try:
                summary = licence_pb2.LicenceSummary(
                    id="licence-1",
                    type_code=item.query.type_codes[0],
                    state=licence_pb2.LICENCE_STATE_IN_FORCE,
                )
                usual = licence_pb2.SearchLicencesAnswer(licences=[summary], use_code="u" * 32)
                answer = await self._behind.answer("search", item, context, usual)
                if refused := self._behind.refused_cases.get(item.context.basis.case_number):
                    raise refused
                result.answer.CopyFrom(answer)
                if made := self._behind.receipt():
                    result.receipt.CopyFrom(made)
            except ServiceError as error:
                result.error.CopyFrom(to_status(error))
            results.append(result)
        self._behind.asked["search_batches"].append(request)
        return licence_pb2.BatchSearchLicencesResponse(results=results)

    async def BatchGetLicences(self, request: Any, context: Any) -> Any:
        (item,) = request.items
        usual = licence_pb2.GetLicenceAnswer(identifier="1.2.156.3005.2.11100000000013338W011")
        try:
            answer = await self._behind.answer("get", item, context, usual)
        except ServiceError as error:
            failed = licence_pb2.GetLicenceResult(error=to_status(error))
            return licence_pb2.BatchGetLicencesResponse(results=[failed])
        result = licence_pb2.GetLicenceResult(answer=answer, receipt=self._behind.receipt())
        return licence_pb2.BatchGetLicencesResponse(results=[result])

    async def BatchVerifyLicences(self, request: Any, context: Any) -> Any:
        (item,) = request.items
        usual = licence_pb2.VerifyLicenceAnswer(verdict=licence_pb2.LICENCE_VERDICT_GENUINE)
        answer = await self._behind.answer("verify", item, context, usual)
        result = licence_pb2.VerifyLicenceResult(answer=answer, receipt=self._behind.receipt())
        return licence_pb2.BatchVerifyLicencesResponse(results=[result])

    async def BatchReadLicenceFields(self, request: Any, context: Any) -> Any:
        raise AssertionError("the gateway never reads fields")


class _Autofill(autofill_pb2_grpc.AutofillServiceServicer):
    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def ListMatters(self, request: Any, context: Any) -> Any:
        usual = autofill_pb2.ListMattersResponse(
            matters=[autofill_pb2.MatterSummary(code="residence-permit", name="居住证", version=1)],
            next_page_token="next",
        )
        return await self._behind.answer("list_matters", request, context, usual)

    async def GetMatter(self, request: Any, context: Any) -> Any:
        usual = autofill_pb2.GetMatterResponse(matter=autofill_pb2.MatterSummary(code=request.code))
        usual.form.update({"type": "object"})
        return await self._behind.answer("get_matter", request, context, usual)

    async def BatchAutofill(self, request: Any, context: Any) -> Any:
        (item,) = request.items
        usual = autofill_pb2.AutofillAnswer(matter_code=item.context.basis.matter_code, form_version=1)
        answer = await self._behind.answer("autofill", item, context, usual)
        result = autofill_pb2.AutofillResult(answer=answer, receipt=self._behind.receipt())
        return autofill_pb2.BatchAutofillResponse(results=[result])

    async def BatchVerifyFields(self, request: Any, context: Any) -> Any:
        (item,) = request.items
        field_verdict = autofill_pb2.FieldVerdict(name="name", verdict=autofill_pb2.MATCH_MATCH)
        usual = autofill_pb2.VerifyFieldsAnswer(fields=[field_verdict])
        answer = await self._behind.answer("verify_fields", item, context, usual)
        result = autofill_pb2.VerifyFieldsResult(answer=answer, receipt=self._behind.receipt())
        return autofill_pb2.BatchVerifyFieldsResponse(results=[result])


class _Eseal(eseal_pb2_grpc.EsealServiceServicer):
    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def ListSeals(self, request: Any, context: Any) -> Any:
        usual = eseal_pb2.ListSealsResponse(seals=[eseal_pb2.Seal(id="s", name="专用章")])
        return await self._behind.answer("list_seals", request, context, usual)

    async def SignDocument(self, request: Any, context: Any) -> Any:
        usual = eseal_pb2.SignDocumentResponse(
            document=request.document + b"sealed",
            signature_id="sig-1",
            receipt=self._behind.receipt(),
            media_type="application/ofd" if request.document.startswith(b"PK") else "application/pdf",
        )
        usual.signed_at.GetCurrentTime()
        return await self._behind.answer("sign", request, context, usual)

    async def VerifyDocument(self, request: Any, context: Any) -> Any:
        answer = eseal_pb2.VerifyDocumentAnswer(verdict=eseal_pb2.DOCUMENT_VERDICT_VALID)
        usual = eseal_pb2.VerifyDocumentResponse(answer=answer, receipt=self._behind.receipt())
        return await self._behind.answer("verify_document", request, context, usual)

    async def BatchVerifyDigests(self, request: Any, context: Any) -> Any:
        usual = eseal_pb2.BatchVerifyDigestsResponse()
        for item in request.items:
            digest = item.query.sha256
            answer = eseal_pb2.VerifyDocumentAnswer(
                verdict=eseal_pb2.DOCUMENT_VERDICT_VALID, document_sha256=digest
            )
            usual.results.add(answer=answer, receipt=self._behind.receipt())
        return await self._behind.answer("verify_digests", request, context, usual)

    async def CheckDocument(self, request: Any, context: Any) -> Any:
        answer = eseal_pb2.VerifyDocumentAnswer(verdict=eseal_pb2.DOCUMENT_VERDICT_UNSEALED)
        usual = eseal_pb2.CheckDocumentResponse(answer=answer)
        return await self._behind.answer("check_document", request, context, usual)


class _Templates(template_pb2_grpc.TemplateServiceServicer):
    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def ListTemplates(self, request: Any, context: Any) -> Any:
        usual = template_pb2.ListTemplatesResponse(templates=[template_pb2.Template(name="note", version=1)])
        return await self._behind.answer("list_templates", request, context, usual)

    async def SignTemplate(self, request: Any, context: Any) -> Any:
        usual = template_pb2.SignTemplateResponse(
            document=b"%PDF-sealed",
            signature_id="sig-1",
            receipt=self._behind.receipt(),
            media_type="application/pdf",
            verification_link="https://city.example/v/1",
        )
        usual.signed_at.GetCurrentTime()
        return await self._behind.answer("sign_template", request, context, usual)

    async def FindSealedDocument(self, request: Any, context: Any) -> Any:
        usual = template_pb2.FindSealedDocumentResponse(seal_name="专用章")
        return await self._behind.answer("find_sealed", request, context, usual)


class _Bulk(bulk_pb2_grpc.BulkSealServiceServicer):
    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def SealDocuments(self, requests: Any, context: Any) -> Any:
        """Each document is sealed but those that say `bad`; after one that says `die` the stream fails."""
        number = 0
        async for request in requests:
            await self._behind.answer("seal_documents", request, context, request)
            response = bulk_pb2.SealDocumentsResponse()
            for item in request.items:
                number += 1
                result = response.results.add(request_id=item.context.request_id, position=number)
                if b"bad" in item.upload.document:
                    fault = fault_error("upload.document", "pdf", "the file is not well-formed")
                    result.error.CopyFrom(to_status(fault))
                    continue
                result.document = item.upload.document + b"sealed"
                result.verification_link = item.fill.template and "https://city.example/v/1"
                result.signature_id, result.media_type = "sig-1", "application/pdf"
                result.signed_at.GetCurrentTime()
                if made := self._behind.receipt():
                    result.receipt.CopyFrom(made)
            if response.results:
                yield response
            if any(b"die" in item.upload.document for item in request.items):
                raise UnavailableError("the database is away")


class _AgriCredit(agricredit_pb2_grpc.AgriCreditServiceServicer):
    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def CreateConsentRequest(self, request: Any, context: Any) -> Any:
        made = agricredit_pb2.ConsentRequest(id="r1", state=agricredit_pb2.CONSENT_STATE_PENDING)
        answer = agricredit_pb2.ConsentRequestAnswer(consent_request=made)
        usual = agricredit_pb2.CreateConsentRequestResponse(answer=answer, receipt=self._behind.receipt())
        return await self._behind.answer("create_consent_request", request, context, usual)

    async def GetConsentRequest(self, request: Any, context: Any) -> Any:
        answer = agricredit_pb2.ConsentRequestAnswer(
            consent_request=agricredit_pb2.ConsentRequest(id=request.id)
        )
        usual = agricredit_pb2.GetConsentRequestResponse(answer=answer, receipt=self._behind.receipt())
        return await self._behind.answer("get_consent_request", request, context, usual)

    async def ListConsentRequests(self, request: Any, context: Any) -> Any:
        usual = agricredit_pb2.ListConsentRequestsResponse(
            answer=agricredit_pb2.ListConsentRequestsAnswer(), receipt=self._behind.receipt()
        )
        return await self._behind.answer("list_consent_requests", request, context, usual)

    async def GrantConsent(self, request: Any, context: Any) -> Any:
        answer = agricredit_pb2.ConsentAnswer(consent=agricredit_pb2.Consent(id="c1"))
        usual = agricredit_pb2.GrantConsentResponse(answer=answer, receipt=self._behind.receipt())
        return await self._behind.answer("grant", request, context, usual)

    async def RevokeConsent(self, request: Any, context: Any) -> Any:
        answer = agricredit_pb2.ConsentAnswer(consent=agricredit_pb2.Consent(id=request.consent_id))
        usual = agricredit_pb2.RevokeConsentResponse(answer=answer, receipt=self._behind.receipt())
        return await self._behind.answer("revoke", request, context, usual)

    async def BatchFetchLandRights(self, request: Any, context: Any) -> Any:
        (item,) = request.items
        result = agricredit_pb2.FetchLandRightsResult()
        try:
            usual = agricredit_pb2.SealedAnswer(jwe="a.b.c.d.e")
            result.answer.CopyFrom(await self._behind.answer("land_rights", item, context, usual))
        except ServiceError as error:
            result.error.CopyFrom(to_status(error))
        return agricredit_pb2.BatchFetchLandRightsResponse(results=[result])

    async def BatchFetchSubsidies(self, request: Any, context: Any) -> Any:
        (item,) = request.items
        usual = agricredit_pb2.SealedAnswer(jwe="a.b.c.d.e")
        answer = await self._behind.answer("subsidies", item, context, usual)
        result = agricredit_pb2.FetchSubsidiesResult(answer=answer)
        return agricredit_pb2.BatchFetchSubsidiesResponse(results=[result])

    async def GetAnswerKeys(self, request: Any, context: Any) -> Any:
        usual = agricredit_pb2.GetAnswerKeysResponse(jwks='{"keys":[]}')
        return await self._behind.answer("answer_keys", request, context, usual)


class _Ledger(ledger_pb2_grpc.LedgerServiceServicer):
    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def GetCheckpoint(self, request: Any, context: Any) -> Any:
        usual = ledger_pb2.GetCheckpointResponse(checkpoint=CHECKPOINT, verifier_key="onestop+1+A")
        return await self._behind.answer("checkpoint", request, context, usual)

    async def GetReceipt(self, request: Any, context: Any) -> Any:
        usual = ledger_pb2.GetReceiptResponse(receipt=receipt(id=request.id))
        return await self._behind.answer("receipt", request, context, usual)

    async def GetTile(self, request: Any, context: Any) -> Any:
        usual = ledger_pb2.GetTileResponse(hashes=b"\x03" * 32 * request.width)
        return await self._behind.answer("tile", request, context, usual)

    async def GetPolicy(self, request: Any, context: Any) -> Any:
        usual = ledger_pb2.GetPolicyResponse(policy="log onestop+1+A\nquorum none\n")
        return await self._behind.answer("policy", request, context, usual)

    async def ListContinuations(self, request: Any, context: Any) -> Any:
        usual = ledger_pb2.ListContinuationsResponse(receipts=[receipt(), receipt()])
        return await self._behind.answer("continuations", request, context, usual)

    async def ListWitnesses(self, request: Any, context: Any) -> Any:
        witness = ledger_pb2.WitnessStanding(name="w", state=ledger_pb2.WITNESS_STATE_COSIGNS, size=1)
        usual = ledger_pb2.ListWitnessesResponse(witnesses=[witness], size=1)
        return await self._behind.answer("witnesses", request, context, usual)

    async def ListDisclosures(self, request: Any, context: Any) -> Any:
        use = ledger_pb2.DisclosedUse(
            receipt_id="0b4c2a8e-5a1f-4a53-9d0e-0d3f7e1a2b3c", outcome=ledger_pb2.USE_OUTCOME_RELEASED
        )
        usual = ledger_pb2.ListDisclosuresResponse(
            answer=ledger_pb2.ListDisclosuresAnswer(disclosures=[use]), receipt=self._behind.receipt()
        )
        return await self._behind.answer("disclosures", request, context, usual)

    async def AppendBatch(self, request: Any, context: Any) -> Any:
        raise AssertionError("the gateway never appends")

    async def ListOpenIntents(self, request: Any, context: Any) -> Any:
        raise AssertionError("the gateway has no intents")

    async def GetLastReleased(self, request: Any, context: Any) -> Any:
        raise AssertionError("the gateway is no ledger")


class _Issuer(issuer_pb2_grpc.IssuerServiceServicer):
    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def IssueToken(self, request: Any, context: Any) -> Any:
        token = self._behind.token(request.certificate_thumbprint, client=request.client_id)
        usual = issuer_pb2.IssueTokenResponse(
            access_token=token, expires_at=_in(300), scopes=request.scopes or ["licence.read"]
        )
        return await self._behind.answer("issue", request, context, usual)

    async def ExchangeCitizenToken(self, request: Any, context: Any) -> Any:
        await self._behind.answer("exchange", request, context, issuer_pb2.ExchangeCitizenTokenResponse())
        code = self._behind.citizens.get(request.subject_token) or _number_in(request.subject_token)
        if not code:
            raise _CitizenTokenInvalidError("the citizen's token of the identity provider is refused")
        return issuer_pb2.ExchangeCitizenTokenResponse(
            access_token=self._behind.citizen_token(code), expires_at=_in(300), scopes=["citizen"]
        )

    async def GetKeys(self, request: Any, context: Any) -> Any:
        keys = KeySet([self._behind.key]).as_dict(private=False)
        return issuer_pb2.GetKeysResponse(jwks=json.dumps(keys), expires_at=_in(300))


class _CitizenTokenInvalidError(UnauthenticatedError):
    reason = "CITIZEN_TOKEN_INVALID"


def _number_in(token: str) -> str:
    """The ID number in a provider's token; its signature is the issuer's own tests' matter."""
    try:
        payload = token.split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["id_number"])
    except (ValueError, KeyError, IndexError):
        return ""


def _in(seconds: int) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(datetime.now(UTC) + timedelta(seconds=seconds))
    return stamp


def _server_credentials(pair: Pair, trust: Path) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials(
        [(pair.key.read_bytes(), pair.certificate.read_bytes())],
        root_certificates=trust.read_bytes(),
        require_client_auth=True,
    )


@asynccontextmanager
async def running(behind: Behind, authority: Authority, trust: Path) -> AsyncIterator[int]:
    """All parts on one port, by a certificate that bears all their names."""
    pair: Pair = authority.issue(*PARTS, file="parts")
    # These parts may answer without a receipt: the gateway is to notice by itself.
    guard = Guard(permitted=lambda _method, peer: peer == "gateway", releases=lambda _method: False)
    server = grpc.aio.server(interceptors=[guard])
    licence_pb2_grpc.add_LicenceServiceServicer_to_server(_Licence(behind), server)
    autofill_pb2_grpc.add_AutofillServiceServicer_to_server(_Autofill(behind), server)
    eseal_pb2_grpc.add_EsealServiceServicer_to_server(_Eseal(behind), server)
    template_pb2_grpc.add_TemplateServiceServicer_to_server(_Templates(behind), server)
    bulk_pb2_grpc.add_BulkSealServiceServicer_to_server(_Bulk(behind), server)
    agricredit_pb2_grpc.add_AgriCreditServiceServicer_to_server(_AgriCredit(behind), server)
    ledger_pb2_grpc.add_LedgerServiceServicer_to_server(_Ledger(behind), server)
    issuer_pb2_grpc.add_IssuerServiceServicer_to_server(_Issuer(behind), server)
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    await health_servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    port = server.add_secure_port("127.0.0.1:0", _server_credentials(pair, trust))
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)
