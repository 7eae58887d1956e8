"""The pages for people, in a real browser."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from onestop.ledger.v1 import ledger_pb2
from playwright.async_api import Browser, FilePayload, expect

from core.cosignature import WitnessKey, signed_message
from core.note import VerifierKey, signature_line, split_note
from core.receipt import answer_bytes
from tests.chromium import Window, connected, window
from tests.component.gateway.conftest import Gateway
from tests.loops import of_the_module
from tests.unit.ledger.receipts import KEY, a_receipt

ANSWER: dict[str, Any] = {
    "name": "张三",
    "area": 7.14,
    "parcels": [{"b": 1, "a": None, "é": "\u2028"}],
    "n": 3.0,
}
OTHER = VerifierKey(KEY.name, Ed25519PrivateKey.generate().public_key().public_bytes_raw())
SECONDS = 1_795_838_400
POLICY = f"log {KEY}\nquorum none"


def _witness(name: str, seed: bytes) -> tuple[WitnessKey, Ed25519PrivateKey]:
    private = Ed25519PrivateKey.from_private_bytes(seed * 32)
    return WitnessKey(name, private.public_key().public_bytes_raw()), private


NORTH, SOUTH = _witness("north.example", b"\x31"), _witness("south.example", b"\x32")
WITNESSED = f"""\
# The log that appends now: its newest key first.
log {OTHER}
log {KEY}
witness n {NORTH[0]}
witness s {SOUTH[0]} https://witness.example
group both all n s
quorum both
"""


@of_the_module(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with connected() as made:
        yield made


@of_the_module()
async def shown(gateway: Gateway, browser: Browser) -> AsyncIterator[Window]:
    """The page /verify of a city whose ledger has the tests' key, and no witnesses."""
    gateway.behind.answers["policy"] = ledger_pb2.GetPolicyResponse(policy=f"{POLICY}\n")
    async with window(browser) as made:
        await made.page.goto(f"{gateway.people_url}/verify")
        await expect(made.page.locator("#key")).to_have_value(POLICY)
        yield made
        assert made.faults == []


async def verdict(
    shown: Window, receipt: object, *, answer: bytes | None = None, key: str = ""
) -> tuple[str, str]:
    """What the page says of a receipt: its verdict, and its sentences."""
    page = shown.page
    text = receipt if isinstance(receipt, str) else json.dumps(receipt, ensure_ascii=False)
    await page.fill("#receipt", text)
    files = [FilePayload(name="answer", mimeType="application/octet-stream", buffer=answer)] if answer else []
    await page.set_input_files("#answer-file", files)
    if key:
        await page.fill("#key", key)
    await page.evaluate("document.getElementById('verdict').replaceChildren()")
    await page.click("#verify")
    await page.wait_for_selector("#verdict p")
    told = await page.locator("#verdict").get_attribute("data-verdict")
    return str(told), await page.locator("#verdict").inner_text()


async def test_a_good_receipt_is_proved_in_the_browser_and_nothing_is_sent(
    shown: Window, gateway: Gateway
) -> None:
    shown.sent.clear()

    told, sentences = await verdict(shown, a_receipt(b"file"))

    assert told == "proved"
    assert "signed with the given key" in sentences
    assert "none was checked" in sentences
    assert "approval-platform" in await shown.page.locator("#entry").inner_text()
    assert "5 / 11" in await shown.page.locator("#entry").inner_text()
    assert shown.sent == []


async def test_the_reader_chooses_the_language(shown: Window) -> None:
    await verdict(shown, a_receipt(b"file"))
    await shown.page.click("#language")

    chinese = await shown.page.locator("main").inner_text()
    await shown.page.reload()
    kept = await shown.page.locator("main").inner_text()

    assert "已证实" in chinese
    assert "Proved" not in chinese
    assert "核验全部在此浏览器内完成" in kept


async def test_the_answer_that_came_with_a_receipt_is_proved_with_it(shown: Window) -> None:
    whole = {**ANSWER, "receipt": a_receipt(answer_bytes(ANSWER))}
    told, sentences = await verdict(shown, whole)
    beside = await verdict(shown, whole["receipt"], answer=json.dumps(ANSWER, indent=2).encode())
    sealed = await verdict(shown, a_receipt(b"%PDF-1.7"), answer=b"%PDF-1.7")
    header = urlsafe_b64encode(json.dumps(a_receipt(b"%PDF-1.7")).encode()).rstrip(b"=").decode()
    by_header = await verdict(shown, header, answer=b"%PDF-1.7")

    assert "the very one that the entry was written for" in sentences
    assert [told, beside[0], sealed[0], by_header[0]] == ["proved"] * 4


