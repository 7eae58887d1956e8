"""The contract of consents and fetches: messages in, use cases, messages out."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Protocol, TypeVar
from uuid import UUID

import grpc
from google.protobuf.message import Message
from onestop.agricredit.v1 import agricredit_pb2 as pb
from onestop.agricredit.v1 import agricredit_pb2_grpc as pb_grpc
from onestop.common.v1 import context_pb2, receipt_pb2

from core.batch import answer_batch, with_deadline
from core.context import ContextReader, request_body
from core.disclosure import BasisKind, Released, RequestContext
from core.identity import Scope, Subject
from core.public_json import canonical
from core.receipt_json import with_receipt
from core.release import Answered, answer_of, releasing
from core.wire import Relay
from services.agricredit.answers import ITEM_OF
from services.agricredit.domain import Wish
from services.agricredit.fetching import FetchDesk, Fetched
from services.agricredit.service import ConsentDesk

BY_AGREEMENT = frozenset({BasisKind.AGREEMENT})
BY_HOLDER = frozenset({BasisKind.HOLDER})
BY_CONSENT = frozenset({BasisKind.CONSENT})

R = TypeVar("R")
F = TypeVar("F", pb.FetchLandRightsResult, pb.FetchSubsidiesResult)
I = TypeVar("I", pb.FetchLandRightsItem, pb.FetchSubsidiesItem)  # noqa: E741


class Seal(Protocol):
    """Signs and encrypts answers."""

    def seal(self, payload: bytes, recipient: Mapping[str, object]) -> str:
        """A JWE to the recipient's public JWK, with a JWS inside."""
        ...

    def public_keys(self) -> str:
        """The JWK set that verifies our answers, as JSON."""
        ...


class Single(Protocol):
    """A request of one call."""

    @property
    def credential(self) -> context_pb2.Credential: ...

    @property
    def context(self) -> context_pb2.RequestContext: ...


