"""`autofill.fill`: a form of 20 fields from 5 sources.

The matter is the arable land subsidy (耕地地力保护补贴申报): name and numbers from the ID cards of the farmer
and of her agent, the rest from the population register, the land register, last year's payment and the social
security card. Five sources, of which the ID cards are asked about two people: six look-ups.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import psycopg

from core.identity import Subject
from tests.bench import turns
from tests.bench.callers import job_of, processes_of, write_bodies
from tests.bench.credit import farmers
from tests.bench.figures import Figure
from tests.bench.ground import Bench, vault_of
from tests.bench.turns import Side
from tests.city import City
from tests.story import ID_CARD, cast_of

MATTER = "arable-land-subsidy"
PATH = f"/approval/v1/matters/{MATTER}:autofill"
BANK_CARD = "11440299MB2L00003D907"
FIELDS = (
    "name",
    "id_number",
    "phone",
    "contractor_name",
    "contractor_code",
    "contract_code",
    "certificate_code",
    "issuer_name",
    "term_from",
    "term_until",
    "contract_area",
    "transferred_out_area",
    "taken_in_area",
    "last_year",
    "last_area",
    "last_amount",
    "bank_name",
    "bank_account",
    "agent_name",
    "agent_id_number",
)
APPLICANTS = 10_000


def measure(bench: Bench) -> Iterable[Figure]:
    """The form beside the peer's."""
    return turns.alone(bench, side(bench, bench.city, "autofill.fill"), (1, 32, 128))


def side(bench: Bench, city: City, name: str) -> Side:
    """Our side of it, in this city."""
    office = cast_of(city)["office"]["code"]
    people = applicants(city)
    bodies = write_bodies(
        bench,
        name,
        (
            {
                "case": {
                    "case_number": f"BENCH-{number:08d}",
                    "office": office,
                    "operator": "clerk-017",
                    "purpose": "耕地地力保护补贴申报",
                },
                "subjects": {
                    "applicant": {"code_type": applicant.code_type, "code": applicant.code},
                    "agent": {"code_type": agent.code_type, "code": agent.code},
                },
                "field_names": list(FIELDS),
            }
            for number, (applicant, agent) in enumerate(zip(people, people[1:] + people[:1], strict=True))
        ),
    )
    return Side(name, partial(job_of, city, "approval-platform", PATH, bodies), partial(processes_of, city))


def applicants(city: City) -> list[Subject]:
    """Farmers who hold an ID card and a social security card besides."""
    return _holding(city, farmers(city, APPLICANTS), (ID_CARD, BANK_CARD))


def _holding(city: City, people: Sequence[Subject], type_codes: Sequence[str]) -> list[Subject]:
    """Those of them who hold current licences of all these types."""
    vault = vault_of(city, "licence")
    by_index = {vault.blind_index(person): person for person in people}
    with psycopg.connect(city.admin_dsn) as connection:
        rows = connection.execute(
            """
            SELECT blind_index
              FROM licence.holder_index AS h
             WHERE blind_index = ANY (%(indexes)s)
               AND (SELECT count(DISTINCT type_code)
                      FROM licence.licence AS l
                     WHERE l.subject_id = h.subject_id
                       AND l.superseded_on IS NULL
                       AND l.type_code = ANY (%(codes)s)) = %(types)s
            """,
            {"indexes": list(by_index), "codes": list(type_codes), "types": len(type_codes)},
        ).fetchall()
    holding = {bytes(index) for (index,) in rows}
    return [person for index, person in by_index.items() if index in holding]