async def test_a_changed_answer_is_not_proved(shown: Window) -> None:
    receipt = a_receipt(answer_bytes(ANSWER))

    whole = await verdict(shown, {**ANSWER, "name": "李四", "receipt": receipt})
    beside = await verdict(shown, receipt, answer=json.dumps({**ANSWER, "area": 7.15}).encode())
    sealed = await verdict(shown, a_receipt(b"%PDF-1.7"), answer=b"%PDF-1.8")
    unsalted = await verdict(shown, {**receipt, "answer_salt": ""}, answer=json.dumps(ANSWER).encode())
    nothing = await verdict(shown, a_receipt(None), answer=b"%PDF-1.7")

    assert [one[0] for one in (whole, beside, sealed, unsalted, nothing)] == ["answer"] * 5
    assert "not the one that the entry was written for" in whole[1]


def altered(path: str, value: object) -> dict[str, Any]:
    """A good receipt with one member changed."""
    receipt = a_receipt(b"file")
    place, name = (receipt["entry"], path[6:]) if path.startswith("entry.") else (receipt, path)
    place[name] = value
    return receipt


async def test_a_changed_entry_is_not_proved(shown: Window) -> None:
    changed = [
        altered("entry.caller", "rural-bank"),
        altered("entry.time", "2026-03-01T10:00:00.000005Z"),
        altered("entry.field_names", []),
        altered("index", 4),
        altered("index", 11),
        altered("hashes", a_receipt(b"file")["hashes"][:-1]),
        altered("hashes", a_receipt(b"file")["hashes"] * 2),
        altered("hashes", ["AAAA"]),
    ]

    verdicts = [(await verdict(shown, one))[0] for one in changed]

    assert verdicts == ["inclusion"] * len(changed)
    assert await shown.page.locator("#entry").is_hidden()


async def test_another_key_proves_nothing(shown: Window) -> None:
    receipt = a_receipt(b"file")
    told, sentences = await verdict(shown, receipt, key=str(OTHER))

    renamed = VerifierKey("another.example/ledger", KEY.public)
    forged = dict(receipt, checkpoint=receipt["checkpoint"].replace("\n11\n", "\n12\n"))
    of_another = await verdict(shown, receipt, key=str(renamed))
    altered_note = await verdict(shown, forged, key=str(KEY))

    assert told == of_another[0] == altered_note[0] == "signature"
    assert "not signed with the given key" in sentences


async def test_signatures_of_others_change_nothing_and_are_named(shown: Window) -> None:
    receipt = a_receipt(b"file")
    for signature in (b"\x01" * 64, b"\x02" * 72):
        receipt["checkpoint"] += signature_line(VerifierKey("witness.example/w1", OTHER.public), signature)
    receipt["checkpoint"] += signature_line(OTHER, b"\x03" * 64)

    told, _ = await verdict(shown, receipt)

    assert told == "proved"
    assert "witness.example/w1, witness.example/w1, onestop.example/ledger" in (
        await shown.page.locator("#entry").inner_text()
    )


def cosigned(receipt: dict[str, Any], *witnesses: tuple[WitnessKey, Ed25519PrivateKey]) -> dict[str, Any]:
    """The receipt with these witnesses' cosignatures on its checkpoint."""
    text = split_note(receipt["checkpoint"])[0]
    lines = [key.line(SECONDS, private.sign(signed_message(SECONDS, text))) for key, private in witnesses]
    return {**receipt, "checkpoint": receipt["checkpoint"] + "".join(lines)}


async def test_a_receipt_of_a_former_key_is_proved_by_the_policy_of_the_site(
    shown: Window, gateway: Gateway
) -> None:
    rotated = f"log {OTHER}\nlog {KEY}\nquorum none"
    gateway.behind.answers["policy"] = ledger_pb2.GetPolicyResponse(policy=rotated)
    await shown.page.reload()
    await expect(shown.page.locator("#key")).to_have_value(rotated)

    told, sentences = await verdict(shown, a_receipt(b"file"))
    by_lines, _ = await verdict(shown, a_receipt(b"file"), key=f"{OTHER}\n{KEY}\n")
    by_newer_alone, _ = await verdict(shown, a_receipt(b"file"), key=str(OTHER))

    assert (told, by_lines, by_newer_alone) == ("proved", "proved", "signature")
    assert "itnesses" not in sentences


async def test_witnesses_of_the_policy_are_checked_and_told(shown: Window) -> None:
    receipt = a_receipt(b"file")
    place = shown.page.locator("#verdict")

    both, sentences = await verdict(shown, cosigned(receipt, NORTH, SOUTH), key=WITNESSED)
    reached = await place.get_attribute("data-witnessed")
    signed = await shown.page.locator("#entry").inner_text()
    one, doubt = await verdict(shown, cosigned(receipt, NORTH), key=WITNESSED)
    lacking = await place.get_attribute("data-witnessed")

    assert (both, reached, one, lacking) == ("proved", "reached", "proved", "lacking")
    assert "n (north.example) 2026-11-28T04:00:00Z" in sentences
    assert "s (south.example)" in signed
    assert KEY.key_id.hex() in signed
    assert "Not enough witnesses" in doubt


