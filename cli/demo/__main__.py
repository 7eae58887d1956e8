"""Runs the demo against the running city: `make demo`."""

from __future__ import annotations

import json
import os
import sys
import time

import httpx2

from cli.demo.approval import handle_case
from cli.demo.citizen import Citizen
from cli.demo.client import Caller, RefusedError
from cli.demo.credit import lend
from cli.demo.story import Story
from deploy.local.settings import read_settings


def main() -> int:
    """0 when every step went as told; 1 with the reason otherwise."""
    settings = read_settings(os.environ)
    folder, pki = settings.home / "demo", settings.home / "pki"
    cast_file = folder / "cast.json"
    if not cast_file.exists():
        print("the city has not been started yet: run `make run` in another terminal first", file=sys.stderr)
        return 1
    cast = json.loads(cast_file.read_text(encoding="utf-8"))
    machines = f"https://localhost:{settings.ports['machines']}"
    people = f"https://localhost:{settings.ports['people']}"
    provider = f"https://localhost:{settings.ports['idp']}"
    story = Story(folder, settings.keys / "ledger.vkey")
    started = time.perf_counter()
    try:
        with Caller(machines, pki, "approval-platform") as platform:
            story.chapter("1. The approval platform: 个体工商户设立登记")
            handle_case(story, platform, cast, folder)
        with (
            Caller(machines, pki, "rural-bank") as bank,
            Citizen(people, provider, pki / "ca.crt") as farmer,
        ):
            story.chapter("2. The rural bank: land rights and subsidies, under consent")
            lend(story, bank, farmer, cast, pki)
    except httpx2.ConnectError:
        print(f"nothing answers at {machines}: is `make run` still running?", file=sys.stderr)
        return 1
    except RefusedError as refusal:
        print(f"the city refused: {refusal}", file=sys.stderr)
        return 1
    story.chapter(
        f"All of it took {time.perf_counter() - started:.1f} s; answers and receipts lie in {folder}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
