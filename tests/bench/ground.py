"""The city that is measured: the whole one, loaded once and kept, with everything switched on."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import psycopg
from rich.console import Console

from core.identity import Subject
from core.keyring import Keyring
from core.vault import Vault, unwrap
from deploy.local.migrate import ROOT
from tests.city import City

CITY_PEOPLE = 3_400_000
CITY_LICENCES = 2_100_000
LOAD_SECONDS = 3600.0
SEED = 20_261_128

LIMITS_AWAY = {
    # One caller asks for everything here; in the city it is the gateway's to keep one from starving others.
    "ONESTOP_APPROVAL_LIMIT": "1000000 per second",
    "ONESTOP_PARTNER_LIMIT": "1000000 per second",
    "ONESTOP_TOKEN_LIMIT": "1000000 per minute",
    "ONESTOP_MOST_UPLOADS": "128",
}


@dataclass(frozen=True)
class Bench:
    """What a suite measures on."""

    console: Console
    people: int
    folder: Path
    """Everything that the bench keeps."""
    seconds: float
    """How long one round of one step lasts."""
    rounds: int

    @cached_property
    def city(self) -> City:
        """The city of this scale. Its folder is kept, so it is loaded once."""
        return self.city_of(self.people, round(self.people * CITY_LICENCES / CITY_PEOPLE))

    def city_of(self, people: int, licences: int, program: str = "deploy.local") -> City:
        """A city of a size of its own, kept like the other; `program` starts it."""
        environment = {**LIMITS_AWAY, "TOWN_LICENCES": str(licences)}
        home = self.folder / f"city-{people}-{licences}"
        return City(people=people, home=home, environment=environment, program=program)

    def say(self, text: str) -> None:
        """A line for who watches."""
        self.console.print(f"[dim]{text}[/dim]")


@contextmanager
def running(bench: Bench, city: City) -> Iterator[City]:
    """The city while it runs; the first start loads it."""
    bench.say(f"starting the city in {city.home}; the first start loads it")
    try:
        city.start(wait=False)
        city.wait_ready(LOAD_SECONDS)
        yield city
    finally:
        if city.process is not None and city.process.poll() is None:
            city.stop()


def open_bench(console: Console) -> Bench:
    """As the environment asks: SCALE people, ROUNDS of SECONDS each."""
    people = int(os.environ.get("SCALE", CITY_PEOPLE))
    home = Path(os.environ.get("ONESTOP_HOME", ROOT / ".onestop")).absolute()
    seconds = float(os.environ.get("SECONDS_A_ROUND", "5"))
    rounds = int(os.environ.get("ROUNDS", "3"))
    return Bench(console, people, home / "bench", seconds, rounds)


def holders(city: City, type_codes: Sequence[str], count: int) -> list[Subject]:
    """Some holders of current licences of all these types, the same ones in every run."""
    with psycopg.connect(city.admin_dsn) as connection:
        rows = connection.execute(
            """
            SELECT subject_id, code_type, sealed_code
              FROM licence.holder AS h TABLESAMPLE SYSTEM (%(share)s) REPEATABLE (7)
             WHERE (SELECT count(DISTINCT type_code)
                      FROM licence.licence AS l
                     WHERE l.subject_id = h.subject_id
                       AND l.superseded_on IS NULL
                       AND l.type_code = ANY (%(codes)s)) = %(types)s
             LIMIT %(count)s
            """,
            {
                "share": _share(connection, count),
                "codes": list(type_codes),
                "types": len(type_codes),
                "count": count,
            },
        ).fetchall()
    vault = vault_of(city, "licence")
    found = [
        Subject(code_type, vault.unseal(sealed, row=subject_id, column="sealed_code").decode())
        for subject_id, code_type, sealed in rows
    ]
    random.Random(SEED).shuffle(found)
    if not found:
        raise SystemExit(
            "the bench's city holds nobody with such licences; remove .onestop/bench and start again"
        )
    return found


def vault_of(city: City, part: str) -> Vault:
    """A part's vault, to make a caller's questions with: outside the bench callers know their own numbers."""
    return vault_at(city.admin_dsn, city.settings.keys / f"{part}-keyring.json", part)


def vault_at(dsn: str, keys: Path, part: str) -> Vault:
    """A part's vault, by the owner's address of the database and the part's keyring file."""
    keyring = Keyring.load(keys)
    with psycopg.connect(dsn) as connection:
        query = f"SELECT version, wrapped, kek_version FROM {part}.data_key"  # a part's name
        rows = connection.execute(query.encode()).fetchall()
    return Vault(keyring, {version: unwrap(keyring, version, wrapped, kek) for version, wrapped, kek in rows})


def _share(connection: psycopg.Connection[tuple[object, ...]], count: int) -> float:
    """Per cent of the table's pages in which there are enough rows to choose from."""
    row = connection.execute(
        "SELECT reltuples FROM pg_class WHERE oid = 'licence.holder'::regclass"
    ).fetchone()
    assert row is not None
    return min(100.0, 100.0 * count * 20 / max(float(str(row[0])), 1.0))
