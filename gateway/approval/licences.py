"""Licences for a case: find, read under a use code, verify."""

from __future__ import annotations

from aiohttp import web
from onestop.common.v1 import context_pb2
from onestop.licence.v1 import licence_pb2 as pb

from core.identity import Scope
from gateway.call import Call
from gateway.limits import Limit
from gateway.routes import Route
from gateway.shapes import CASE_HEADERS, Answer, CaseIn, JsonBody, Key, Listener, Parameter, Who, path_id

SERVICE = "onestop.licence.v1.LicenceService"


async def search(call: Call) -> web.StreamResponse:
    """A holder's licences of given types."""
    query = call.query(pb.SearchLicencesQuery)
    item = call.checked(pb.SearchLicencesItem(context=call.case_context(call.case()), query=query))
    result = await call.parts.clients.search_licences.ask(call.credential, item)
    return call.answer(result.answer, result.receipt)


async def get(call: Call) -> web.StreamResponse:
    """One licence. The use code carries the basis; what the headers say must agree with it."""
    matter, number = call.header("Matter-Code"), call.header("Case-Number")
    basis = None
    if matter or number:
        basis = context_pb2.Basis(kind=context_pb2.BASIS_KIND_MATTER, matter_code=matter, case_number=number)
    context = call.context(basis=basis, office=call.header("Office"), operator=call.header("Operator"))
    query = pb.GetLicenceQuery(id=call.path("id"), use_code=call.header("Use-Code", required=True))
    item = call.checked(pb.GetLicenceItem(context=context, query=query))
    result = await call.parts.clients.get_licences.ask(call.credential, item)
    return call.answer(result.answer, result.receipt)


async def verify(call: Call) -> web.StreamResponse:
    """Whether a licence identifier is genuine and in force."""
    query = call.query(pb.VerifyLicenceQuery)
    item = call.checked(pb.VerifyLicenceItem(context=call.case_context(call.case()), query=query))
    result = await call.parts.clients.verify_licences.ask(call.credential, item)
    return call.answer(result.answer, result.receipt)


ROUTES = (
    Route(
        listener=Listener.MACHINES,
        method="POST",
        path="/approval/v1/licences:search",
        name="searchLicences",
        summary="Find a holder's licences of given types, for a case",
        handler=search,
        who=Who.MACHINE,
        answer=Answer(pb.SearchLicencesAnswer, receipt=True, description="What was found, and a use code."),
        rpc=f"{SERVICE}.BatchSearchLicences",
        scope=Scope.LICENCE_READ,
        limit=Limit.APPROVAL,
        key=Key.OPTIONAL,
        body=JsonBody(pb.SearchLicencesQuery, case=CaseIn.BODY),
        tag="approval",
    ),
    Route(
        listener=Listener.MACHINES,
        method="GET",
        path="/approval/v1/licences/{id}",
        name="getLicence",
        summary="Read one licence under a use code",
        handler=get,
        who=Who.MACHINE,
        answer=Answer(pb.GetLicenceAnswer, receipt=True, description="The entitled fields."),
        rpc=f"{SERVICE}.BatchGetLicences",
        scope=Scope.LICENCE_READ,
        limit=Limit.APPROVAL,
        key=Key.OPTIONAL,
        parameters=(
            path_id("id", "Opaque id from a search."),
            Parameter("Use-Code", "header", "The use code of the search (用证码).", required=True),
            *CASE_HEADERS,
        ),
        renames={
            "query.use_code": "Use-Code",
            "context.basis.matter_code": "Matter-Code",
            "context.basis.case_number": "Case-Number",
            "context.basis": "Case-Number",
            "context.office": "Office",
            "office": "Office",
            "context.operator": "Operator",
        },
        tag="approval",
    ),
    Route(
        listener=Listener.MACHINES,
        method="POST",
        path="/approval/v1/licences:verify",
        name="verifyLicence",
        summary="Say whether a licence identifier is genuine and in force",
        handler=verify,
        who=Who.MACHINE,
        answer=Answer(pb.VerifyLicenceAnswer, receipt=True, description="The verdict, without contents."),
        rpc=f"{SERVICE}.BatchVerifyLicences",
        scope=Scope.LICENCE_VERIFY,
        limit=Limit.APPROVAL,
        key=Key.OPTIONAL,
        body=JsonBody(pb.VerifyLicenceQuery, case=CaseIn.BODY),
        tag="approval",
    ),
)
