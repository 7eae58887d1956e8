"""The list of matters and their forms over gRPC: no personal data, no basis, no ledger entry."""

from __future__ import annotations

from dataclasses import replace

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from jsonschema import Draft202012Validator
from onestop.autofill.v1 import autofill_pb2 as pb

from core.status import from_rpc_error
from services.autofill.templates import load_matters
from tests.component.autofill.harness import Asking, Counter

ANYBODY = Asking(matter_code="", office="")


async def page(counter: Counter, size: int, token: str = "") -> pb.ListMattersResponse:
    return await counter.gateway.ListMatters(
        pb.ListMattersRequest(
            credential=counter.credential(), context=ANYBODY.context(), page_size=size, page_token=token
        ),
        timeout=10,
    )


async def refused(counter: Counter, code: str, asking: Asking = ANYBODY) -> str:
    request = pb.GetMatterRequest(credential=counter.credential(asking), context=asking.context(), code=code)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await counter.gateway.GetMatter(request, timeout=10)
    return from_rpc_error(refusal.value, "autofill").reason


async def test_pages_of_any_size_list_every_matter_once(counter: Counter) -> None:
    for size in (0, 1, 3, 10, 100):
        seen: list[str] = []
        token = ""
        while True:
            got = await page(counter, size, token)
            seen += [matter.code for matter in got.matters]
            token = got.next_page_token
            if not token:
                break

        assert seen == sorted(load_matters())
    assert counter.ledger.entries == []


async def test_a_page_token_of_another_list_is_refused(counter: Counter) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await page(counter, 1, "moon")

    assert from_rpc_error(refusal.value, "autofill").reason == "PAGE_TOKEN_INVALID"


async def test_a_matter_comes_with_its_form_materials_and_roles(counter: Counter) -> None:
    got = await counter.gateway.GetMatter(
        pb.GetMatterRequest(
            credential=counter.credential(), context=ANYBODY.context(), code="sole-trader-registration"
        ),
        timeout=10,
    )

    form = MessageToDict(got.form)
    Draft202012Validator.check_schema(form)
    assert got.matter.name == "个体工商户设立登记"
    assert form["properties"]["name"]["x-sources"][0]["resource"].startswith("licence.")
    assert form["$defs"]["sex"]["oneOf"][1]["title"] == "男"
    assert form["x-order"][:4] == ["name", "sex", "ethnicity", "birth_date"]
    assert set(form["x-order"]) == set(form["properties"])
    assert form["properties"]["family_members"]["items"]["x-order"][0] == "name"
    assert {role.role: role.required for role in got.subject_roles} == {"applicant": True, "agent": False}
    assert any(material.licence_type_code for material in got.materials)
    assert counter.ledger.entries == []


async def test_an_unknown_matter_and_a_missing_scope_are_refused(counter: Counter) -> None:
    assert await refused(counter, "moon-landing") == "MATTER_NOT_FOUND"
    nothing = replace(ANYBODY, scopes=("autofill.fill",))
    assert await refused(counter, "sole-trader-registration", nothing) == "SCOPE_MISSING"
