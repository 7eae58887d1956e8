"""The issuer's contract: messages in, use cases, messages out."""

from __future__ import annotations

from datetime import datetime

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from onestop.issuer.v1 import issuer_pb2 as pb
from onestop.issuer.v1 import issuer_pb2_grpc as pb_grpc

from services.issuer.service import TokenDesk

SERVICE = pb.DESCRIPTOR.services_by_name["IssuerService"].full_name


class IssuerServicer(pb_grpc.IssuerServiceServicer):
    """Speaks for the token desk. Errors leave as the desk's ServiceErrors."""

    def __init__(self, desk: TokenDesk) -> None:
        self._desk = desk

    async def IssueToken(
        self,
        request: pb.IssueTokenRequest,
        context: grpc.aio.ServicerContext[pb.IssueTokenRequest, pb.IssueTokenResponse],
    ) -> pb.IssueTokenResponse:
        """A token for a registered machine, bound to its certificate."""
        issued = await self._desk.issue(
            request.client_id,
            request.scopes,
            certificate_name=request.certificate_name,
            certificate_thumbprint=request.certificate_thumbprint,
        )
        return pb.IssueTokenResponse(
            access_token=issued.access_token, expires_at=_instant(issued.expires_at), scopes=issued.scopes
        )

    async def ExchangeCitizenToken(
        self,
        request: pb.ExchangeCitizenTokenRequest,
        context: grpc.aio.ServicerContext[pb.ExchangeCitizenTokenRequest, pb.ExchangeCitizenTokenResponse],
    ) -> pb.ExchangeCitizenTokenResponse:
        """Our token for the person whom the provider's token is about."""
        issued = await self._desk.exchange(request.subject_token)
        return pb.ExchangeCitizenTokenResponse(
            access_token=issued.access_token, expires_at=_instant(issued.expires_at), scopes=issued.scopes
        )

    async def GetKeys(
        self,
        request: pb.GetKeysRequest,
        context: grpc.aio.ServicerContext[pb.GetKeysRequest, pb.GetKeysResponse],
    ) -> pb.GetKeysResponse:
        """The public keys that verify our tokens, with their expiry."""
        keys = self._desk.keys()
        return pb.GetKeysResponse(jwks=keys.jwks, expires_at=_instant(keys.expires_at))


def _instant(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
