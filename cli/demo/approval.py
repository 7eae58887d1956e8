"""The approval platform handles the matter 个体工商户设立登记 (registration of a sole trader)."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from cli.demo.client import Caller, Json, receipt_in
from cli.demo.story import Story
from cli.letter import make_letter
from cli.letter_ofd import make_letter_ofd
from core.clock import now

MATTER = "sole-trader-registration"
TRADE_NAME = "武江区晨光便利店"
PDF, OFD = "application/pdf", "application/ofd"
SHOWN_FIELDS = ("name", "sex", "ethnicity", "birth_date", "registered_address", "current_address")


def handle_case(story: Story, platform: Caller, cast: Json, folder: Path) -> None:
    """Looks up, fills, checks, seals, verifies."""
    office, applicant = cast["office"], cast["applicant"]
    case = {
        "matter_code": MATTER,
        "case_number": f"DEMO-{uuid.uuid4().hex[:12].upper()}",
        "office": office["code"],
        "operator": "clerk-017",
        "purpose": "个体工商户设立登记",
    }
    subject = {"code_type": "111", "code": applicant["code"]}
    _look_up(story, platform, case, subject)
    answer = _fill(story, platform, case, subject)
    _check(story, platform, case, subject, answer)
    _seal(story, platform, case, cast, folder)


def _look_up(story: Story, platform: Caller, case: Json, subject: Json) -> None:
    matter = platform.get(f"/approval/v1/matters/{MATTER}")
    codes = list(dict.fromkeys(m["licence_type_code"] for m in matter["materials"] if m["licence_type_code"]))
    with story.step("looked up the applicant's licences instead of asking for copies"):
        found = platform.post(
            "/approval/v1/licences:search", {"case": case, "holder": subject, "type_codes": codes}
        )
    for licence in found["licences"]:
        until = licence.get("valid_until", "长期")
        story.say(f"{licence['type_name']} · {licence['issuer_name']} · {licence['state']} until {until}")
    story.keep_answer("licences", found)
    for licence in [one for one in found["licences"] if one["state"] == "in_force"]:
        with story.step(f"read the {licence['type_name']} under the use code"):
            read = platform.get(
                f"/approval/v1/licences/{licence['id']}", headers={"Use-Code": found["use_code"]}
            )
        story.say("fields this matter is entitled to: " + ", ".join(sorted(read["fields"])))
        story.keep_answer(f"licence-{licence['type_code'][-4:]}", read)


def _fill(story: Story, platform: Caller, case: Json, subject: Json) -> Json:
    body = {"case": case, "subjects": {"applicant": subject}}
    with story.step("filled the form from the licences and the data node"):
        answer = platform.post(f"/approval/v1/matters/{MATTER}:autofill", body)
    for field in answer["fields"]:
        if field["name"] in SHOWN_FIELDS and "value" in field:
            source = field["provenance"]
            story.say(
                f"{field['name']} = {field['value']}   [{field['status']}; {source['resource']}, version"
                f" {source['record_version']}, as of {source['as_of'][:10]}]"
            )
    by_status: dict[str, int] = {}
    for field in answer["fields"]:
        by_status[field["status"]] = by_status.get(field["status"], 0) + 1
    story.say(", ".join(f"{count} {status}" for status, count in sorted(by_status.items())))
    story.keep_answer("autofill", answer)
    return answer


def _check(story: Story, platform: Caller, case: Json, subject: Json, filled: Json) -> None:
    known: dict[str, Any] = {field["name"]: field.get("value") for field in filled["fields"]}
    typed = {"name": known["name"], "birth_date": "1901-01-01"}
    body = {"case": case, "subjects": {"applicant": subject}, "values": typed}
    with story.step("checked two typed fields, one right and one wrong, without reading the register"):
        verdicts = platform.post(f"/approval/v1/matters/{MATTER}:verify", body)
    for field in verdicts["fields"]:
        story.say(f"{field['name']}: {field['verdict']}")
    story.keep_answer("verify", verdicts)


def _seal(story: Story, platform: Caller, case: Json, cast: Json, folder: Path) -> None:
    """The decision letter as PDF, and where the office has a seal for it as OFD."""
    office, applicant = cast["office"], cast["applicant"]
    seals = platform.get("/approval/v1/seals", office=office["code"])["seals"]
    for form, make in ((PDF, make_letter), (OFD, make_letter_ofd)):
        usable = [one for one in seals if (one["state"], one["document_type"]) == ("in_force", form)]
        if not usable:
            continue
        seal = next((one for one in usable if "审批" in one["name"]), usable[0])
        letter = folder / ("letter.pdf" if form == PDF else "letter.ofd")
        day = now().astimezone().date()
        make(letter, office["name"], applicant["name"], TRADE_NAME, case["case_number"], day)
        _put(story, platform, case, seal, letter)


def _put(story: Story, platform: Caller, case: Json, seal: Json, letter: Path) -> None:
    """Seals a letter, keeps it, and has it verified."""
    pdf = letter.suffix == ".pdf"
    with story.step(f"sealed the decision letter{'' if pdf else ', as OFD,'} with {seal['name']}"):
        sealed = platform.upload(f"/approval/v1/seals/{seal['id']}:sign", letter.read_bytes(), {"case": case})
    letter.unlink()
    path = story.keep_file(
        f"letter-sealed{letter.suffix}", sealed.content, receipt_in(sealed.headers["Receipt"])
    )
    with story.step("verified the sealed letter"):
        report = platform.upload("/approval/v1/documents:verify", sealed.content, {"case": case}).json()
    story.say(report["summary_zh"])
    story.say(report["summary_en"])
    story.keep_answer("letter-verified" if pdf else "letter-ofd-verified", report)
    story.say(f"the sealed letter lies in {path}")
