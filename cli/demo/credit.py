"""The bank asks a farmer for consent, fetches under it, and is refused once it is revoked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from joserfc import jwe, jws
from joserfc.jwk import ECKey, KeySet

from cli.demo.citizen import Citizen
from cli.demo.client import Caller, Json, RefusedError
from cli.demo.story import Story

PURPOSE = "loan_application"


def lend(story: Story, bank: Caller, farmer: Citizen, people: Json, pki: Path) -> None:
    """Asks, is granted, fetches, decrypts and checks; then the farmer revokes."""
    city = KeySet.import_key_set(cast(Any, bank.get("/.well-known/onestop-answer-keys.json")))
    own = ECKey.import_key(json.loads((pki / "rural-bank-encryption.jwk").read_text(encoding="utf-8")))
    asked = _ask(story, bank, people["farmer"])
    consent_id = _grant(story, farmer, people, asked["id"])
    with story.step("the bank sees that its request was granted"):
        state = bank.get(f"/partner/v1/consent_requests/{asked['id']}")["consent_request"]["state"]
    story.say(f"state: {state}")
    wanted = {"consent_id": consent_id, "purpose_code": PURPOSE}
    land = _fetch(story, bank, "land_rights", wanted, (own, city))
    for right in land["land_rights"]:
        story.say(
            f"certificate {right['certificate_code']}: {right['total_area_mu']} mu in"
            f" {len(right['parcels'])} parcels, {right['state']}, until {right['term_until']}"
        )
    subsidies = _fetch(story, bank, "subsidies", wanted, (own, city))
    for paid in subsidies["subsidies"]:
        yuan = paid["amount_cents"] / 100
        story.say(f"{paid['year']}: {paid['area_mu']} mu, {yuan:.2f} yuan, {paid['state']}")
    with story.step("the farmer revoked the consent"):
        revoked = farmer.post(f"/citizen/v1/consents/{consent_id}:revoke", {})
    story.keep_answer("consent-revoked", revoked)
    with story.step("the bank's next fetch was refused"):
        try:
            bank.post("/partner/v1/farmers:land_rights", wanted)
        except RefusedError as refusal:
            problem = refusal.problem
        else:
            raise RuntimeError("a fetch after the revocation was answered")
    story.say(f"{problem['status']} {problem['reason']}: {problem['detail']}")


def _ask(story: Story, bank: Caller, farmer: Json) -> Json:
    with story.step("the bank asked the farmer for a consent"):
        asked = bank.post(
            "/partner/v1/consent_requests",
            {
                "farmer": {"code_type": "111", "code": farmer["code"]},
                "purpose_code": PURPOSE,
                "items": ["land_rights", "subsidies"],
                "validity_days": 30,
                "max_uses": 10,
            },
        )
    story.keep_answer("consent-request", asked)
    return dict(asked["consent_request"])


def _grant(story: Story, farmer: Citizen, people: Json, request_id: str) -> str:
    with story.step("the farmer signed in at the identity provider"):
        farmer.sign_in(people["farmer"]["login"], people["password"])
    with story.step("the farmer read what is asked of her"):
        listed = farmer.get("/citizen/v1/consent_requests")
    asked = next(one for one in listed["consent_requests"] if one["id"] == request_id)
    shown = [line for line in asked["text"].splitlines() if line.strip()]
    for line in shown[:3]:
        story.say(line)
    story.say(f"… and {len(shown) - 3} lines more: what for, which data, how often, how to withdraw")
    with story.step("the farmer granted it"):
        granted = farmer.post(
            "/citizen/v1/consents",
            {
                "consent_request_id": request_id,
                "text_sha256": asked["text_sha256"],
                "items": asked["items"],
            },
        )
    story.keep_answer("consent-granted", granted)
    return str(granted["consent"]["id"])


def _fetch(story: Story, bank: Caller, what: str, wanted: Json, keys: tuple[ECKey, KeySet]) -> dict[str, Any]:
    own, city = keys
    with story.step(f"the bank fetched {what}, decrypted the answer and checked the city's signature"):
        sealed = bank.post(f"/partner/v1/farmers:{what}", wanted)
        opened = jwe.decrypt_compact(sealed["jwe"], own, algorithms=["ECDH-ES+A256KW", "A256GCM"])
        signed = jws.deserialize_compact(opened.plaintext or b"", city, algorithms=["ES256"])
        answer = dict(json.loads(signed.payload))
    story.keep_answer(what, answer)
    return answer
