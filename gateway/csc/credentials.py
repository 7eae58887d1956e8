"""Credentials of companies: what there is, and the holder's authorisation."""

from __future__ import annotations

from uuid import uuid4

from aiohttp import web
from onestop.eseal.v1 import remote_pb2 as pb

from core.errors import fault_error
from core.identity import Scope
from gateway.call import Call
from gateway.csc.algorithms import require_digests
from gateway.csc.answering import PART, RENAMES, SERVICE, TAG, own_context, released, told
from gateway.csc.answers import Authorised, CredentialInfo, CredentialList
from gateway.csc.forms import AuthorizeForm, CredentialsInfoForm, CredentialsListForm, read
from gateway.csc.refusing import REFUSED, refusal
from gateway.csc.rendering import DEVICE, PIN, Wish, credential_info, may_sign
from gateway.limits import Limit
from gateway.routes import Route
from gateway.shapes import Answer, JsonBody, Key, Listener, Who


async def list_credentials(call: Call) -> web.StreamResponse:
    """A page of the application's credentials."""
    form = read(call.body, CredentialsListForm)
    request = pb.ListCredentialsRequest(
        credential=call.credential,
        context=call.context(),
        holder=form.userID or "",
        page_size=form.maxResults,
        page_token=form.pageToken or "",
    )
    page = await call.ask(PART, call.parts.clients.remote.ListCredentials, request)
    shown = [one for one in page.credentials if not form.onlyValid or may_sign(one, call.received_at)]
    wish = Wish(form.certificates, form.certInfo, form.authInfo)
    infos = [credential_info(one, wish, call.received_at, with_id=True) for one in shown]
    return told(
        CredentialList(
            credentialIDs=[one.id for one in shown],
            credentialInfos=infos if form.credentialInfo else None,
            onlyValid=True if form.onlyValid else None,
            nextPageToken=page.next_page_token or None,
        )
    )


async def info(call: Call) -> web.StreamResponse:
    """One credential."""
    form = read(call.body, CredentialsInfoForm)
    request = pb.GetCredentialRequest(
        credential=call.credential, context=call.context(), credential_id=form.credentialID
    )
    found = await call.ask(PART, call.parts.clients.remote.GetCredential, request)
    wish = Wish(form.certificates, form.certInfo, form.authInfo)
    return told(credential_info(found.credential, wish, call.received_at))


async def authorize(call: Call) -> web.StreamResponse:
    """The SAD for these digests. It is told this once, and no retry gets it."""
    form = read(call.body, AuthorizeForm)
    if form.numSignatures != len(form.hashes):
        raise fault_error(
            "numSignatures", "number", "must be the number of hashes: each is authorised by itself"
        )
    require_digests(form.hashes, form.hashAlgorithmOID, "hashes")
    factors = {one.id: one.value for one in form.authData}
    if len(factors) != len(form.authData) or factors.keys() != {PIN, DEVICE}:
        raise fault_error("authData", "factors", f"must have {PIN} and {DEVICE}, each once")
    request = pb.AuthorizeCredentialRequest(
        credential=call.credential,
        context=own_context(call, call.key or f"csc-{uuid4().hex}"),
        credential_id=form.credentialID,
        pin=factors[PIN],
        device_secret=factors[DEVICE],
        digests=form.hashes,
    )
    made = await call.ask(PART, call.parts.clients.remote.AuthorizeCredential, request)
    return released(call, Authorised(SAD=made.sad, expiresIn=made.expires_in), made.receipt)


ROUTES = (
    Route(
        listener=Listener.MACHINES,
        method="POST",
        path="/csc/v2/credentials/list",
        name="cscCredentialsList",
        summary="List the credentials that the application may use",
        handler=list_credentials,
        who=Who.MACHINE,
        answer=Answer(model=CredentialList),
        rpc=f"{SERVICE}.ListCredentials",
        scope=Scope.CSC_SERVICE,
        limit=Limit.COMPANY,
        body=JsonBody(model=CredentialsListForm),
        renames={"holder": "userID", "page_token": "pageToken", **RENAMES},
        refusal=refusal,
        refused=REFUSED,
        tag=TAG,
    ),
    Route(
        listener=Listener.MACHINES,
        method="POST",
        path="/csc/v2/credentials/info",
        name="cscCredentialsInfo",
        summary="One credential: its certificate, its algorithms, its factors",
        handler=info,
        who=Who.MACHINE,
        answer=Answer(model=CredentialInfo),
        rpc=f"{SERVICE}.GetCredential",
        scope=Scope.CSC_SERVICE,
        limit=Limit.COMPANY,
        body=JsonBody(model=CredentialsInfoForm),
        renames=RENAMES,
        refusal=refusal,
        refused=REFUSED,
        tag=TAG,
    ),
    Route(
        listener=Listener.MACHINES,
        method="POST",
        path="/csc/v2/credentials/authorize",
        name="cscCredentialsAuthorize",
        summary="Authorise signatures, by the holder's two factors",
        handler=authorize,
        who=Who.MACHINE,
        answer=Answer(model=Authorised, receipt=True),
        rpc=f"{SERVICE}.AuthorizeCredential",
        scope=Scope.CSC_SERVICE,
        limit=Limit.COMPANY,
        key=Key.OPTIONAL,
        body=JsonBody(model=AuthorizeForm),
        renames={"pin": "authData", "device_secret": "authData", **RENAMES},
        refusal=refusal,
        refused=REFUSED,
        tag=TAG,
    ),
)
