"""The log and its witness, as outsiders and operators of the running city see them."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx2
import pytest

from core.cosignature import WitnessKey, cosignatures
from core.note import VerifierKey, open_checkpoint
from core.policy import Policy
from core.receipt_policy import verify_by_policy
from tests.city import City
from tests.e2e.contract import refused
from tests.story import ID_CARD, Json, Machine, Person, case_of, person

SECONDS = 15.0


@pytest.fixture
def search(city: City, platform: Machine, cast: Json) -> Callable[[], Json]:
    """A look-up; its receipt."""
    holder = person(cast["applicant"]["code"])

    def ask() -> Json:
        body = {"case": case_of(city), "holder": holder, "type_codes": [ID_CARD]}
        return dict(platform.post("/approval/v1/licences:search", body)["receipt"])

    return ask


def cosigned(caller: Machine | Person, path: str) -> httpx2.Response:
    """The answer, once it is cosigned; until then the refusal says when to ask again."""
    deadline = time.monotonic() + SECONDS
    while (answer := caller.ask("GET", f"{path}?cosigned=true")).status_code == 503:
        refused(answer, 503, "NOT_COSIGNED")
        assert answer.headers["Retry-After"] == "1"
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return answer


def published(farmer: Person) -> Policy:
    return Policy.parse(farmer.ask("GET", "/ledger/v1/policy", {"Authorization": ""}).text)


def test_the_policy_names_the_log_and_its_witness(city: City, farmer: Person) -> None:
    policy = published(farmer)

    assert policy.logs == (VerifierKey.parse((city.settings.keys / "ledger.vkey").read_text()),)
    (witness,) = policy.witnesses
    assert witness.key == WitnessKey.parse((city.settings.keys / "witness.vkey").read_text())
    assert policy.quorum == witness.name == "city"
    assert "localhost" not in farmer.ask("GET", "/ledger/v1/policy").text


def test_a_receipt_is_cosigned_within_seconds_and_verifies_by_the_policy(
    platform: Machine, farmer: Person, search: Callable[[], Json]
) -> None:
    first = search()
    policy = published(farmer)

    again = cosigned(platform, f"/ledger/v1/receipts/{first['id']}").json()

    assert again["tree_size"] >= first["tree_size"]
    assert again["entry"] == first["entry"]
    believed = verify_by_policy(again, policy)
    assert [one.key for one in believed.cosigned] == [policy.witnesses[0].key]
    assert abs(believed.cosigned[0].seconds - time.time()) < 120
    assert platform.get(f"/ledger/v1/receipts/{first['id']}") == first


def test_the_newest_cosigned_checkpoint_is_for_everybody(
    farmer: Person, search: Callable[[], Json], city: City
) -> None:
    search()
    policy = published(farmer)

    answer = cosigned(farmer, "/ledger/v1/checkpoint")

    assert open_checkpoint(answer.text, policy.logs[0]).size > 0
    assert len(cosignatures(answer.text, [policy.witnesses[0].key])) == 1


def test_a_dead_witness_costs_its_cosignature_alone(
    city: City, platform: Machine, search: Callable[[], Json]
) -> None:
    def ready() -> httpx2.Response:
        return httpx2.get(f"{city.operations}/readyz")

    def until(state: str) -> None:
        deadline = time.monotonic() + 3 * SECONDS
        while ready().json()["witnesses"] != {"city": state}:
            assert time.monotonic() < deadline, ready().text
            time.sleep(0.2)

    search()
    until("cosigns")
    with city.held_down("witness"):
        receipts = [search() for _ in range(3)]
        until("silent")
        assert ready().status_code == 200
        metrics = httpx2.get(f"{city.operations}/metrics").text
        assert 'onestop_gateway_witness_cosigns{witness="city"} 0.0' in metrics
        refused(
            platform.ask("GET", f"/ledger/v1/receipts/{receipts[-1]['id']}?cosigned=true"),
            503,
            "NOT_COSIGNED",
        )
        assert platform.get(f"/ledger/v1/receipts/{receipts[-1]['id']}") == receipts[-1]

    search()
    until("cosigns")
    assert cosigned(platform, f"/ledger/v1/receipts/{receipts[-1]['id']}").status_code == 200


def test_no_log_was_continued(farmer: Person) -> None:
    assert farmer.get("/ledger/v1/continuations") == {"continuations": []}


def test_the_witness_lets_nobody_in_without_a_certificate_of_the_city(city: City) -> None:
    address = f"https://localhost:{city.settings.ports['witness']}/healthz"

    with pytest.raises(httpx2.TransportError):
        httpx2.get(address, verify=city.tls())
    assert httpx2.get(address, verify=city.tls("approval-platform")).json() == {"status": "ok"}
