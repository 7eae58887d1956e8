"""The provider over HTTP: discovery, sign-in, tokens, userinfo, sign-out."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol
from urllib.parse import urlsplit
from uuid import UUID

from aiohttp import web
from authlib.common.urls import add_params_to_uri
from authlib.oauth2 import OAuth2Error
from joserfc.errors import JoseError
from multidict import MultiDict

from core import log
from deploy.idp.accounts import Person
from deploy.idp.clients import SCOPES
from deploy.idp.keys import ALGORITHM, public_keys
from deploy.idp.messages import Incoming, Outgoing
from deploy.idp.pages import page
from deploy.idp.provider import Provider
from deploy.idp.sessions import Pending, Session, Shelf
from deploy.idp.signin import SignIn, TooManyFailuresError

SESSION_COOKIE = "__Host-idp-session"
BROWSER_COOKIE = "__Host-idp-browser"
PENDING_LIFETIME = 600.0
LARGEST_BODY = 64 * 1024

_log = log.get_logger()


class People(Protocol):
    """The people with accounts."""

    async def person(self, subject_id: UUID) -> Person | None:
        """The person with this `sub`."""
        ...

    async def answers(self) -> bool:
        """Whether they can be looked up now."""
        ...


class IdpApp:
    """The provider's routes."""

    def __init__(self, provider: Provider, sign_in: SignIn, people: People, session_lifetime: int) -> None:
        self._provider = provider
        self._sign_in = sign_in
        self._people = people
        self._pending: Shelf[Pending] = Shelf(PENDING_LIFETIME)
        self._sessions: Shelf[Session] = Shelf(session_lifetime)

    def build(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[_log_failures])
        app.add_routes(
            [
                web.get("/.well-known/openid-configuration", self.discovery),
                web.get("/jwks", self.keys),
                web.get("/authorize", self.authorize),
                web.post("/login", self.login),
                web.post("/token", self.token),
                web.get("/userinfo", self.userinfo),
                web.post("/userinfo", self.userinfo),
                web.get("/end_session", self.end_session),
                web.post("/end_session", self.end_session),
                web.get("/healthz", self.health),
            ]
        )
        return app

    async def discovery(self, request: web.Request) -> web.Response:
        """OpenID Connect Discovery 1.0 section 3."""
        base = self._provider.issuer_url
        return web.json_response(
            {
                "issuer": base,
                "authorization_endpoint": f"{base}/authorize",
                "token_endpoint": f"{base}/token",
                "userinfo_endpoint": f"{base}/userinfo",
                "jwks_uri": f"{base}/jwks",
                "end_session_endpoint": f"{base}/end_session",
                "scopes_supported": list(SCOPES),
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": ["authorization_code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [ALGORITHM],
                "token_endpoint_auth_methods_supported": [
                    "none",
                    "client_secret_basic",
                    "client_secret_post",
                ],
                "code_challenge_methods_supported": ["S256"],
                "claims_supported": ["sub", "name", "id_number", "nonce", "auth_time", "amr"],
                "claims_parameter_supported": False,
                "request_parameter_supported": False,
                "request_uri_parameter_supported": False,
                "authorization_response_iss_parameter_supported": True,
                "ui_locales_supported": ["zh-CN", "en"],
            },
            headers={"Cache-Control": "public, max-age=60"},
        )

    async def keys(self, request: web.Request) -> web.Response:
        """The public signing keys."""
        return web.json_response(
            public_keys(self._provider.key), headers={"Cache-Control": "public, max-age=60"}
        )

    async def authorize(self, request: web.Request) -> web.StreamResponse:
        """The authorization endpoint: straight back for who is signed in, else the login page."""
        incoming = Incoming("GET", str(request.url), MultiDict(request.query), headers=request.headers)
        session = self._session(request, incoming.query)
        try:
            consent = self._provider.consent(incoming, session)
        except OAuth2Error as error:
            _log.warning("authorization_refused", error=error.error)
            return page(
                "refused",
                status=400,
                chinese="登录请求有误：客户端或返回地址未登记，或参数不正确。",
                english=f"The request is wrong: {error.description or error.error}",
            )
        if isinstance(consent, Outgoing):
            return self._back_to_client(consent)
        if session is not None and not consent.needs_sign_in:
            return self._back_to_client(self._provider.grant(incoming, session))
        browser = request.cookies.get(BROWSER_COOKIE) or secrets.token_urlsafe(24)
        request_id = secrets.token_urlsafe(24)
        parts = urlsplit(consent.redirect_uri)
        pending = Pending(incoming.uri, incoming.query, browser, f"{parts.scheme}://{parts.netloc}")
        self._pending.put(request_id, pending)
        response = self._login_page(request_id, pending)
        response.set_cookie(BROWSER_COOKIE, browser, secure=True, httponly=True, samesite="Lax", path="/")
        return response

    async def login(self, request: web.Request) -> web.StreamResponse:
        """The login form: on success the person goes back to the client with a code."""
        form = await _form(request)
        request_id, login = form.get("request", ""), form.get("login", "")
        pending = self._pending.get(request_id)
        browser = request.cookies.get(BROWSER_COOKIE, "")
        if pending is None or not hmac.compare_digest(pending.browser.encode(), browser.encode()):
            return page(
                "refused",
                status=400,
                chinese="登录页面已过期，请返回应用重新登录。",
                english="This sign-in page has expired. Go back to the application and start again.",
            )
        try:
            person = await self._sign_in.check(login, form.get("password", ""), request.remote or "")
        except TooManyFailuresError as failure:
            response = self._login_page(
                request_id, pending, status=429, fault="limited", retry_after=failure.retry_after, login=login
            )
            response.headers["Retry-After"] = str(failure.retry_after)
            return response
        if person is None:
            return self._login_page(request_id, pending, status=401, fault="wrong", login=login)
        self._pending.take(request_id)
        session = Session(person, int(time.time()))
        session_id = secrets.token_urlsafe(32)
        self._sessions.put(session_id, session)
        response = self._back_to_client(
            self._provider.grant(Incoming("GET", pending.uri, pending.parameters), session)
        )
        response.set_cookie(SESSION_COOKIE, session_id, secure=True, httponly=True, samesite="Lax", path="/")
        response.del_cookie(BROWSER_COOKIE, path="/", secure=True, httponly=True, samesite="Lax")
        return response

    async def token(self, request: web.Request) -> web.StreamResponse:
        """The token endpoint: a code and its verifier for tokens."""
        incoming = Incoming(
            "POST", str(request.url.with_query(None)), form=await _form(request), headers=request.headers
        )
        return _response(self._provider.create_token_response(incoming))

    async def userinfo(self, request: web.Request) -> web.StreamResponse:
        """Claims of the access token's person (OpenID Connect Core 1.0 section 5.3)."""
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            if kind.lower() != "bearer":
                raise ValueError("a bearer token is needed")
            subject = self._provider.subject_of_access_token(token.strip())
            person = await self._people.person(UUID(subject))
        except (JoseError, ValueError):
            person = None
        if person is None:
            return web.json_response(
                {"error": "invalid_token"},
                status=401,
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        return web.json_response(self._provider.claims(person), headers={"Cache-Control": "no-store"})

    async def end_session(self, request: web.Request) -> web.StreamResponse:
        """RP-initiated logout 1.0; without an ID token it asks first."""
        form = await _form(request) if request.method == "POST" else MultiDict[str]()
        incoming = Incoming(request.method, str(request.url), MultiDict(request.query), form)
        try:
            wanted = self._provider.logout(incoming)
        except OAuth2Error:
            return page(
                "refused",
                status=400,
                chinese="退出请求有误。",
                english="The sign-out request is wrong.",
            )
        if wanted.needs_confirmation and request.method == "GET":
            return page("logout", done=False)
        self._sessions.take(request.cookies.get(SESSION_COOKIE, ""))
        response = page("logout", done=True)
        if wanted.redirect_uri:
            response = web.Response(status=303, headers={"Location": wanted.redirect_uri})
        response.del_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="Lax")
        return response

    async def health(self, request: web.Request) -> web.Response:
        """Whether people can be looked up."""
        ready = await self._people.answers()
        return web.json_response({"status": "ok" if ready else "down"}, status=200 if ready else 503)

    def _session(self, request: web.Request, query: Mapping[str, str]) -> Session | None:
        """The browser's session, unless it is older than the client allows (`max_age`)."""
        session = self._sessions.get(request.cookies.get(SESSION_COOKIE, ""))
        limit = query.get("max_age", "")
        if session and limit.isdigit() and time.time() - session.signed_in_at > int(limit):
            return None
        return session

    def _login_page(
        self,
        request_id: str,
        pending: Pending,
        *,
        status: int = 200,
        fault: str = "",
        retry_after: int = 0,
        login: str = "",
    ) -> web.Response:
        return page(
            "login",
            status=status,
            form_targets=pending.redirect_origin,
            client=pending.parameters.get("client_id", ""),
            request_id=request_id,
            fault=fault,
            retry_after=retry_after,
            login=login,
        )

    def _back_to_client(self, answer: Outgoing) -> web.Response:
        """The redirect, naming this issuer in it (RFC 9207)."""
        location = add_params_to_uri(answer.headers["Location"], {"iss": self._provider.issuer_url})
        return web.Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})


def _response(answer: object) -> web.Response:
    assert isinstance(answer, Outgoing)
    headers = {name: value for name, value in answer.headers.items() if name.lower() != "content-type"}
    if isinstance(answer.body, str):
        return web.Response(status=answer.status, text=answer.body, headers=headers)
    return web.json_response(dict(answer.body), status=answer.status, headers=headers)


async def _form(request: web.Request) -> MultiDict[str]:
    """The form's text fields; whatever is not a form is an empty one."""
    if request.content_type != "application/x-www-form-urlencoded":
        return MultiDict()
    return MultiDict(
        (name, value) for name, value in (await request.post()).items() if isinstance(value, str)
    )


@web.middleware
async def _log_failures(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answers an unforeseen failure without its text."""
    try:
        return await handler(request)
    except web.HTTPException:
        raise
    except Exception:
        _log.exception("request_failed", method=request.method, path=request.path)
        return web.json_response({"error": "server_error"}, status=500)
