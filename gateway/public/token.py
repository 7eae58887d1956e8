"""The token endpoint: client credentials over mutual TLS (RFC 6749 section 4.4, RFC 8705)."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web
from onestop.issuer.v1 import issuer_pb2 as pb

from core.errors import Kind, ServiceError
from gateway.call import Call, json_response
from gateway.limits import Limit
from gateway.problems import ProblemError
from gateway.routes import Route
from gateway.shapes import Answer, FormBody, Listener, Who

PART = "issuer"
NO_STORE = {"Pragma": "no-cache"}

# RFC 6749 section 5.2 by the issuer's reasons.
_ERRORS = {
    "INVALID_CLIENT": (401, "invalid_client"),
    "UNAUTHORIZED_CLIENT": (400, "unauthorized_client"),
    "INVALID_SCOPE": (400, "invalid_scope"),
}
_KINDS = {
    Kind.INVALID: (400, "invalid_request"),
    Kind.UNAVAILABLE: (503, "temporarily_unavailable"),
    Kind.LATE: (503, "temporarily_unavailable"),
    Kind.EXHAUSTED: (429, "temporarily_unavailable"),
}


class FormError(ServiceError):
    """A request that RFC 6749 has an error code for."""

    kind = Kind.INVALID
    reason = "FORM_INVALID"

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code


async def token(call: Call) -> web.StreamResponse:
    """A short-lived access token, bound to the client certificate of this connection."""
    certificate = call.certificate
    assert certificate is not None
    client_id, scopes = _read(call.form, certificate.name)
    request = pb.IssueTokenRequest(
        client_id=client_id,
        scopes=scopes,
        certificate_name=certificate.name,
        certificate_thumbprint=certificate.thumbprint,
    )
    issued = await call.ask(PART, call.parts.clients.issuer.IssueToken, request)
    lifetime = issued.expires_at.seconds - int(call.parts.clock().timestamp())
    return json_response(
        {
            "access_token": issued.access_token,
            "token_type": "Bearer",
            "expires_in": max(0, lifetime),
            "scope": " ".join(issued.scopes),
        },
        headers=NO_STORE,
    )


def refusal(error: Exception) -> web.Response:
    """The error as RFC 6749 section 5.2 has it."""
    if isinstance(error, ProblemError):
        problem = error.problem
        return _refusal(problem.status if problem.status == 413 else 400, "invalid_request", problem.detail)
    if isinstance(error, FormError):
        return _refusal(400, error.code, error.message)
    if isinstance(error, ServiceError):
        status, code = _ERRORS.get(error.reason) or _KINDS.get(error.kind, (500, "server_error"))
        return _refusal(status, code, _describe(error), retry_after=error.retry_after)
    raise error


def _read(form: Mapping[str, list[str]], certificate_name: str) -> tuple[str, list[str]]:
    """Client id and scopes. Raises FormError."""
    for name, found in form.items():
        if len(found) > 1:
            raise FormError("invalid_request", f"the parameter {name} comes more than once")
    values = {name: found[0] for name, found in form.items()}
    grant = values.get("grant_type", "")
    if not grant:
        raise FormError("invalid_request", "the parameter grant_type is missing")
    if grant != "client_credentials":
        raise FormError("unsupported_grant_type", "only client_credentials is offered here")
    if "client_secret" in values:
        raise FormError("invalid_request", "clients prove themselves by certificate; send no client_secret")
    return values.get("client_id") or certificate_name, values.get("scope", "").split()


def _describe(error: ServiceError) -> str:
    if error.kind is Kind.INTERNAL:
        return "the token could not be made"
    if error.faults and error.reason == "REQUEST_INVALID":
        return "; ".join(f"{fault.field}: {fault.message}" for fault in error.faults[:3])
    return error.message


def _ascii(text: str) -> str:
    """The text as RFC 6749 lets it be: printable ASCII without quotation marks and backslashes."""
    return "".join(c for c in text[:200] if " " <= c <= "~" and c not in '"\\')


def _refusal(status: int, code: str, description: str, *, retry_after: float | None = None) -> web.Response:
    headers = dict(NO_STORE)
    if status in {429, 503}:
        headers["Retry-After"] = str(max(1, round(retry_after or 1)))
    document = {"error": code, "error_description": _ascii(description)}
    return json_response(document, status=status, headers=headers)


ROUTES = (
    Route(
        listener=Listener.MACHINES,
        method="POST",
        path="/oauth2/token",
        name="token",
        summary="Get an access token",
        handler=token,
        who=Who.CERTIFIED,
        answer=Answer(
            schema={
                "type": "object",
                "required": ["access_token", "token_type", "expires_in", "scope"],
                "properties": {
                    "access_token": {"type": "string", "description": "A JWT, bound to the certificate."},
                    "token_type": {"const": "Bearer"},
                    "expires_in": {"type": "integer", "description": "Seconds; at most 300."},
                    "scope": {"type": "string", "description": "The scopes granted, separated by spaces."},
                },
            },
            description="The token. Errors follow RFC 6749 section 5.2: `error` and `error_description`.",
        ),
        rpc="onestop.issuer.v1.IssuerService.IssueToken",
        limit=Limit.TOKEN,
        refusal=refusal,
        body=FormBody(
            {
                "grant_type": "`client_credentials`.",
                "client_id": "The registered client id; the certificate's name where it is left out.",
                "scope": "Scopes wanted, separated by spaces; all that are registered where it is left out.",
            }
        ),
        tag="tokens",
    ),
)
