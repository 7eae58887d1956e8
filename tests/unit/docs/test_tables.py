"""The documentation's tables are the code's, its links lead somewhere, and the two READMEs are one."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from core.config import PeerConfig, ServiceConfig
from core.errors import Kind, ServiceError
from deploy.idp.config import IdpConfig
from deploy.local.migrate import ROOT
from deploy.local.settings import PORTS
from gateway.config import GatewayConfig
from gateway.problems import HTTP_REASONS, STATE_CONFLICTS, STATUS_OF
from services.agricredit.__main__ import AgriCreditConfig
from services.autofill.__main__ import Config as AutofillConfig
from services.eseal.config import EsealConfig
from services.issuer.__main__ import IssuerConfig
from services.ledger.__main__ import LedgerConfig
from services.licence.__main__ import Config as LicenceConfig
from services.witness.__main__ import WitnessConfig
from tests.pages import DOCS, page, rows, section, words

READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")

CONFIGS: dict[str, tuple[type[BaseSettings], type[BaseSettings] | None]] = {
    "Every process": (PeerConfig, None),
    "Every service": (ServiceConfig, PeerConfig),
    "`ledger`": (LedgerConfig, ServiceConfig),
    "`witness`": (WitnessConfig, PeerConfig),
    "`issuer`": (IssuerConfig, ServiceConfig),
    "`licence`": (LicenceConfig, ServiceConfig),
    "`autofill`": (AutofillConfig, ServiceConfig),
    "`eseal`": (EsealConfig, ServiceConfig),
    "`agricredit`": (AgriCreditConfig, ServiceConfig),
    "`gateway`": (GatewayConfig, PeerConfig),
    "`idp`": (IdpConfig, ServiceConfig),
}
"""Headings of the settings' tables: the class that each describes, and the one with a table of its own."""

INNER = frozenset(
    {
        # Between parts: the gateway never relays them.
        "ITEM_ID_REUSED",
        "INTENT_UNKNOWN",
        "INTENT_CLOSED",
        "RESOURCE_NOT_FOUND",
        "RESOURCE_NOT_SHARED",
        "FIELD_NOT_ENTITLED",
        # Told to operators, in the words of their command.
        "SEAL_ACT_REFUSED",
        "SEAL_AUTHORITY_MISSING",
        "SEAL_PICTURE_INVALID",
        # Told as RFC 6749 has it.
        "INVALID_CLIENT",
        "UNAUTHORIZED_CLIENT",
        "INVALID_SCOPE",
        "FORM_INVALID",
    }
)
"""Reasons that no caller ever sees."""


@pytest.mark.parametrize("heading", CONFIGS)
def test_every_setting_is_in_its_table_with_its_default(heading: str) -> None:
    kind, base = CONFIGS[heading]
    inherited = base.model_fields if base else {}
    expected = {}
    for name, field in kind.model_fields.items():
        if name in inherited and inherited[name].default == field.default:
            continue
        default = "required" if field.is_required() else field.default
        expected[f"ONESTOP_{name.upper()}"] = str(default) if default not in (None, "", ()) else ""

    table = rows(section(page("operators"), heading))

    assert {words(row[0])[0]: row[1].strip("`") for row in table} == expected


def test_every_port_is_in_its_table() -> None:
    table = rows(section(page("operators"), "Ports"))

    assert {words(row[0])[0]: int(row[1]) for row in table} == dict(PORTS)


def test_every_make_target_is_in_its_table() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))

    described = {one for row in rows(section(page("operators"), "Start")) for one in words(row[0])}

    assert {one.removeprefix("make ") for one in described if one.startswith("make ")} == targets


def statuses() -> dict[str, set[int]]:
    """Every reason that the code has, with the HTTP statuses under which it leaves."""
    for package in ("core", "services", "gateway"):
        for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    found: dict[str, set[int]] = {
        "MESSAGE_TOO_LARGE": {STATUS_OF[Kind.TOO_LARGE]},
        **{reason: {status} for status, (reason, _) in HTTP_REASONS.items()},
    }
    waiting: list[type[ServiceError]] = [ServiceError]
    while waiting:
        kind = waiting.pop()
        # Other tests make errors of their own, which no caller ever meets.
        waiting += [one for one in kind.__subclasses__() if not one.__module__.startswith("tests.")]
        conflict = kind.kind is Kind.PRECONDITION and kind.reason in STATE_CONFLICTS
        found.setdefault(kind.reason, set()).add(409 if conflict else STATUS_OF[kind.kind])
    for path in (ROOT / "gateway").rglob("*.py"):
        for status, reason in re.findall(r'refused\(\s*(\d+),\s*"([A-Z_]+)"', path.read_text("utf-8")):
            found.setdefault(reason, set()).add(int(status))
    return {reason: statuses for reason, statuses in found.items() if reason not in INNER}


def test_every_reason_is_explained_with_its_status() -> None:
    expected = statuses()
    explained: dict[str, set[int]] = {}
    for name in ("approval-platform", "lending-partner", "remote-signing"):
        for row in rows(page(name)):
            reasons = words(row[0])
            if len(row) == 3 and reasons and all(re.fullmatch(r"[A-Z][A-Z_]+", one) for one in reasons):
                for reason in reasons:
                    explained[reason] = {int(status) for status in row[1].split(",")}

    assert explained == expected


@pytest.mark.parametrize("path", [*sorted(DOCS.rglob("*.md")), *READMES], ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        other = path.parent / file if file else path
        assert other.exists(), f"{path.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", other.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
            assert anchor in slugs, f"{path.name}: {target}"


def test_the_readmes_are_twins() -> None:
    english, chinese = (one.read_text(encoding="utf-8") for one in READMES)

    def shape(text: str) -> list[str]:
        return re.findall(r"^(#+) ", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.MULTILINE)

    def commands(text: str) -> list[str]:
        return [re.sub(r"#.*", "", code) for code in re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)]

    def links(text: str) -> set[str]:
        return set(re.findall(r"\]\((docs/[^)]+|[A-Z]+|[A-Z]+\.md)\)", text)) - {
            "README.md",
            "README.zh-CN.md",
        }

    def transcripts(text: str) -> list[str]:
        return re.findall(r"^```text\n(.*?)^```$", text, re.M | re.S)

    assert shape(english) == shape(chinese)
    assert transcripts(english) == transcripts(chinese)
    assert [code.split() for code in commands(english)] == [code.split() for code in commands(chinese)]
    assert links(english) == links(chinese)
