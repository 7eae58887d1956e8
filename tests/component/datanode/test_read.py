"""Reading through the contract: each answer and each refusal, over real TLS."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import grpc
import psycopg
import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp
from onestop.datanode.v1 import datanode_pb2 as pb

from core.identity import Scope, Subject
from deploy.town.cast import NUMBERS
from deploy.town.town import cast
from services.datanode.service import CATALOGUE_LIFE
from tests.component.datanode.harness import BANK, CLERK, Node, context, faults, item, reason
from tests.database import CityDatabase

APPLICANT = Subject("111", NUMBERS["applicant"])
FARMER = Subject("111", NUMBERS["farmer"])
NOBODY = Subject("111", "440101199001010011")
COMPANY = Subject("001", cast().companies[0].uscc)


def fields(result: pb.ReadRecordsResult) -> list[dict[str, object]]:
    """The records of an answer as plain JSON."""
    assert reason(result.error) == ""
    return [
        {name: MessageToDict(value) for name, value in record.fields.items()}
        for record in result.answer.records
    ]


async def test_a_clerk_reads_what_the_matter_needs(node: Node) -> None:
    result = await node.read("population.person", APPLICANT, "name", "sex", "current_address")

    assert fields(result) == [{"name": "林晓棠", "sex": "2", "current_address": None}]
    provenance = result.answer.records[0].provenance
    assert (provenance.resource, provenance.record_version) == ("population.person", "1.1")
    assert provenance.as_of.ToJsonString().startswith("2026-1")


async def test_the_bank_reads_land_and_subsidies_with_a_consent(node: Node) -> None:
    land = fields(await node.read("land.contract", FARMER, "certificate_code", "state", asking=BANK))
    parcels = fields(await node.read("land.parcel", FARMER, "parcel_code", "contract_area_mu", asking=BANK))
    paid = fields(await node.read("subsidy.arable", FARMER, "year", "amount_cents", asking=BANK))

    assert land == [{"certificate_code": "440203102204039001J", "state": "in_force"}]
    assert len(parcels) == 5
    assert [one["year"] for one in paid] == [2026.0, 2025.0, 2024.0]


@pytest.mark.parametrize("name", ["members", "contractor_name", "contractor_address"])
async def test_the_bank_never_gets_the_family(node: Node, name: str) -> None:
    result = await node.read("land.contract", FARMER, "state", name, asking=BANK)

    assert reason(result.error) == "FIELD_NOT_ENTITLED"
    assert faults(result.error) == [f"field_names.{name}"]


async def test_the_bank_gets_nothing_outside_land_and_subsidies(node: Node) -> None:
    for resource, name in (
        ("population.person", "name"),
        ("company.register", "name"),
        ("death.registration", "died_on"),
    ):
        assert reason((await node.read(resource, FARMER, name, asking=BANK)).error) == "FIELD_NOT_ENTITLED"


async def test_no_records_are_an_answer(node: Node) -> None:
    unknown = await node.read("population.person", NOBODY, "name")
    landless = await node.read("land.contract", APPLICANT, "state", asking=BANK)

    assert fields(unknown) == fields(landless) == []
    assert unknown.HasField("answer")
    assert landless.HasField("answer")


async def test_a_company_is_read_by_any_office(node: Node) -> None:
    elsewhere = replace(CLERK, matter_code="disability-allowance")

    read = fields(
        await node.read("company.register", COMPANY, "name", "registered_capital_cents", asking=elsewhere)
    )

    assert read == [{"name": "韶关市武江区韶丹商贸有限公司", "registered_capital_cents": 100_000_000.0}]


@pytest.mark.parametrize(
    ("resource", "subject", "name", "why"),
    [
        ("population.ghost", APPLICANT, "name", "RESOURCE_NOT_FOUND"),
        ("civil_aid.survey", APPLICANT, "deposits_cents", "RESOURCE_NOT_SHARED"),
        ("population.person", APPLICANT, "marital_status", "FIELD_NOT_ENTITLED"),
        ("population.person", APPLICANT, "shoe_size", "FIELD_NOT_ENTITLED"),
        ("land.contract", FARMER, "state", "FIELD_NOT_ENTITLED"),
        ("population.person", Subject("111", "440299199005189807"), "name", "CHECK_DIGIT_WRONG"),
        ("population.person", Subject("111", "44029919900518980"), "name", "NUMBER_MALFORMED"),
        ("company.register", Subject("001", COMPANY.code[:17] + "0"), "name", "CHECK_DIGIT_WRONG"),
    ],
)
async def test_each_refusal_says_why(
    node: Node, resource: str, subject: Subject, name: str, why: str
) -> None:
    result = await node.read(resource, subject, name)

    assert reason(result.error) == why
    assert not result.HasField("answer")
    assert subject.code not in str(result.error)


@pytest.mark.parametrize(
    ("asking", "why"),
    [
        (replace(CLERK, scopes=(Scope.CREDIT_FETCH,)), "SCOPE_MISSING"),
        (replace(CLERK, scopes=(Scope.LICENCE_READ,)), "SCOPE_MISSING"),
        (replace(BANK, scopes=(Scope.AUTOFILL_FILL,)), "SCOPE_MISSING"),
        (replace(CLERK, matter_code=""), "BASIS_NOT_PERMITTED"),
        (replace(CLERK, office=""), "BASIS_NOT_PERMITTED"),
        (replace(CLERK, office="11440299MB2L010300"), "CHECK_DIGIT_WRONG"),
        (replace(CLERK, thumbprint="B" * 43), "TOKEN_INVALID"),
    ],
)
async def test_who_may_not_ask_is_told_which_proof_is_missing(node: Node, asking: object, why: str) -> None:
    result = await node.read("company.register", COMPANY, "name", asking=asking)  # type: ignore[arg-type]

    assert reason(result.error) == why


async def test_only_the_composing_services_may_call(node: Node) -> None:
    request = pb.BatchReadRecordsRequest(
        credentials=[node.credential(CLERK)], items=[item("population.person", APPLICANT, "name")]
    )

    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await node.gateway.BatchReadRecords(request)

    assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_one_bad_item_fails_alone(node: Node) -> None:
    good = item("population.person", APPLICANT, "name")
    late = item("population.person", APPLICANT, "name")
    late.context.deadline.CopyFrom(Timestamp(seconds=int(node.clock().timestamp()) - 1))
    wrong = item("civil_aid.survey", APPLICANT, "deposits_cents")
    malformed = item("NOT A RESOURCE", APPLICANT, "name")
    stranger = item("population.person", NOBODY, "name")

    results = await node.read_batch([good, late, wrong, malformed, stranger, good])

    assert [reason(result.error) for result in results] == [
        "", "DEADLINE_PASSED", "RESOURCE_NOT_SHARED", "REQUEST_INVALID", "", "",
    ]  # fmt: skip
    assert fields(results[0]) == fields(results[5]) == [{"name": "林晓棠"}]
    assert fields(results[4]) == []


async def test_a_withdrawn_entitlement_is_gone_within_its_time(node: Node, hamlet: CityDatabase) -> None:
    grant = "('matter', 'sole-trader-registration', 'population.person', 'phone')"
    assert fields(await node.read("population.person", APPLICANT, "phone")) != []
    with psycopg.connect(hamlet.admin_dsn, autocommit=True) as connection:
        connection.execute(
            f"DELETE FROM datanode.entitlement WHERE (basis, item, resource, field) = {grant}".encode()
        )
        try:
            node.clock.advance(CATALOGUE_LIFE + timedelta(seconds=1))
            refused = await node.read("population.person", APPLICANT, "phone")
        finally:
            connection.execute(f"INSERT INTO datanode.entitlement VALUES {grant}".encode())

    assert reason(refused.error) == "FIELD_NOT_ENTITLED"


async def test_the_catalogue_is_listed_page_by_page(node: Node) -> None:
    resources: list[pb.Resource] = []
    token = ""
    while True:
        response = await node.autofill.ListResources(
            pb.ListResourcesRequest(
                credential=node.credential(replace(CLERK, scopes=(Scope.MATTER_READ,))),
                context=context(replace(CLERK, matter_code="")),
                page_size=5,
                page_token=token,
            )
        )
        resources += response.resources
        token = response.next_page_token
        if not token:
            break

    assert len(resources) == len({one.code for one in resources}) == 14
    person = next(one for one in resources if one.code == "population.person")
    assert person.provider_name == "韶关市公安局"
    assert person.sharing_class == pb.SHARING_CLASS_CONDITIONAL
    assert [one.label for one in person.fields][:2] == ["公民身份号码", "姓名"]
    assert person.fields[0].identifying
    assert not person.fields[2].identifying


async def test_listing_needs_a_scope(node: Node) -> None:
    request = pb.ListResourcesRequest(
        credential=node.credential(replace(CLERK, scopes=(Scope.SEAL_USE,))), context=context(CLERK)
    )

    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await node.autofill.ListResources(request)

    assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_register_that_hangs_holds_up_its_own_items_alone(node: Node, hamlet: CityDatabase) -> None:
    hanging = item("land.parcel", FARMER, "parcel_code", asking=BANK)
    hanging.context.deadline.CopyFrom(Timestamp(seconds=int(time.time()) + 2))
    others = [item("subsidy.arable", FARMER, "year", asking=BANK) for _ in range(5)]
    async with await psycopg.AsyncConnection.connect(hamlet.admin_dsn) as locker:
        await locker.execute("LOCK TABLE datanode.land_parcel IN ACCESS EXCLUSIVE MODE")

        results = await node.read_batch([hanging, *others], BANK)
        beside = await node.read("population.person", APPLICANT, "name")

    assert reason(results[0].error) == "DEADLINE_PASSED"
    assert all(fields(result) for result in results[1:])
    assert fields(beside) == [{"name": "林晓棠"}]
    assert len(fields(await node.read("land.parcel", FARMER, "parcel_code", asking=BANK))) == 5
