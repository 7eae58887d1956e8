"""The gRPC face of remote signing: messages in, domain calls, messages out."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol, cast
from uuid import UUID

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from onestop.eseal.v1 import remote_pb2 as pb
from onestop.eseal.v1 import remote_pb2_grpc as pb_grpc

from core.context import ContextReader, request_body
from core.disclosure import BasisKind, Presented, Presenter
from core.entries import RequestContext
from core.errors import fault_error
from core.identity import Scope
from core.public_json import canonical, canonical_json
from core.release import Answered, answer_of, releasing
from services.eseal.remote.desk import RemoteDesk
from services.eseal.remote.rules import Authorised, Credential, SignedDocuments, SignedHashes
from services.eseal.remote.signing import RemoteSigning

SERVICE = "onestop.eseal.v1.RemoteSigningService"
_SEEING = (Scope.CSC_SERVICE, Scope.CSC_CREDENTIAL)
_OWN = frozenset({BasisKind.HOLDER})

Context = grpc.aio.ServicerContext[Any, Any]


class Timestamps(Protocol):
    """Gets timestamp tokens."""

    async def token(self, digest: bytes, nonce: int | None) -> bytes:
        """The token over a digest, DER."""
        ...


class RemoteServicer(pb_grpc.RemoteSigningServiceServicer):
    """Reads contexts, and hands the work to the desk."""

    def __init__(
        self,
        desk: RemoteDesk,
        signing: RemoteSigning,
        timestamps: Timestamps,
        contexts: ContextReader,
        *,
        above: Callable[[bytes], Sequence[bytes]],
    ) -> None:
        """`above` knows the certificates above one, DER."""
        self._desk = desk
        self._above = above
        self._signing = signing
        self._timestamps = timestamps
        self._contexts = contexts

    async def ListCredentials(
        self, request: pb.ListCredentialsRequest, context: Context
    ) -> pb.ListCredentialsResponse:
        """Lists the application's own credentials. A certificate is made to be shown: no basis needed."""
        caller = await self._seen(request)
        found, after = await self._desk.list_credentials(
            caller, holder=request.holder, page_size=request.page_size, after=_page_of(request.page_token)
        )
        return pb.ListCredentialsResponse(
            credentials=map(self._shown, found), next_page_token=str(after) if after else ""
        )

    async def GetCredential(
        self, request: pb.GetCredentialRequest, context: Context
    ) -> pb.GetCredentialResponse:
        """One credential of the application."""
        caller = await self._seen(request)
        return pb.GetCredentialResponse(
            credential=self._shown(await self._desk.get(caller, UUID(request.credential_id)))
        )

    @releasing
    async def EnrolCredential(
        self, request: pb.EnrolCredentialRequest, context: Context
    ) -> Answered[pb.EnrolCredentialResponse]:
        """The holder takes a credential."""
        released = await self._desk.enrol(
            await self._acting(request, Scope.CSC_CREDENTIAL),
            UUID(request.credential_id),
            code=request.enrolment_code,
            pin=request.pin,
            secret=request.device_secret,
            body=request_body(request),
        )
        return answer_of(
            released, lambda wire, receipt: pb.EnrolCredentialResponse(credential=wire, receipt=receipt)
        )

    @releasing
    async def ChangeFactor(
        self, request: pb.ChangeFactorRequest, context: Context
    ) -> Answered[pb.ChangeFactorResponse]:
        """The holder takes other factors."""
        released = await self._desk.change_factor(
            await self._acting(request, Scope.CSC_CREDENTIAL),
            UUID(request.credential_id),
            pin=request.pin,
            secret=request.device_secret,
            new_pin=request.new_pin,
            new_secret=request.new_device_secret,
            body=request_body(request),
        )
        return answer_of(
            released, lambda wire, receipt: pb.ChangeFactorResponse(credential=wire, receipt=receipt)
        )

    @releasing
    async def AuthorizeCredential(
        self, request: pb.AuthorizeCredentialRequest, context: Context
    ) -> Answered[pb.AuthorizeCredentialResponse]:
        """The holder authorises signatures."""
        released, sad = await self._desk.authorise(
            await self._acting(request, *_SEEING),
            UUID(request.credential_id),
            pin=request.pin,
            secret=request.device_secret,
            digests=request.digests,
            body=request_body(request),
        )
        return answer_of(
            released,
            lambda wire, receipt: pb.AuthorizeCredentialResponse(
                sad=sad, expires_in=wire.expires_in, receipt=receipt
            ),
        )

    @releasing
    async def SignHashes(
        self, request: pb.SignHashesRequest, context: Context
    ) -> Answered[pb.SignHashesResponse]:
        """Signs digests."""
        released = await self._signing.sign_hashes(
            await self._acting(request, *_SEEING),
            UUID(request.credential_id),
            sad=request.sad,
            digests=request.digests,
            algorithms=request.algorithms,
            body=request_body(request),
        )
        return answer_of(
            released,
            lambda wire, receipt: pb.SignHashesResponse(signatures=wire.signatures, receipt=receipt),
        )

    @releasing
    async def SignDocuments(
        self, request: pb.SignDocumentsRequest, context: Context
    ) -> Answered[pb.SignDocumentsResponse]:
        """Signs documents."""
        released = await self._signing.sign_documents(
            await self._acting(request, *_SEEING),
            UUID(request.credential_id),
            sad=request.sad,
            documents=request.documents,
            digests=request.digests,
            algorithms=request.algorithms,
            body=request_body(request),
        )
        return answer_of(
            released,
            lambda wire, receipt: pb.SignDocumentsResponse(
                documents=wire.documents, signatures=wire.signatures, receipt=receipt
            ),
        )

    async def TimestampHash(
        self, request: pb.TimestampHashRequest, context: Context
    ) -> pb.TimestampHashResponse:
        """A timestamp token of the configured authority: says nothing of anybody's data."""
        await self._seen(request)
        if len(request.digest) not in (32, 48, 64):
            raise fault_error("digest", "length", "must be SHA-256, SHA-384 or SHA-512")
        nonce = int(request.nonce, 16) if request.nonce else None
        return pb.TimestampHashResponse(token=await self._timestamps.token(request.digest, nonce))

    def _shown(self, credential: Credential) -> pb.RemoteCredential:
        """With the certificates above its own."""
        shown = _credential(credential)
        if credential.certificate:
            shown.chain.extend(self._above(credential.certificate))
        return shown

    async def _seen(
        self, request: pb.ListCredentialsRequest | pb.GetCredentialRequest | pb.TimestampHashRequest
    ) -> RequestContext:
        return await self._contexts.read(
            request.credential, request.context, scope=_SEEING, basis=frozenset()
        )

    async def _acting(
        self,
        request: pb.EnrolCredentialRequest
        | pb.ChangeFactorRequest
        | pb.AuthorizeCredentialRequest
        | pb.SignHashesRequest
        | pb.SignDocumentsRequest,
        *scopes: Scope,
    ) -> RequestContext:
        """On the ground that the holder acts for herself: her factors prove it, or what they released."""
        return await self._contexts.read(request.credential, request.context, scope=scopes, basis=_OWN)


