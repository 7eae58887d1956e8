"""Whether the peer answers what the city does: where it does not, their speeds cannot be compared."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx2

from cli.demo.client import Caller, answered
from tests.bench.peers.catalogue import FORM
from tests.bench.peers.questions import BANK
from tests.bench.peers.run import FETCH, FILL, SEARCH, Peer
from tests.city import City
from tests.story import opened

ASKED = 20
"""How many of the bodies are tried, from the first on."""

Json = dict[str, Any]


def require_same_licences(city: City, peer: Peer, bodies: Path) -> None:
    """The same licences are found and missed. Raises SystemExit as the others do, saying what differs."""
    own = {"receipt", "use_code", "use_code_expires_at"}

    def told(answer: Json) -> Json:
        return {name: value for name, value in answer.items() if name not in own}

    with (
        Caller(city.machines, city.settings.pki, "approval-platform") as platform,
        _client(city, peer) as http,
    ):
        for body in _some(bodies):
            ours = told(platform.post("/approval/v1/licences:search", body))
            _require_same(ours, told(_ask(http, SEARCH, body)))


def require_same_form(city: City, peer: Peer, bodies: Path) -> None:
    """The same fields are filled from the same records; the peer tells values as they lie in the tables."""

    def told(answer: Json) -> Json:
        return {
            "fields": [(one["name"], "value" in one, one.get("provenance")) for one in answer["fields"]],
            "sources": {one["resource"]: one["outcome"] for one in answer["sources"]},
        }

    with (
        Caller(city.machines, city.settings.pki, "approval-platform") as platform,
        _client(city, peer) as http,
    ):
        for body in _some(bodies):
            ours = told(platform.post(f"/approval/v1/matters/{FORM}:autofill", body))
            _require_same(ours, told(_ask(http, FILL, body)))


def require_same_land(city: City, peer: Peer, bodies: Path) -> None:
    """The bank opens the same land rights. Each try takes two uses of a consent."""
    own = {"receipt", "uses_left"}
    with Caller(city.machines, city.settings.pki, BANK) as bank, _client(city, peer) as http:

        def told(sealed: Json) -> Json:
            return {name: value for name, value in opened(city, bank, sealed).items() if name not in own}

        for body in _some(bodies):
            ours = told(bank.post("/partner/v1/farmers:land_rights", body))
            _require_same(ours, told(_ask(http, FETCH, body)))


def _client(city: City, peer: Peer) -> httpx2.Client:
    trust = ssl.create_default_context(cafile=str(city.settings.pki / "ca.crt"))
    return httpx2.Client(base_url=peer.url, verify=trust)


def _ask(http: httpx2.Client, path: str, body: Json) -> Json:
    return dict(answered(http.post(path, json=body)).json())


def _some(bodies: Path) -> Iterator[Json]:
    with bodies.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in islice(lines, ASKED))


def _require_same(ours: Json, theirs: Json) -> None:
    if ours != theirs:
        raise SystemExit(f"the peer answers otherwise than the city.\nThe city: {ours}\nThe peer: {theirs}")