class AgriCreditServicer(pb_grpc.AgriCreditServiceServicer):
    """Speaks for both desks. Errors leave as their ServiceErrors, in a batch item by item."""

    def __init__(
        self, consents: ConsentDesk, fetches: FetchDesk, contexts: ContextReader, seal: Seal
    ) -> None:
        self._consents = consents
        self._fetches = fetches
        self._contexts = contexts
        self._seal = seal

    @releasing
    async def CreateConsentRequest(
        self, request: pb.CreateConsentRequestRequest, context: object
    ) -> Answered[pb.CreateConsentRequestResponse]:
        """A partner asks a farmer for a consent."""
        query = request.query
        farmer = Subject(query.farmer.code_type, query.farmer.code)
        wish = Wish(
            purpose_code=query.purpose_code,
            items=tuple(ITEM_OF[item] for item in query.items),
            validity_days=query.validity_days,
            max_uses=query.max_uses,
        )

        async def work(asked: RequestContext) -> Released:
            return await self._consents.ask(asked, farmer, wish, body=request_body(request))

        released = await self._one(request, Scope.CONSENT_REQUEST, BY_AGREEMENT, work)
        return answer_of(
            released, lambda wire, receipt: pb.CreateConsentRequestResponse(answer=wire, receipt=receipt)
        )

    @releasing
    async def GetConsentRequest(
        self, request: pb.GetConsentRequestRequest, context: object
    ) -> Answered[pb.GetConsentRequestResponse]:
        """The state of a partner's own request."""

        async def work(asked: RequestContext) -> Released:
            return await self._consents.look(asked, UUID(request.id), body=request_body(request))

        released = await self._one(request, Scope.CONSENT_REQUEST, BY_AGREEMENT, work)
        return answer_of(
            released, lambda wire, receipt: pb.GetConsentRequestResponse(answer=wire, receipt=receipt)
        )

    @releasing
    async def ListConsentRequests(
        self, request: pb.ListConsentRequestsRequest, context: object
    ) -> Answered[pb.ListConsentRequestsResponse]:
        """What the signed-in person was asked."""

        async def work(asked: RequestContext) -> Released:
            return await self._consents.list(
                asked, request.page_size, request.page_token, body=request_body(request)
            )

        released = await self._one(request, Scope.CITIZEN, BY_HOLDER, work)
        return answer_of(
            released, lambda wire, receipt: pb.ListConsentRequestsResponse(answer=wire, receipt=receipt)
        )

    @releasing
    async def GrantConsent(
        self, request: pb.GrantConsentRequest, context: object
    ) -> Answered[pb.GrantConsentResponse]:
        """The signed-in person grants what she ticked."""
        query = request.query
        items = [ITEM_OF[item] for item in query.items]

        async def work(asked: RequestContext) -> Released:
            return await self._consents.grant(
                asked, UUID(query.consent_request_id), items, query.text_sha256, body=request_body(request)
            )

        released = await self._one(request, Scope.CITIZEN, BY_HOLDER, work)
        return answer_of(
            released, lambda wire, receipt: pb.GrantConsentResponse(answer=wire, receipt=receipt)
        )

    @releasing
    async def RevokeConsent(
        self, request: pb.RevokeConsentRequest, context: object
    ) -> Answered[pb.RevokeConsentResponse]:
        """The signed-in person revokes; effective at once."""

        async def work(asked: RequestContext) -> Released:
            return await self._consents.revoke(asked, UUID(request.consent_id), body=request_body(request))

        released = await self._one(request, Scope.CITIZEN, BY_HOLDER, work)
        return answer_of(
            released, lambda wire, receipt: pb.RevokeConsentResponse(answer=wire, receipt=receipt)
        )

    async def BatchFetchLandRights(
        self, request: pb.BatchFetchLandRightsRequest, context: object
    ) -> pb.BatchFetchLandRightsResponse:
        """Each item's sealed land rights, or the item's own error."""

        async def one(item: pb.FetchLandRightsItem) -> Answered[pb.FetchLandRightsResult]:
            asked, relay = await self._fetch_context(request.credentials, item)
            fetched = await self._fetches.land_rights(
                asked, item.query.purpose_code, relay, body=request_body(item)
            )
            return self._sealed(fetched, pb.FetchLandRightsResult)

        results = await answer_batch(request.items, pb.FetchLandRightsResult, one)
        return pb.BatchFetchLandRightsResponse(results=results)

    async def BatchFetchSubsidies(
        self, request: pb.BatchFetchSubsidiesRequest, context: object
    ) -> pb.BatchFetchSubsidiesResponse:
        """Each item's sealed subsidies, or the item's own error."""

        async def one(item: pb.FetchSubsidiesItem) -> Answered[pb.FetchSubsidiesResult]:
            asked, relay = await self._fetch_context(request.credentials, item)
            query = item.query
            fetched = await self._fetches.subsidies(
                asked, query.purpose_code, query.years, relay, body=request_body(item)
            )
            return self._sealed(fetched, pb.FetchSubsidiesResult)

        results = await answer_batch(request.items, pb.FetchSubsidiesResult, one)
        return pb.BatchFetchSubsidiesResponse(results=results)

    async def GetAnswerKeys(
        self, request: pb.GetAnswerKeysRequest, context: object
    ) -> pb.GetAnswerKeysResponse:
        """The city's public keys with which answers are signed."""
        return pb.GetAnswerKeysResponse(jwks=self._seal.public_keys())

    async def _one(self, request: Single, scope: Scope, basis: frozenset[BasisKind], work: _Work) -> Released:
        """Runs a single call's work on its verified context, under its deadline."""
        asked = await self._contexts.read(request.credential, request.context, scope=scope, basis=basis)
        return await with_deadline(request.context, work(asked))

    async def _fetch_context(
        self, credentials: Sequence[context_pb2.Credential], item: I
    ) -> tuple[RequestContext, Relay]:
        """A fetch's verified context, and what is relayed to the data node."""
        asked = await self._contexts.read(
            credentials, item.context, scope=Scope.CREDIT_FETCH, basis=BY_CONSENT
        )
        return asked, Relay(credentials[item.context.credential_index], item.context)

    def _sealed(self, fetched: Fetched, result: type[F]) -> Answered[F]:
        """The answer with its receipt as JSON, signed by the city and encrypted to the partner."""

        def make(wire: Message, receipt: receipt_pb2.Receipt) -> F:
            payload = with_receipt(receipt.answer_json or canonical(wire), receipt)
            sealed = pb.SealedAnswer(jwe=self._seal.seal(payload, fetched.partner.encryption_jwk))
            return result(answer=sealed, receipt_id=receipt.id)

        return answer_of(fetched.released, make)


class _Work(Protocol):
    def __call__(self, asked: RequestContext) -> Awaitable[Released]: ...


def register(servicer: AgriCreditServicer, server: grpc.aio.Server) -> Sequence[str]:
    """Adds the servicer; answers the full name of its service."""
    pb_grpc.add_AgriCreditServiceServicer_to_server(servicer, server)
    return [pb.DESCRIPTOR.services_by_name["AgriCreditService"].full_name]