def register(servicer: RemoteServicer, server: grpc.aio.Server) -> Sequence[str]:
    """Adds the servicer to a server; answers the service's name."""
    pb_grpc.add_RemoteSigningServiceServicer_to_server(servicer, server)
    return [SERVICE]


def presenting(others: Presenter) -> Presenter:
    """Presents the answers of remote signing, as the Cloud Signature Consortium's API has them where it does;
    what is none of them goes to `others`. Of an authorisation nothing is kept that could be used."""

    def present(answer: object) -> Presented:
        match answer:
            case Credential():
                wire = _credential(answer)
                return Presented(wire, canonical(wire), is_json=True)
            case Authorised(sad, expires_in):
                said: dict[str, object] = {"SAD": sad, "expiresIn": expires_in}
                return Presented(pb.AuthorizeCredentialResponse(expires_in=expires_in), canonical_json(said))
            case SignedHashes(signatures):
                said = {"signatures": _texts(signatures)}
                return Presented(
                    pb.SignHashesResponse(signatures=signatures), canonical_json(said), is_json=True
                )
            case SignedDocuments(documents, signatures):
                said = {
                    **({"DocumentWithSignature": _texts(documents)} if documents else {}),
                    **({"SignatureObject": _texts(signatures)} if signatures else {}),
                }
                return Presented(
                    pb.SignDocumentsResponse(documents=documents, signatures=signatures),
                    canonical_json(said),
                    is_json=True,
                )
        return others(answer)

    return present


def _texts(many: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(one).decode() for one in many]


def _credential(credential: Credential) -> pb.RemoteCredential:
    return pb.RemoteCredential(
        id=str(credential.id),
        owner_code=credential.owner_code,
        owner_name=credential.owner_name,
        state=cast(pb.CredentialState.ValueType, credential.state.value),
        locked=credential.locked,
        algorithm=credential.algorithm.value,
        certificate=credential.certificate,
        valid_from=_timestamp(credential.valid_from),
        valid_until=_timestamp(credential.valid_until),
        holder=credential.holder,
    )


def _timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _page_of(token: str) -> UUID | None:
    """What a page token says. Raises InvalidError on a token that is not ours."""
    try:
        return UUID(token) if token else None
    except ValueError:
        raise fault_error("page_token", "form", "take the next_page_token of the page before") from None
