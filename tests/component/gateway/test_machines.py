"""What machines get at the machines' listener, and what they are refused."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey

from core.errors import Kind, ServiceError, UnavailableError, fault_error
from tests.component.gateway.conftest import CASE, HOLDER, TYPE_CODE, Gateway, GatewayMaker, thumbprint
from tests.component.gateway.pki import Authority

SEARCH = {"case": CASE, "holder": HOLDER, "type_codes": [TYPE_CODE]}


def assert_problem(answer: httpx2.Response, status: int, reason: str) -> dict[str, Any]:
    """The problem document, which has the right form."""
    assert (answer.status_code, answer.json().get("reason")) == (status, reason), answer.text
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == "https://onestop.example/problems/" + reason.lower().replace("_", "-")
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert len(problem["trace_id"]) == 32
    assert "Traceback" not in answer.text
    return problem


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


async def test_without_certificate_there_is_no_connection(gateway: Gateway) -> None:
    async with httpx2.AsyncClient(
        base_url=gateway.machines_url, verify=gateway.authority.trusting_context()
    ) as nobody:
        with pytest.raises((httpx2.ConnectError, httpx2.ReadError, httpx2.RemoteProtocolError)):
            await nobody.post("/approval/v1/licences:search", json=SEARCH)

    assert not gateway.behind.asked


async def test_certificate_of_another_authority_is_refused(gateway: Gateway, tmp_path: Path) -> None:
    foreign = Authority(tmp_path / "foreign").issue("approval-platform")
    context = foreign.client_context(gateway.authority.root)

    async with httpx2.AsyncClient(base_url=gateway.machines_url, verify=context) as stranger:
        with pytest.raises((httpx2.ConnectError, httpx2.ReadError, httpx2.RemoteProtocolError, ssl.SSLError)):
            await stranger.post("/oauth2/token", data={"grant_type": "client_credentials"})


async def test_expired_certificate_is_refused(gateway: Gateway) -> None:
    pair = gateway.authority.issue("approval-platform", expired=True, file="expired")
    context = pair.client_context(gateway.authority.root)

    async with httpx2.AsyncClient(base_url=gateway.machines_url, verify=context) as late:
        with pytest.raises((httpx2.ConnectError, httpx2.ReadError, httpx2.RemoteProtocolError, ssl.SSLError)):
            await late.post("/oauth2/token", data={"grant_type": "client_credentials"})


async def test_old_tls_is_refused(gateway: Gateway) -> None:
    context = gateway.authority.issue("approval-platform").client_context(gateway.authority.root)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1

    async with httpx2.AsyncClient(base_url=gateway.machines_url, verify=context) as old:
        with pytest.raises(httpx2.ConnectError):
            await old.get("/openapi.json")


async def test_call_without_token_is_told_how_to_get_one(gateway: Gateway) -> None:
    client = await gateway.certified(gateway.authority.issue("approval-platform"))

    answer = await client.post("/approval/v1/licences:search", json=SEARCH)

    assert_problem(answer, 401, "TOKEN_MISSING")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert not gateway.behind.asked["search"]


async def test_stolen_token_with_the_thief_s_own_certificate_is_refused(gateway: Gateway) -> None:
    victim = await gateway.machine("approval-platform")
    thief = await gateway.certified(gateway.authority.issue("rural-bank"))

    answer = await thief.post(
        "/approval/v1/licences:search",
        json=SEARCH,
        headers={"Authorization": victim.headers["Authorization"]},
    )

    assert_problem(answer, 401, "TOKEN_INVALID")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert not gateway.behind.asked["search"]


async def test_expired_token_is_refused(gateway: Gateway) -> None:
    platform = await gateway.machine(age=301)

    answer = await platform.post("/approval/v1/licences:search", json=SEARCH)

    assert "expired" in assert_problem(answer, 401, "TOKEN_INVALID")["detail"]


async def test_token_of_another_signer_is_refused(gateway: Gateway) -> None:
    stranger = ECKey.generate_key("P-256")
    stranger.ensure_kid()
    platform = await gateway.machine(key=stranger)

    answer = await platform.post("/approval/v1/licences:search", json=SEARCH)

    assert_problem(answer, 401, "TOKEN_INVALID")


async def test_citizen_s_token_does_not_open_the_machines_listener(gateway: Gateway) -> None:
    client = await gateway.certified(gateway.authority.issue("approval-platform"))

    answer = await client.post(
        "/approval/v1/licences:search",
        json=SEARCH,
        headers={"Authorization": f"Bearer {gateway.behind.citizen_token('440299198001010012')}"},
    )

    assert_problem(answer, 401, "TOKEN_INVALID")


async def test_missing_scope_is_named(gateway: Gateway) -> None:
    bank = await gateway.machine("rural-bank", scope="consent.request credit.fetch")

    answer = await bank.post("/approval/v1/licences:search", json=SEARCH)

    assert "licence.read" in assert_problem(answer, 403, "SCOPE_MISSING")["detail"]
    assert not gateway.behind.asked["search"]


@pytest.mark.parametrize(
    ("body", "field", "rule"),
    [
        (b"{not json", "body", "json"),
        (b"[]", "body", "type"),
        (b'{"a": 1, "a": 2}', "body", "json"),
        (b'{"a": NaN}', "body", "json"),
        (b"\xff\xfe", "body", "json"),
        (b"[" * 100_000, "body", "json"),
    ],
)
async def test_malformed_json_is_told(gateway: Gateway, body: bytes, field: str, rule: str) -> None:
    platform = await gateway.machine()

    answer = await platform.post(
        "/approval/v1/licences:search", content=body, headers={"Content-Type": "application/json"}
    )

    (fault,) = assert_problem(answer, 400, "REQUEST_INVALID")["errors"]
    assert (fault["field"], fault["rule"]) == (field, rule)


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        ({"surprise": 1}, "surprise", "unknown"),
        ({"holder": {"code_type": "111", "code": "x", "more": 1}}, "holder.more", "unknown"),
        ({"holder": {"code_type": "xx", "code": "x"}}, "holder.code_type", "string.pattern"),
        ({"type_codes": []}, "type_codes", "repeated.min_items"),
        ({"type_codes": ["short"]}, "type_codes[0]", "string.pattern"),
        ({"case": None}, "case", "required"),
        ({"case": {**CASE, "case_number": "?"}}, "case.case_number", "string.pattern"),
        ({"case": {**CASE, "office": ""}}, "case.office", "required"),
        ({"case": {**CASE, "office": 7}}, "case.office", "type"),
        ({"case": {**CASE, "colour": "red"}}, "case.colour", "unknown"),
    ],
)
async def test_field_at_fault_is_named_as_the_caller_knows_it(
    gateway: Gateway, change: dict[str, Any], field: str, rule: str
) -> None:
    platform = await gateway.machine()

    answer = await platform.post("/approval/v1/licences:search", json={**SEARCH, **change})

    faults = assert_problem(answer, 400, "REQUEST_INVALID")["errors"]
    assert (field, rule) in {(fault["field"], fault["rule"]) for fault in faults}
    assert not gateway.behind.asked["search"]


async def test_service_s_refusal_keeps_its_reason_and_field(gateway: Gateway) -> None:
    platform = await gateway.machine()
    failure = fault_error("query.holder.code", "check_digit", "the check digit is wrong")
    gateway.behind.failures["search"] = failure

    answer = await platform.post("/approval/v1/licences:search", json=SEARCH)

    (fault,) = assert_problem(answer, 400, "REQUEST_INVALID")["errors"]
    assert (fault["field"], fault["rule"]) == ("holder.code", "check_digit")


async def test_idempotency_key_reused_with_another_body_is_a_conflict(gateway: Gateway) -> None:
    class KeyReusedError(ServiceError):
        kind = Kind.CONFLICT
        reason = "IDEMPOTENCY_KEY_REUSED"

    platform = await gateway.machine()
    gateway.behind.failures["search"] = KeyReusedError("the key was used with another body")

    answer = await platform.post(
        "/approval/v1/licences:search", json=SEARCH, headers={"Idempotency-Key": "k-1"}
    )

    assert_problem(answer, 409, "IDEMPOTENCY_KEY_REUSED")
    assert gateway.behind.asked["search"][0].context.request_id == "k-1"


async def test_state_changing_call_needs_an_idempotency_key(gateway: Gateway) -> None:
    bank = await gateway.machine("rural-bank")
    body = {
        "farmer": HOLDER,
        "purpose_code": "loan_application",
        "items": ["land_rights"],
        "validity_days": 30,
        "max_uses": 3,
    }

    without = await bank.post("/partner/v1/consent_requests", json=body)
    bad = await bank.post("/partner/v1/consent_requests", json=body, headers={"Idempotency-Key": "a b"})
    good = await bank.post("/partner/v1/consent_requests", json=body, headers={"Idempotency-Key": "a:b"})

    problem = assert_problem(without, 400, "IDEMPOTENCY_KEY_MISSING")
    assert problem["errors"][0]["field"] == "Idempotency-Key"
    assert assert_problem(bad, 400, "REQUEST_INVALID")["errors"][0]["field"] == "Idempotency-Key"
    assert good.status_code == 201
    assert good.json()["consent_request"]["state"] == "pending"
    (request,) = gateway.behind.asked["create_consent_request"]
    assert request.context.request_id == "a:b"
    assert request.context.basis.kind == 4


async def test_body_that_is_not_json_is_refused_by_its_type(gateway: Gateway) -> None:
    platform = await gateway.machine()

    answers = [
        await platform.post("/approval/v1/licences:search", content=b"{}", headers=headers)
        for headers in (
            {"Content-Type": "text/plain"},
            {},
            {"Content-Type": "application/json; charset=gbk"},
            {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        )
    ]

    assert [answer.status_code for answer in answers] == [415] * 4
    assert_problem(answers[0], 415, "CONTENT_TYPE_UNSUPPORTED")


async def test_too_large_json_is_refused_with_and_without_a_length(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(largest_json=1000)
    platform = await gateway.machine()
    body = b'{"a":"' + b"x" * 1000 + b'"}'

    async def pieces() -> Any:
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    told = await platform.post(
        "/approval/v1/licences:search", content=body, headers={"Content-Type": "application/json"}
    )
    streamed = await platform.post(
        "/approval/v1/licences:search", content=pieces(), headers={"Content-Type": "application/json"}
    )

    assert_problem(told, 413, "BODY_TOO_LARGE")
    assert_problem(streamed, 413, "BODY_TOO_LARGE")


async def test_slow_body_is_given_up(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(body_seconds=0.2)
    platform = await gateway.machine()

    async def drips() -> Any:
        for _ in range(5):
            yield b"{"
            await asyncio.sleep(0.1)

    answer = await platform.post(
        "/approval/v1/licences:search", content=drips(), headers={"Content-Type": "application/json"}
    )

    assert_problem(answer, 408, "BODY_LATE")


async def test_unknown_path_method_and_query_parameter(gateway: Gateway) -> None:
    platform = await gateway.machine()

    path = await platform.get("/approval/v2/licences")
    method = await platform.get("/approval/v1/licences:search")
    parameter = await platform.get("/approval/v1/matters", params={"id_number": "440299198001010012"})

    assert_problem(path, 404, "PATH_UNKNOWN")
    assert_problem(method, 405, "METHOD_NOT_ALLOWED")
    assert method.headers["Allow"] == "POST"
    assert assert_problem(parameter, 400, "REQUEST_INVALID")["errors"][0]["field"] == "id_number"
    assert "440299198001010012" not in parameter.text


async def test_answer_in_another_form_is_not_acceptable(gateway: Gateway) -> None:
    platform = await gateway.machine()

    refused = await platform.get("/approval/v1/matters", headers={"Accept": "text/csv"})
    taken = await platform.get("/approval/v1/matters", headers={"Accept": "text/csv, application/*;q=0.1"})

    assert_problem(refused, 406, "NOT_ACCEPTABLE")
    assert taken.status_code == 200


async def test_rate_limit_is_each_caller_s_own(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(approval_limit="2 per minute")
    platform, other = await gateway.machine("approval-platform"), await gateway.machine("other-platform")

    answers = [await platform.get("/approval/v1/matters") for _ in range(3)]
    elsewhere = await other.get("/approval/v1/matters")

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert_problem(answers[2], 429, "RATE_LIMITED")
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 61
    assert elsewhere.status_code == 200


async def test_part_that_is_down_is_named(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(down=("licence",))
    platform = await gateway.machine()

    answer = await platform.post("/approval/v1/licences:search", json=SEARCH)
    other = await platform.get("/approval/v1/matters")

    assert assert_problem(answer, 503, "PART_DOWN")["part"] == "licence"
    assert int(answer.headers["Retry-After"]) >= 1
    assert other.status_code == 200


async def test_source_behind_a_part_that_is_down_is_named(gateway: Gateway) -> None:
    platform = await gateway.machine()
    gateway.behind.failures["autofill"] = UnavailableError("down", part="datanode", retry_after=7.2)

    answer = await platform.post(
        "/approval/v1/matters/sole-trader-registration:autofill",
        json={
            "case": {name: value for name, value in CASE.items() if name != "matter_code"},
            "subjects": {"applicant": HOLDER},
        },
    )

    assert assert_problem(answer, 503, "PART_DOWN")["part"] == "datanode"
    assert answer.headers["Retry-After"] == "8"


async def test_late_part_is_named(gateway: Gateway) -> None:
    platform = await gateway.machine()
    gateway.behind.delays = {"search": 3, "get_matter": 3}

    lookup = await platform.post("/approval/v1/licences:search", json=SEARCH, headers={"Deadline-Ms": "200"})
    plain = await platform.get("/approval/v1/matters/residence-permit", headers={"Deadline-Ms": "200"})

    assert assert_problem(lookup, 504, "DEADLINE_PASSED")["part"] == "licence"
    assert assert_problem(plain, 504, "DEADLINE_PASSED")["part"] == "autofill"


async def test_answer_without_a_receipt_does_not_leave(gateway: Gateway) -> None:
    platform = await gateway.machine()
    gateway.behind.without_receipt = True

    answer = await platform.post("/approval/v1/licences:search", json=SEARCH)

    assert_problem(answer, 500, "INTERNAL")
    assert "licence-1" not in answer.text


async def test_unforeseen_failure_of_a_part_tells_nothing(gateway: Gateway) -> None:
    platform = await gateway.machine()
    gateway.behind.answers["get_matter"] = None  # type: ignore[assignment]

    answer = await platform.get("/approval/v1/matters/residence-permit")

    problem = assert_problem(answer, 500, "INTERNAL")
    assert "NoneType" not in answer.text
    assert "trace id" in problem["detail"]


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


async def test_concurrent_look_ups_share_batches_and_fail_alone(gateway: Gateway) -> None:
    platform = await gateway.machine()
    other = await gateway.machine("other-platform")
    gateway.behind.delays["search"] = 0.05
    bodies = [{**SEARCH, "case": {**CASE, "case_number": f"N-{number}"}} for number in range(12)]

    answers = await asyncio.gather(
        *(
            (platform if number % 2 else other).post("/approval/v1/licences:search", json=body)
            for number, body in enumerate(bodies)
        )
    )

    assert [answer.status_code for answer in answers] == [200] * 12
    batches = gateway.behind.asked["search_batches"]
    assert len(batches) < 12
    largest = max(batches, key=lambda batch: len(batch.items))
    assert len(largest.credentials) <= 2
    for batch in batches:
        for item in batch.items:
            number = int(item.context.basis.case_number.removeprefix("N-"))
            sender = platform if number % 2 else other
            token = batch.credentials[item.context.credential_index].token
            assert sender.headers["Authorization"] == f"Bearer {token}"


def test_thumbprint_helper_has_the_right_form(authority: Authority) -> None:
    assert len(thumbprint(authority.issue("x"))) == 43
