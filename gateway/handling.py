"""From an HTTP request to a route's handler: who calls, how often, what is asked, in this order."""

from __future__ import annotations

from datetime import timedelta

from aiohttp import web

from core.errors import ServiceError
from core.identity import Scope
from gateway.auth import certificate_of
from gateway.bodies import read_form, read_json, read_upload, require_type
from gateway.call import Call, read_key, read_patience, refuse_unknown_arguments, wanted_type
from gateway.limits import Limit
from gateway.lines import NDJSON
from gateway.observe import CALLER
from gateway.parts import PARTS
from gateway.problems import ProblemError, rename_faults
from gateway.routes import Route
from gateway.shapes import FormBody, JsonBody, LinesBody, Listener, UploadBody, Who


class Endpoint:
    """A route as aiohttp calls it."""

    def __init__(self, route: Route) -> None:
        self.route = route

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Proves, counts, checks, reads, handles."""
        try:
            return await self._handle(request)
        except ServiceError as error:
            rename_faults(error, self.route.renames)
            if self.route.refusal is None:
                raise
            return self.route.refusal(error)
        except ProblemError as error:
            if self.route.refusal is None:
                raise
            return self.route.refusal(error)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        parts = request.app[PARTS]
        config = parts.config
        received_at = parts.clock()
        patience = read_patience(request, config.deadline_seconds)
        call = Call(request, parts, self.route, received_at, received_at + timedelta(seconds=patience))
        await self._admit(call)
        call.key = read_key(request, self.route.key)
        refuse_unknown_arguments(request, self.route)
        if self.route.answer.has_body:
            wanted_type(request, self.route.answer.types)
        caller = request.get(CALLER, "") or request.remote or ""
        with parts.admission.held(caller):
            if isinstance(self.route.body, LinesBody):
                # It lasts as long as its caller likes, and so takes no place from calls that last moments.
                require_type(request, NDJSON)
                with parts.streams.room(caller):
                    return await self.route.handler(call)
            if not _may_be_large(self.route, call.request, parts.config.largest_json):
                return await self._read_and_handle(call)
            with parts.uploads.room(caller):
                return await self._read_and_handle(call)

    async def _read_and_handle(self, call: Call) -> web.StreamResponse:
        """A place at the part is taken once the request is there: a slow sender holds none."""
        await self._read_body(call)
        left = (call.deadline - call.parts.clock()).total_seconds()
        async with call.parts.admission.place(self.route.part, left):
            return await self.route.handler(call)

    async def _admit(self, call: Call) -> None:
        """Who calls, whether too often, and whether permitted at all."""
        request, parts, route = call.request, call.parts, self.route
        if route.listener is Listener.MACHINES:
            certificate = certificate_of(request, call.received_at)
            call.certificate = certificate
            request[CALLER] = certificate.name
            await parts.limits.count(route.limit, certificate.name)
            if route.who is Who.MACHINE:
                call.identity = await parts.machines.prove(request, certificate)
        else:
            await parts.limits.count(Limit.ADDRESS, request.remote or "")
            if route.who is Who.CITIZEN:
                call.identity = await parts.citizens.prove(request, call.deadline)
                request[CALLER] = call.identity.caller.name
                await parts.limits.count(Limit.CITIZEN, call.identity.limit_key)
        if call.identity is not None:
            call.identity.caller.require(route.scope or Scope.CITIZEN)

    async def _read_body(self, call: Call) -> None:
        config, body = call.parts.config, self.route.body
        if isinstance(body, JsonBody):
            call.body = await read_json(
                call.request, largest=body.largest or config.largest_json, seconds=config.body_seconds
            )
        elif isinstance(body, UploadBody):
            call.upload = await read_upload(
                call.request,
                largest_document=config.largest_document,
                largest_json=config.largest_json,
                seconds=config.body_seconds,
                names=("document",) if body.document_alone else ("document", "request"),
            )
        elif isinstance(body, FormBody):
            call.form = await read_form(call.request, seconds=config.body_seconds)


def _may_be_large(route: Route, request: web.Request, usual: int) -> bool:
    """Whether a request may carry documents: one of JSON that says so does not if it is of the usual size."""
    if isinstance(route.body, JsonBody) and route.body.largest > 0:
        return request.content_length is None or request.content_length > usual
    return isinstance(route.body, UploadBody)
