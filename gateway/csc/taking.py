"""How a holder takes a credential and changes her factors: not in the specification, so in our own form."""

from __future__ import annotations

from aiohttp import web
from onestop.eseal.v1 import remote_pb2 as pb

from core.identity import Scope
from gateway.call import Call
from gateway.csc.answering import PART, SERVICE, TAG, own_context
from gateway.limits import Limit
from gateway.routes import Route
from gateway.shapes import Answer, JsonBody, Key, Listener, Who, path_id

_BESIDE = ("credential", "context", "credential_id")
_ID = path_id("id", "Id of the credential.")
_RENAMES = {"credential_id": "id"}


async def enrol(call: Call) -> web.StreamResponse:
    """The holder takes the credential that an operator has prepared, under factors of her own."""
    request = call.query(pb.EnrolCredentialRequest)
    request.credential.CopyFrom(call.credential)
    request.context.CopyFrom(own_context(call))
    request.credential_id = call.path("id")
    taken = await call.ask(PART, call.parts.clients.remote.EnrolCredential, request)
    return call.answer(taken.credential, taken.receipt)


async def change_factor(call: Call) -> web.StreamResponse:
    """The holder takes another PIN and another device secret."""
    request = call.query(pb.ChangeFactorRequest)
    request.credential.CopyFrom(call.credential)
    request.context.CopyFrom(own_context(call))
    request.credential_id = call.path("id")
    changed = await call.ask(PART, call.parts.clients.remote.ChangeFactor, request)
    return call.answer(changed.credential, changed.receipt)


ROUTES = (
    Route(
        listener=Listener.MACHINES,
        method="POST",
        path="/csc/v2/credentials/{id}:enrol",
        name="enrolCredential",
        summary="Take a credential that an operator has prepared",
        handler=enrol,
        who=Who.MACHINE,
        answer=Answer(
            pb.RemoteCredential, receipt=True, description="The credential, which waits to be certified."
        ),
        rpc=f"{SERVICE}.EnrolCredential",
        scope=Scope.CSC_CREDENTIAL,
        limit=Limit.COMPANY,
        key=Key.REQUIRED,
        body=JsonBody(pb.EnrolCredentialRequest, without=_BESIDE),
        parameters=(_ID,),
        renames=_RENAMES,
        tag=TAG,
    ),
    Route(
        listener=Listener.MACHINES,
        method="POST",
        path="/csc/v2/credentials/{id}:change_factor",
        name="changeFactor",
        summary="Take another PIN and another device secret",
        handler=change_factor,
        who=Who.MACHINE,
        answer=Answer(pb.RemoteCredential, receipt=True, description="The credential."),
        rpc=f"{SERVICE}.ChangeFactor",
        scope=Scope.CSC_CREDENTIAL,
        limit=Limit.COMPANY,
        key=Key.REQUIRED,
        body=JsonBody(pb.ChangeFactorRequest, without=_BESIDE),
        parameters=(_ID,),
        renames=_RENAMES,
        tag=TAG,
    ),
)
