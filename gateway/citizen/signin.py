"""Signing in and out at the identity provider, with a browser."""

from __future__ import annotations

from aiohttp import web

from gateway.auth import SESSION_COOKIE
from gateway.call import Call
from gateway.limits import Limit
from gateway.oidc import SignInFailedError
from gateway.routes import Route
from gateway.shapes import Answer, Listener, Parameter, Who

SIGN_IN_COOKIE = "__Host-onestop-sign-in"
HOME = "/"

_REDIRECT = Answer(status=303, description="On to the next page.")


async def login(call: Call) -> web.StreamResponse:
    """Sends the browser to the identity provider."""
    url, sign_in = await call.parts.provider.begin(_own_path(call.argument("return_to")))
    secret = await call.parts.sessions.begin(sign_in)
    response = _to(url)
    _set_cookie(response, SIGN_IN_COOKIE, secret)
    return response


async def callback(call: Call) -> web.StreamResponse:
    """Opens a session for the browser that comes back with a valid answer."""
    secret = call.request.cookies.get(SIGN_IN_COOKIE, "")
    sign_in = await call.parts.sessions.take(secret) if secret else None
    if sign_in is None:
        raise SignInFailedError("no sign-in is under way in this browser; start again at /citizen/login")
    session = await call.parts.provider.finish(sign_in, dict(call.request.query))
    former = call.request.cookies.get(SESSION_COOKIE, "")
    if former:
        await call.parts.sessions.end(former)
    response = _to(sign_in.return_to)
    _set_cookie(response, SESSION_COOKIE, await call.parts.sessions.open(session))
    _drop_cookie(response, SIGN_IN_COOKIE)
    return response


async def logout(call: Call) -> web.StreamResponse:
    """Ends the session here, and lets the person end it at the provider too."""
    call.parts.citizens.refuse_cross_site(call.request)
    secret = call.request.cookies.get(SESSION_COOKIE, "")
    if secret:
        await call.parts.sessions.end(secret)
    response = _to(await call.parts.provider.sign_out_url())
    _drop_cookie(response, SESSION_COOKIE)
    return response


def _own_path(path: str) -> str:
    """A path of this site, or its start: nobody is sent elsewhere after signing in."""
    own = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if own else HOME


def _to(url: str) -> web.Response:
    return web.Response(
        status=303, headers={"Location": url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    )


def _set_cookie(response: web.Response, name: str, secret: str) -> None:
    response.set_cookie(name, secret, path="/", secure=True, httponly=True, samesite="Lax")


def _drop_cookie(response: web.Response, name: str) -> None:
    response.del_cookie(name, path="/", secure=True, httponly=True, samesite="Lax")


ROUTES = (
    Route(
        listener=Listener.PEOPLE,
        method="GET",
        path="/citizen/login",
        name="login",
        summary="Sign in with a browser",
        handler=login,
        who=Who.ANYBODY,
        answer=_REDIRECT,
        limit=Limit.ADDRESS,
        parameters=(Parameter("return_to", "query", "Path of this site to come back to."),),
        tag="sign-in",
    ),
    Route(
        listener=Listener.PEOPLE,
        method="GET",
        path="/citizen/callback",
        name="loginCallback",
        summary="Come back from the identity provider",
        handler=callback,
        who=Who.ANYBODY,
        answer=_REDIRECT,
        limit=Limit.ADDRESS,
        parameters=(
            Parameter("code", "query", "The authorization code."),
            Parameter("state", "query", "The state of the sign-in."),
            Parameter("iss", "query", "The provider's issuer (RFC 9207)."),
            Parameter("error", "query", "Why the provider did not sign the person in."),
        ),
        tag="sign-in",
        any_query=True,
    ),
    Route(
        listener=Listener.PEOPLE,
        method="POST",
        path="/citizen/logout",
        name="logout",
        summary="Sign out",
        handler=logout,
        who=Who.ANYBODY,
        answer=_REDIRECT,
        limit=Limit.ADDRESS,
        tag="sign-in",
    ),
)
