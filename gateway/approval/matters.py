"""Matters and their forms: list, read, fill, check."""

from __future__ import annotations

from aiohttp import web
from onestop.autofill.v1 import autofill_pb2 as pb

from core.identity import Scope
from gateway.call import Call
from gateway.limits import Limit
from gateway.routes import Route
from gateway.shapes import PAGING, Answer, CaseIn, JsonBody, Key, Listener, Who, path_id

SERVICE = "onestop.autofill.v1.AutofillService"
PART = "autofill"
CODE = path_id("code", "Short code of the matter, such as `sole-trader-registration`.")


async def list_matters(call: Call) -> web.StreamResponse:
    """A page of the matters."""
    request = pb.ListMattersRequest(
        credential=call.credential,
        context=call.context(),
        page_size=call.page_size(),
        page_token=call.argument("page_token"),
    )
    page = await call.ask(PART, call.parts.clients.autofill.ListMatters, request)
    return call.answer(page)


async def get_matter(call: Call) -> web.StreamResponse:
    """One matter's form."""
    request = pb.GetMatterRequest(credential=call.credential, context=call.context(), code=call.path("code"))
    matter = await call.ask(PART, call.parts.clients.autofill.GetMatter, request)
    return call.answer(matter)


async def autofill(call: Call) -> web.StreamResponse:
    """A form's fields from their sources."""
    query = call.query(pb.AutofillQuery)
    item = call.checked(pb.AutofillItem(context=call.case_context(call.case()), query=query))
    result = await call.parts.clients.fill(call.credential, item)
    return call.answer(result.answer, result.receipt)


async def verify(call: Call) -> web.StreamResponse:
    """Whether typed values agree with the sources."""
    query = call.query(pb.VerifyFieldsQuery)
    item = call.checked(pb.VerifyFieldsItem(context=call.case_context(call.case()), query=query))
    result = await call.parts.clients.verify_fields(call.credential, item)
    return call.answer(result.answer, result.receipt)


ROUTES = (
    Route(
        listener=Listener.MACHINES,
        method="GET",
        path="/approval/v1/matters",
        name="listMatters",
        summary="List the matters",
        handler=list_matters,
        who=Who.MACHINE,
        answer=Answer(pb.ListMattersResponse, description="A page of matters."),
        rpc=f"{SERVICE}.ListMatters",
        scope=Scope.MATTER_READ,
        limit=Limit.APPROVAL,
        parameters=PAGING,
        tag="approval",
    ),
    Route(
        listener=Listener.MACHINES,
        method="GET",
        path="/approval/v1/matters/{code}",
        name="getMatter",
        summary="Read one matter's form",
        handler=get_matter,
        who=Who.MACHINE,
        answer=Answer(pb.GetMatterResponse, description="Form (JSON Schema 2020-12), materials, subjects."),
        rpc=f"{SERVICE}.GetMatter",
        scope=Scope.MATTER_READ,
        limit=Limit.APPROVAL,
        parameters=(CODE,),
        tag="approval",
    ),
    Route(
        listener=Listener.MACHINES,
        method="POST",
        path="/approval/v1/matters/{code}:autofill",
        name="autofill",
        summary="Fill a form from the data that the government holds",
        handler=autofill,
        who=Who.MACHINE,
        answer=Answer(pb.AutofillAnswer, receipt=True, description="Each field with status and source."),
        rpc=f"{SERVICE}.BatchAutofill",
        scope=Scope.AUTOFILL_FILL,
        limit=Limit.APPROVAL,
        key=Key.OPTIONAL,
        body=JsonBody(pb.AutofillQuery, case=CaseIn.BODY_AND_PATH),
        parameters=(CODE,),
        tag="approval",
    ),
    Route(
        listener=Listener.MACHINES,
        method="POST",
        path="/approval/v1/matters/{code}:verify",
        name="verifyFields",
        summary="Check typed values without reading the sources",
        handler=verify,
        who=Who.MACHINE,
        answer=Answer(pb.VerifyFieldsAnswer, receipt=True, description="Match, mismatch or unknown, each."),
        rpc=f"{SERVICE}.BatchVerifyFields",
        scope=Scope.AUTOFILL_VERIFY,
        limit=Limit.APPROVAL,
        key=Key.OPTIONAL,
        body=JsonBody(pb.VerifyFieldsQuery, case=CaseIn.BODY_AND_PATH),
        parameters=(CODE,),
        tag="approval",
    ),
)
