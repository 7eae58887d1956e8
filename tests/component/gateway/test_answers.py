"""What the approval platform and the bank get when all is right."""

from __future__ import annotations

from core.errors import Kind, ServiceError
from tests.component.gateway.asserting import SEARCH, assert_problem
from tests.component.gateway.conftest import CASE, HOLDER, Gateway


async def test_search_is_answered_with_receipt_and_relays_who_asks_for_whom(gateway: Gateway) -> None:
    platform = await gateway.machine()

    answer = await platform.post("/approval/v1/licences:search", json=SEARCH)

    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert document["licences"][0]["state"] == "in_force"
    assert document["receipt"]["entry"]["version"] == 1
    assert document["receipt"]["tree_size"] == 5
    assert answer.headers["Cache-Control"] == "no-store"
    (item,) = gateway.behind.asked["search"]
    assert item.context.office == CASE["office"]
    assert item.context.operator == "clerk-1"
    assert item.context.basis.matter_code == "sole-trader-registration"
    assert item.context.basis.case_number == "A-1"
    assert item.context.purpose == "registration"
    left = item.context.deadline.ToMilliseconds() - item.context.received_at.ToMilliseconds()
    assert left == 10_000
    (batch,) = gateway.behind.asked["search_batches"]
    bearer = platform.headers["Authorization"].removeprefix("Bearer ")
    assert [one.token for one in batch.credentials] == [bearer]


async def test_caller_may_lower_the_deadline_and_never_raise_it(gateway: Gateway) -> None:
    platform = await gateway.machine()

    await platform.post("/approval/v1/licences:search", json=SEARCH, headers={"Deadline-Ms": "700"})
    await platform.post("/approval/v1/licences:search", json=SEARCH, headers={"Deadline-Ms": "60000"})
    bad = await platform.post("/approval/v1/licences:search", json=SEARCH, headers={"Deadline-Ms": "0"})

    spans = [
        item.context.deadline.ToMilliseconds() - item.context.received_at.ToMilliseconds()
        for item in gateway.behind.asked["search"]
    ]
    assert spans == [700, 10_000]
    assert assert_problem(bad, 400, "REQUEST_INVALID")["errors"][0]["field"] == "Deadline-Ms"


async def test_trace_context_travels_to_the_service(gateway: Gateway) -> None:
    platform = await gateway.machine()
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"

    await platform.post(
        "/approval/v1/licences:search",
        json=SEARCH,
        headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"},
    )
    unknown = await platform.get("/nothing", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"})

    (item,) = gateway.behind.asked["search"]
    assert item.context.trace_parent.split("-")[1] == trace_id
    assert unknown.json()["trace_id"] == trace_id


async def test_licence_is_read_under_a_use_code_in_a_header(gateway: Gateway) -> None:
    platform = await gateway.machine()
    headers = {"Use-Code": "c" * 32, "Operator": "clerk-1"}

    answer = await platform.get("/approval/v1/licences/licence-1", headers=headers)
    without = await platform.get("/approval/v1/licences/licence-1")
    half = await platform.get("/approval/v1/licences/licence-1", headers={**headers, "Case-Number": "A-1"})

    assert answer.status_code == 200
    assert answer.json()["receipt"]["id"]
    assert gateway.behind.asked["get"][0].query.use_code == "c" * 32
    assert gateway.behind.asked["get"][0].context.operator == "clerk-1"
    assert assert_problem(without, 400, "REQUEST_INVALID")["errors"][0]["field"] == "Use-Code"
    assert assert_problem(half, 400, "REQUEST_INVALID")["errors"][0]["field"] == "Case-Number"


async def test_matter_of_path_is_the_basis_and_may_not_be_contradicted(gateway: Gateway) -> None:
    platform = await gateway.machine()
    body = {"case": CASE, "subjects": {"applicant": HOLDER}, "values": {"name": "x"}}

    same = await platform.post("/approval/v1/matters/sole-trader-registration:verify", json=body)
    other = await platform.post("/approval/v1/matters/residence-permit:verify", json=body)

    assert same.json()["fields"][0]["verdict"] == "match"
    assert assert_problem(other, 400, "REQUEST_INVALID")["errors"][0]["field"] == "case.matter_code"


async def test_lists_page(gateway: Gateway) -> None:
    platform = await gateway.machine()

    page = await platform.get("/approval/v1/matters", params={"page_size": "2", "page_token": "t"})
    faulty = await platform.get("/approval/v1/matters", params={"page_size": "101"})
    twice = await platform.get("/approval/v1/matters", params=[("page_size", "1"), ("page_size", "2")])

    assert page.json()["next_page_token"] == "next"
    assert gateway.behind.asked["list_matters"][0].page_size == 2
    assert gateway.behind.asked["list_matters"][0].page_token == "t"
    assert faulty.json()["errors"][0]["field"] == "page_size"
    assert twice.json()["errors"][0]["rule"] == "once"


async def test_consented_data_names_its_consent_as_the_basis(gateway: Gateway) -> None:
    bank = await gateway.machine("rural-bank")
    body = {"consent_id": "c-1", "purpose_code": "loan_application"}

    land = await bank.post("/partner/v1/farmers:land_rights", json=body)
    paid = await bank.post("/partner/v1/farmers:subsidies", json={**body, "years": 5})
    years = await bank.post("/partner/v1/farmers:land_rights", json={**body, "years": 5})
    bare = await bank.post("/partner/v1/farmers:land_rights", json={"purpose_code": "loan_application"})

    assert land.json() == {"jwe": "a.b.c.d.e"}
    assert gateway.behind.asked["land_rights"][0].context.basis.consent_id == "c-1"
    assert paid.status_code == 200
    assert gateway.behind.asked["subsidies"][0].query.years == 5
    assert assert_problem(years, 400, "REQUEST_INVALID")["errors"][0]["field"] == "years"
    assert assert_problem(bare, 400, "REQUEST_INVALID")["errors"][0]["field"] == "consent_id"


async def test_revoked_consent_refuses_clearly(gateway: Gateway) -> None:
    class ConsentRevokedError(ServiceError):
        kind = Kind.FORBIDDEN
        reason = "CONSENT_REVOKED"

    bank = await gateway.machine("rural-bank")
    gateway.behind.failures["land_rights"] = ConsentRevokedError("the farmer has revoked this consent")

    answer = await bank.post(
        "/partner/v1/farmers:land_rights", json={"consent_id": "c-1", "purpose_code": "loan_application"}
    )

    assert_problem(answer, 403, "CONSENT_REVOKED")


async def test_ledger_and_keys(gateway: Gateway) -> None:
    platform = await gateway.machine()
    bare = await gateway.certified(gateway.authority.issue("anybody"))
    receipt_id = "0b4c2a8e-5a1f-4a53-9d0e-0d3f7e1a2b3c"

    checkpoint = await bare.get("/ledger/v1/checkpoint")
    keys = await bare.get("/.well-known/onestop-answer-keys.json")
    receipt = await platform.get(f"/ledger/v1/receipts/{receipt_id}")
    malformed = await platform.get("/ledger/v1/receipts/1")

    assert checkpoint.headers["Content-Type"].startswith("text/plain")
    assert checkpoint.text.startswith("onestop.example/ledger\n")
    assert checkpoint.headers["Verifier-Key"]
    assert keys.json() == {"keys": []}
    assert receipt.json()["id"] == receipt_id
    assert gateway.behind.asked["receipt"][0].context.basis.kind == 4
    assert assert_problem(malformed, 400, "REQUEST_INVALID")["errors"][0]["field"] == "id"
