"""`agricredit.fetch`: a farmer's land rights, under her consent, signed and encrypted."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import cycle, islice
from uuid import UUID, uuid4

import psycopg

from core.identity import CITIZEN_NUMBER, Subject
from core.vault import Vault
from services.agricredit.domain import OPEN_FOR, Item
from services.agricredit.store import NUMBER
from services.agricredit.wording import text_digest
from services.datanode.store import sealed_column
from tests.bench import turns
from tests.bench.callers import job_of, processes_of, write_bodies
from tests.bench.figures import Figure
from tests.bench.ground import SEED, Bench, vault_of
from tests.bench.turns import Side
from tests.city import City
from tests.story import PURPOSE

PARTNER = "rural-bank"
PATH = "/partner/v1/farmers:land_rights"
CONSENTS = 10_000
MOST_USES = 1_000_000
"""Each request uses another consent; so often may one come round again."""
NO_CEILING = 2_000_000_000
"""Answers a day. The partner's own ceiling is for a bank, not for a bench."""
TEXT = "个人信息单独授权书"

_ASK = """
INSERT INTO agricredit.consent_request (subject_id, request_id, partner_id, partner_name, partner_contact,
       purpose_code, purpose_text, items, max_uses, requested_at, answer_by, valid_until, text, text_sha256)
SELECT asked.subject_id, asked.request_id, partner_id, name, contact, %(purpose)s, %(purpose)s, %(items)s,
       %(uses)s, now(), now() + %(open_for)s, now() + %(open_for)s, %(text)s, %(digest)s
  FROM unnest(%(subjects)s::uuid[], %(requests)s::uuid[]) AS asked (subject_id, request_id)
 CROSS JOIN agricredit.partner
 WHERE partner_id = %(partner)s
"""
_GRANT = """
INSERT INTO agricredit.consent (subject_id, consent_id, request_id, partner_id, partner_name, purpose_code,
       items, max_uses, granted_at, valid_until, text_sha256)
SELECT subject_id, gen_random_uuid(), request_id, partner_id, partner_name, purpose_code, items, max_uses,
       requested_at, valid_until, text_sha256
  FROM agricredit.consent_request
 WHERE request_id = ANY (%(requests)s)
RETURNING consent_id
"""


def measure(bench: Bench) -> Iterable[Figure]:
    """The fetch beside the peer's."""
    return turns.alone(bench, side(bench, bench.city, "agricredit.fetch"), (1, 32, 128))


def side(bench: Bench, city: City, name: str) -> Side:
    """Our side of it, in this city."""
    consents = granted(city, farmers(city, CONSENTS), CONSENTS)
    bodies = write_bodies(
        bench, name, ({"consent_id": str(consent), "purpose_code": PURPOSE} for consent in consents)
    )
    return Side(name, partial(job_of, city, PARTNER, PATH, bodies), partial(processes_of, city))


def farmers(city: City, count: int) -> list[Subject]:
    """Some who hold a land right in force and have had a subsidy, the same ones in every run."""
    with psycopg.connect(city.admin_dsn) as connection:
        rows = connection.execute(
            """
            SELECT person.subject_id, person.record_no, person.citizen_number
              FROM datanode.land_contract AS contract TABLESAMPLE SYSTEM (%(share)s) REPEATABLE (7)
              JOIN datanode.population_person AS person USING (subject_id)
             WHERE contract.state = 'in_force'
               AND person.life_state = 'alive'
               AND EXISTS (SELECT FROM datanode.subsidy_arable AS paid
                            WHERE paid.subject_id = contract.subject_id)
             ORDER BY person.subject_id
             LIMIT %(count)s
            """,
            {"share": _share(connection, count), "count": count},
        ).fetchall()
    vault = vault_of(city, "datanode")
    found = [
        Subject(CITIZEN_NUMBER, _opened(vault, sealed, subject_id, record_no))
        for subject_id, record_no, sealed in rows
    ]
    random.Random(SEED).shuffle(found)
    if not found:
        raise SystemExit("the bench's city has no farmer; remove .onestop/bench and start again")
    return found


def granted(city: City, farmers: Sequence[Subject], count: int) -> list[UUID]:
    """So many new consents to the partner, of these farmers in turn, as the service would have stored them.

    Raises the partner's daily ceiling too.
    """
    vault = vault_of(city, "agricredit")
    with psycopg.connect(city.admin_dsn) as connection:
        connection.execute(
            "UPDATE agricredit.partner SET daily_fetches = %s WHERE partner_id = %s", (NO_CEILING, PARTNER)
        )
        subjects = _enrolled(connection, vault, farmers)
        requests = [uuid4() for _ in range(count)]
        connection.execute(
            _ASK,
            {
                "subjects": list(islice(cycle(subjects), count)),
                "requests": requests,
                "partner": PARTNER,
                "purpose": PURPOSE,
                "items": [item.value for item in Item],
                "uses": MOST_USES,
                "open_for": OPEN_FOR,
                "text": TEXT,
                "digest": text_digest(TEXT),
            },
        )
        consents = connection.execute(_GRANT, {"requests": requests}).fetchall()
        connection.execute("ANALYZE agricredit.consent, agricredit.farmer, agricredit.farmer_index")
    return [consent_id for (consent_id,) in consents]


def _enrolled(
    connection: psycopg.Connection[tuple[object, ...]], vault: Vault, farmers: Sequence[Subject]
) -> list[UUID]:
    """Their subject ids; those whom nobody has asked before get one."""
    indexes = [vault.blind_index(farmer) for farmer in farmers]
    found: dict[bytes, UUID] = dict(
        connection.execute(  # type: ignore[arg-type]  # rows of bytea and uuid
            "SELECT blind_index, subject_id FROM agricredit.farmer_index WHERE blind_index = ANY (%s)",
            (indexes,),
        ).fetchall()
    )
    new = {index: (uuid4(), farmer) for index, farmer in zip(indexes, farmers, strict=True)}
    for index in found:
        del new[index]
    with connection.cursor().copy(
        "COPY agricredit.farmer_index (blind_index, index_version, subject_id) FROM STDIN"
    ) as copy:
        for index, (subject_id, _) in new.items():
            copy.write_row((index, vault.index_version, subject_id))
    with connection.cursor().copy("COPY agricredit.farmer (subject_id, number) FROM STDIN") as copy:
        for subject_id, farmer in new.values():
            copy.write_row((subject_id, vault.seal(farmer.code.encode(), row=subject_id, column=NUMBER)))
    return [found[index] if index in found else new[index][0] for index in indexes]


def _opened(vault: Vault, sealed: bytes, subject_id: UUID, record_no: int) -> str:
    column = sealed_column("population.person", "citizen_number", record_no)
    return vault.unseal(sealed, row=subject_id, column=column).decode()


def _share(connection: psycopg.Connection[tuple[object, ...]], count: int) -> float:
    """Per cent of the table's pages in which there are enough rows to choose from."""
    row = connection.execute(
        "SELECT reltuples FROM pg_class WHERE oid = 'datanode.land_contract'::regclass"
    ).fetchone()
    assert row is not None
    return min(100.0, 100.0 * count * 4 / max(float(str(row[0])), 1.0))
