"""A company that signs remotely: its application, and the operator who holds the factors."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from onestop.common.v1 import context_pb2
from onestop.eseal.v1 import remote_pb2 as pb

from core.identity import Scope
from deploy.local.pki import COMPANY_APP
from services.eseal.domain import Algorithm
from services.eseal.remote.making import RemoteOrder, certify, prepare
from tests.companies import COMPANY, COMPANY_CODE, PIN, device_secret
from tests.component.eseal.harness import Desk
from tests.fakes import FakeIssuer

APPLICATION = COMPANY_APP


def digest_of(text: str) -> bytes:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).digest()


@dataclass
class Company:
    """What the company's application sends, for one credential."""

    desk: Desk
    credential_id: UUID
    code: str
    secret: str = field(default_factory=device_secret)
    pin: str = PIN
    application: str = APPLICATION
    scopes: tuple[str, ...] = (Scope.CSC_SERVICE, Scope.CSC_CREDENTIAL)

    def about(self, key: str = "") -> dict[str, Any]:
        """Credential and context of a call, under a new request_id unless one is named."""
        token = self.desk.issuer.machine(self.application, self.scopes)
        context = context_pb2.RequestContext(request_id=key or str(uuid4()))
        context.basis.kind = context_pb2.BASIS_KIND_HOLDER
        return {
            "credential": context_pb2.Credential(token=token, certificate_thumbprint=FakeIssuer.THUMBPRINT),
            "context": context,
        }

    async def enrol(self, *, key: str = "", pin: str = "") -> pb.EnrolCredentialResponse:
        """Takes the credential."""
        return await self.desk.remote.EnrolCredential(
            pb.EnrolCredentialRequest(
                **self.about(key),
                credential_id=str(self.credential_id),
                enrolment_code=self.code,
                pin=pin or self.pin,
                device_secret=self.secret,
            )
        )

    async def authorise(
        self, digests: Sequence[bytes], *, pin: str = "", secret: str = "", key: str = ""
    ) -> pb.AuthorizeCredentialResponse:
        """Authorises signatures."""
        return await self.desk.remote.AuthorizeCredential(
            pb.AuthorizeCredentialRequest(
                **self.about(key),
                credential_id=str(self.credential_id),
                pin=pin or self.pin,
                device_secret=secret or self.secret,
                digests=digests,
            )
        )

    async def sign(
        self, sad: str, digests: Sequence[bytes], *, key: str = "", algorithms: Sequence[str] = ()
    ) -> pb.SignHashesResponse:
        """Signs digests."""
        return await self.desk.remote.SignHashes(
            pb.SignHashesRequest(
                **self.about(key),
                credential_id=str(self.credential_id),
                sad=sad,
                digests=digests,
                algorithms=algorithms,
            )
        )

    async def sign_documents(
        self, sad: str, documents: Sequence[bytes] = (), digests: Sequence[bytes] = ()
    ) -> pb.SignDocumentsResponse:
        """Signs documents."""
        return await self.desk.remote.SignDocuments(
            pb.SignDocumentsRequest(
                **self.about(),
                credential_id=str(self.credential_id),
                sad=sad,
                documents=documents,
                digests=digests,
            )
        )

    async def change(self, new_pin: str, new_secret: str) -> pb.ChangeFactorResponse:
        """Takes other factors."""
        return await self.desk.remote.ChangeFactor(
            pb.ChangeFactorRequest(
                **self.about(),
                credential_id=str(self.credential_id),
                pin=self.pin,
                device_secret=self.secret,
                new_pin=new_pin,
                new_device_secret=new_secret,
            )
        )

    async def certificate(self) -> bytes:
        """The credential's certificate, DER."""
        answer = await self.desk.remote.GetCredential(
            pb.GetCredentialRequest(**self.about(), credential_id=str(self.credential_id))
        )
        return answer.credential.certificate


async def prepared(desk: Desk, algorithm: Algorithm = Algorithm.ECDSA_P256_SHA256) -> Company:
    """A credential that an operator has prepared."""
    order = RemoteOrder(COMPANY_CODE, COMPANY, "legal.rep", APPLICATION, algorithm)
    connection = await desk.owner()
    credential_id, code = await prepare(connection, order, desk.clock())
    await connection.close()
    return Company(desk, credential_id, code)


async def ready(desk: Desk, algorithm: Algorithm = Algorithm.ECDSA_P256_SHA256) -> Company:
    """One that its holder has taken, with its certificate."""
    company = await prepared(desk, algorithm)
    await company.enrol()
    connection = await desk.owner()
    await certify(connection, desk.authority, desk.clock())
    await connection.close()
    return company
