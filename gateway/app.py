"""The three applications of the gateway, made from the route tables."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain

from aiohttp import web

from core.config import Mode
from gateway.approval import bulk, digests, licences, matters, seals, templates
from gateway.citizen import consents, disclosures, signin
from gateway.csc import credentials, service, signatures, taking
from gateway.handling import Endpoint
from gateway.observe import observer
from gateway.openapi import build_document
from gateway.partner import consent_requests, farmers
from gateway.parts import PARTS, Parts
from gateway.public import documents, keys, ledger, token
from gateway.public.docs import Documentation
from gateway.public.operations import Operations
from gateway.public.pages import Pages
from gateway.routes import Route
from gateway.shapes import Listener
from gateway.traffic import Traffic

ROUTES: tuple[Route, ...] = tuple(
    chain(
        token.ROUTES,
        licences.ROUTES,
        matters.ROUTES,
        seals.ROUTES,
        digests.ROUTES,
        templates.ROUTES,
        bulk.ROUTES,
        consent_requests.ROUTES,
        farmers.ROUTES,
        service.ROUTES,
        credentials.ROUTES,
        signatures.ROUTES,
        taking.ROUTES,
        consents.ROUTES,
        disclosures.ROUTES,
        signin.ROUTES,
        ledger.ROUTES,
        documents.ROUTES,
        keys.ROUTES,
    )
)

_FORM_AND_HEADERS = 64 * 1024


def build(parts: Parts, listener: Listener) -> web.Application:
    """The application of one of the outer listeners."""
    config = parts.config
    app = web.Application(
        middlewares=[
            observer(listener.value, parts.metrics, parts.traffic, strict=config.mode is Mode.PRODUCTION)
        ],
        client_max_size=config.largest_document + config.largest_json + _FORM_AND_HEADERS,
    )
    app[PARTS] = parts
    for route in ROUTES:
        if route.listener is listener:
            app.router.add_route(route.method, route.pattern or route.path, Endpoint(route).answer)
    documentation(config.machines_address, config.people_url, config.oidc_issuer).add_to(
        app, with_home=listener is Listener.PEOPLE
    )
    if listener is Listener.PEOPLE:
        Pages(config.oidc_issuer).add_to(app)
    return app


def build_operations(parts: Parts, operations: Operations) -> web.Application:
    """The application of the operators' listener."""
    app = web.Application(middlewares=[observer("operations", parts.metrics, Traffic(), strict=False)])
    app[PARTS] = parts
    operations.add_to(app)
    return app


@lru_cache(maxsize=1)
def documentation(machines: str, people: str, oidc_issuer: str) -> Documentation:
    """The API document for these addresses, and its reader: made once for both listeners."""
    urls = {Listener.MACHINES: machines, Listener.PEOPLE: people}
    return Documentation(build_document(ROUTES, urls, oidc_issuer))
