"""Matters and their forms: list, read, fill, check."""

from __future__ import annotations

from aiohttp import web
from onestop.autofill.v1 import autofill_pb2 as pb

from core.identity import Scope
from gateway.call import Call
from gateway.limits import Limit
from gateway.routes import PAGING, Answer, CaseIn, JsonBody, Key, Listener, Route, Who, path_id

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
        Listener.MACHINES,
        "GET",
        "/approval/v1/matters",
        "listMatters",
        "List the matters",
        list_matters,
        Who.MACHINE,
        Answer(pb.ListMattersResponse, description="A page of matters."),
        rpc=f"{SERVICE}.ListMatters",
        scope=Scope.MATTER_READ,
        limit=Limit.APPROVAL,
        parameters=PAGING,
        tag="approval",
    ),
    Route(
        Listener.MACHINES,
        "GET",
        "/approval/v1/matters/{code}",
        "getMatter",
        "Read one matter's form",
        get_matter,
        Who.MACHINE,
        Answer(pb.GetMatterResponse, description="The form (JSON Schema 2020-12), materials and subjects."),
        rpc=f"{SERVICE}.GetMatter",
        scope=Scope.MATTER_READ,
        limit=Limit.APPROVAL,
        parameters=(CODE,),
        tag="approval",
    ),
    Route(
        Listener.MACHINES,
        "POST",
        "/approval/v1/matters/{code}:autofill",
        "autofill",
        "Fill a form from the data that the government holds",
        autofill,
        Who.MACHINE,
        Answer(pb.AutofillAnswer, receipt=True, description="Each field with its status and its source."),
        rpc=f"{SERVICE}.BatchAutofill",
        scope=Scope.AUTOFILL_FILL,
        limit=Limit.APPROVAL,
        key=Key.OPTIONAL,
        body=JsonBody(pb.AutofillQuery, case=CaseIn.BODY_AND_PATH),
        parameters=(CODE,),
        tag="approval",
    ),
    Route(
        Listener.MACHINES,
        "POST",
        "/approval/v1/matters/{code}:verify",
        "verifyFields",
        "Check typed values without reading the sources",
        verify,
        Who.MACHINE,
        Answer(pb.VerifyFieldsAnswer, receipt=True, description="Match, mismatch or unknown, by field."),
        rpc=f"{SERVICE}.BatchVerifyFields",
        scope=Scope.AUTOFILL_VERIFY,
        limit=Limit.APPROVAL,
        key=Key.OPTIONAL,
        body=JsonBody(pb.VerifyFieldsQuery, case=CaseIn.BODY_AND_PATH),
        parameters=(CODE,),
        tag="approval",
    ),
)