async def test_a_forged_cosignature_is_not_proved(shown: Window) -> None:
    receipt = a_receipt(b"file")
    early = NORTH[0].line(0, NORTH[1].sign(signed_message(0, split_note(receipt["checkpoint"])[0])))
    untimed = signature_line(VerifierKey("x", b"k" * 32), b"")
    forged = [
        cosigned(receipt, (NORTH[0], SOUTH[1])),
        {**receipt, "checkpoint": receipt["checkpoint"] + early},
    ]

    verdicts = [(await verdict(shown, one, key=WITNESSED))[0] for one in forged]
    short = await verdict(shown, {**receipt, "checkpoint": receipt["checkpoint"] + untimed}, key=WITNESSED)

    assert verdicts == ["witness", "witness"]
    assert short[0] == "form"


async def test_what_is_no_policy_is_said_to_be_none(shown: Window) -> None:
    wrong = {
        f"log {KEY}": "no line quorum",
        f"log {KEY}\nlog {KEY}\nquorum none": "line 2 of the policy: this log's key is there already",
        f"log {KEY}\nquorum n": "line 2 of the policy: nothing before it is named n",
        f"witness n {KEY}\nquorum n": "line 1 of the policy",
        f"witness n {NORTH[0]}\nwitness n {SOUTH[0]}\nquorum n": "the name n is taken",
        f"witness n {NORTH[0]}\nwitness m {NORTH[0]}\nquorum n": "this witness's key is there already",
        f"witness n {NORTH[0]}\ngroup g 2 n\nquorum g": "a group needs",
        f"witness n {NORTH[0]}\ngroup g constructor n\nquorum g": "a group needs",
        f"witness n {NORTH[0]}\ngroup g any n\ngroup h any n\nquorum h": "a member counts once",
        f"log {KEY}\nquorum none\nquorum none": "there is a quorum already",
        f"log {KEY}\nquorum none x": "none of log, witness, group and quorum",
    }

    for policy, why in wrong.items():
        told, sentences = await verdict(shown, a_receipt(b"file"), key=policy)
        assert (told, why in sentences) == ("key", True), (policy, sentences)

    unknown = f"log {VerifierKey('another.example/ledger', OTHER.public)}\nquorum none"
    assert (await verdict(shown, a_receipt(b"file"), key=unknown))[0] == "signature"


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("", "form"),
        ("not a receipt", "form"),
        ("[1]", "form"),
        ('{"receipt": "text"}', "form"),
        ('{"receipt": null}', "form"),
        ("{}", "form"),
        ("{" * 100_000, "form"),
        (json.dumps(altered("tree_size", 12)), "inclusion"),
        (json.dumps(altered("tree_size", "11")), "form"),
        (json.dumps(altered("index", -1)), "form"),
        (json.dumps(altered("index", 2**53)), "form"),
        (json.dumps(altered("id", "another")), "form"),
        (json.dumps(altered("checkpoint", "a\nb\n")), "form"),
        (json.dumps(altered("hashes", "AAAA")), "form"),
        (json.dumps(altered("hashes", ["A==="])), "form"),
        (json.dumps(altered("hashes", ["AB=="])), "form"),
        (json.dumps(altered("entry.x", "\ud800")), "form"),
        (json.dumps(a_receipt(b"file")).replace('"index"', '"index": 5, "index"'), "form"),
        (json.dumps(a_receipt(b"file")).replace('"caller"', '"caller": "a", "calle\\u0072"'), "form"),
    ],
)
async def test_what_is_no_receipt_is_said_to_be_none(shown: Window, text: str, stage: str) -> None:
    assert (await verdict(shown, text))[0] == stage


@pytest.mark.parametrize("key", ["garbage", "a+b+c", f"{KEY}x", str(KEY).replace("ledger+", "ledges+")])
async def test_what_is_no_key_is_said_to_be_none(shown: Window, key: str) -> None:
    assert (await verdict(shown, a_receipt(b"file"), key=key))[0] == "key"


async def test_a_browser_without_the_algorithm_says_so(shown: Window) -> None:
    await shown.page.evaluate(
        "void (crypto.subtle.importKey = () => Promise.reject(new DOMException('', 'NotSupportedError')))"
    )

    told, sentences = await verdict(shown, a_receipt(b"file"))

    assert told == "browser"
    assert "onestop verify" in sentences


async def test_pages_are_served_under_a_strict_policy_to_people_alone(gateway: Gateway) -> None:
    nobody, machine = await gateway.person(), await gateway.machine()

    for path in ("/verify", "/citizen/disclosures"):
        answer = await nobody.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert answer.status_code == 200
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "<script>" not in answer.text
        assert "style=" not in answer.text
        assert "http" not in answer.text.replace("http-equiv", "")
        assert (await machine.get(path)).status_code == 404
    scripts = ("verify", "disclosures", "receipt", "canonical", "words", "checking", "note", "trust")
    for name in (*(f"{script}.js" for script in scripts), "page.css", "logo.png"):
        assert (await nobody.get(f"/pages/assets/{name}")).status_code == 200
    assert (await nobody.get("/pages/assets/verify.html")).status_code == 404
    assert (await nobody.get("/pages/assets/..%2Fpages.py")).status_code == 404
