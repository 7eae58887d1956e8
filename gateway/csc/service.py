"""What this service is and can do: `info`."""

from __future__ import annotations

from aiohttp import web

from gateway.call import Call
from gateway.csc.algorithms import SIGNING
from gateway.csc.answering import TAG, told
from gateway.csc.answers import ServiceInfo, SignAlgorithms, SignatureFormats
from gateway.csc.forms import InfoForm, read
from gateway.csc.refusing import REFUSED, refusal
from gateway.limits import Limit
from gateway.routes import Route
from gateway.shapes import Answer, JsonBody, Listener, Who

METHODS = (
    "credentials/list",
    "credentials/info",
    "credentials/authorize",
    "signatures/signHash",
    "signatures/signDoc",
    "signatures/timestamp",
)


async def info(call: Call) -> web.StreamResponse:
    """The service, to whoever has a client certificate of ours."""
    read(call.body, InfoForm)
    config = call.parts.config
    return told(
        ServiceInfo(
            specs="2.0.0.0",
            name="onestop",
            logo=f"{config.people_url}/pages/assets/logo.png",
            region="CN",
            lang="zh-CN",
            description="企业远程签名 · remote signing for companies",
            authType=["oauth2client", "TLS"],
            oauth2=config.machines_address,
            methods=["info", *METHODS],
            signAlgorithms=SignAlgorithms(algos=SIGNING),
            signature_formats=SignatureFormats(formats=["P"], envelope_properties=[["Revision"]]),
            conformance_levels=["Ades-B-B"],
        )
    )


ROUTES = (
    Route(
        listener=Listener.MACHINES,
        method="POST",
        path="/csc/v2/info",
        name="cscInfo",
        summary="What the remote signing service can do",
        handler=info,
        who=Who.CERTIFIED,
        answer=Answer(model=ServiceInfo),
        limit=Limit.COMPANY,
        body=JsonBody(model=InfoForm),
        refusal=refusal,
        refused=REFUSED,
        tag=TAG,
    ),
)
