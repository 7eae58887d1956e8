"""What both sides are asked about forms and farmers: people of whom the registers hold everything."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID, uuid4

import psycopg

from core.identity import CITIZEN_NUMBER, Subject
from core.vault import Vault
from tests.bench.callers import write_bodies
from tests.bench.ground import SEED, Bench, vault_of
from tests.bench.peers.catalogue import FORM_FIELDS
from tests.city import City
from tests.story import ID_CARD, PURPOSE, cast_of

SOCIAL_SECURITY_CARD = "11440299MB2L00003D907"
FARMERS = 5_000
BANK = "rural-bank"
MANY = 2_000_000_000
"""Uses of one consent, and the partner's answers a day: the bench asks more often than a bank would."""

_MARK = hashlib.sha256(b"a consent of the bench").hexdigest()
"""Stands where a consent has the digest of its text, and so tells the bench's own from others."""

_FARMERS = """
SELECT subject_id, record_no, citizen_number
  FROM datanode.land_contract AS contract TABLESAMPLE SYSTEM (%(share)s) REPEATABLE (7)
  JOIN datanode.population_person AS person USING (subject_id, record_no)
 WHERE contract.state = 'in_force'
   AND person.phone IS NOT NULL
   AND EXISTS (SELECT FROM datanode.subsidy_arable AS paid WHERE paid.subject_id = contract.subject_id)
   AND EXISTS (SELECT FROM datanode.land_parcel AS parcel WHERE parcel.subject_id = contract.subject_id)
 LIMIT %(count)s
"""

_HOLDERS = """
SELECT blind_index
  FROM licence.holder_index
  JOIN licence.licence USING (subject_id)
 WHERE blind_index = ANY (%(indexes)s)
   AND type_code = ANY (%(types)s)
   AND superseded_on IS NULL
   AND revoked_on IS NULL
   AND suspended_from IS NULL
   AND (valid_until IS NULL OR valid_until > current_date)
   AND (type_code <> %(card)s OR facts @> '{"bank_active": true}')
 GROUP BY blind_index
HAVING count(DISTINCT type_code) = %(count)s
"""


def form_bodies(bench: Bench, city: City, name: str = "autofill.fill") -> Path:
    """Forms of farmers whose 20 fields are all held, each with another farmer as the agent."""
    office = cast_of(city)["office"]["code"]
    farmers = _with_cards(city, [number for _, number in _farmers(city)])
    _require(farmers)
    return write_bodies(
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
                    "applicant": {"code_type": CITIZEN_NUMBER, "code": farmer},
                    "agent": {"code_type": CITIZEN_NUMBER, "code": farmers[number - 1]},
                },
                "field_names": list(FORM_FIELDS),
            }
            for number, farmer in enumerate(farmers)
        ),
    )


def fetch_bodies(bench: Bench, city: City, name: str = "agricredit.fetch") -> Path:
    """Fetches of land rights under consents that the bench has made, one a farmer."""
    consents = make_consents(city)
    _require(consents)
    return write_bodies(bench, name, ({"consent_id": str(one), "purpose_code": PURPOSE} for one in consents))


def make_consents(city: City) -> list[UUID]:
    """Consents of farmers to the bank, made on the first call and kept with the city.

    They are written as the agricredit service would write them, with one liberty: a farmer gets the id that
    she has in the registers. The service neither knows nor cares; the peer needs no decryption to get from a
    consent to its farmer's land, as it would not in a system that has one id for a person.
    """
    with psycopg.connect(city.admin_dsn) as connection:
        connection.execute("UPDATE agricredit.partner SET daily_fetches = %s", (MANY,))
        query = "SELECT consent_id FROM agricredit.consent WHERE text_sha256 = %s ORDER BY consent_id"
        if kept := [row[0] for row in connection.execute(query, (_MARK,))]:
            return kept
        vault = vault_of(city, "agricredit")
        for subject_id, number in _farmers(city):
            _consent(connection, vault, subject_id, number)
        return [row[0] for row in connection.execute(query, (_MARK,))]


def _consent(
    connection: psycopg.Connection[tuple[object, ...]], vault: Vault, subject_id: UUID, number: str
) -> None:
    """One consent, unless the service knows the farmer already, by an id of its own."""
    index = vault.blind_index(Subject(CITIZEN_NUMBER, number))
    made = connection.execute(
        "INSERT INTO agricredit.farmer_index (blind_index, index_version, subject_id) VALUES (%s, %s, %s)"
        " ON CONFLICT (blind_index) DO NOTHING RETURNING subject_id",
        (index, vault.index_version, subject_id),
    ).fetchone()
    if made is None:
        return
    sealed = vault.seal(number.encode("ascii"), row=subject_id, column="farmer.number")
    connection.execute(
        "INSERT INTO agricredit.farmer (subject_id, number) VALUES (%s, %s)", (subject_id, sealed)
    )
    connection.execute(
        "INSERT INTO agricredit.consent (subject_id, consent_id, request_id, partner_id, partner_name,"
        " purpose_code, items, max_uses, granted_at, valid_until, text_sha256)"
        " SELECT %(subject)s, %(consent)s, %(request)s, partner_id, name, %(purpose)s,"
        " '{land_rights,subsidies}', %(uses)s, now(), now() + interval '10 years', %(mark)s"
        " FROM agricredit.partner WHERE partner_id = %(bank)s",
        {
            "subject": subject_id,
            "consent": uuid4(),
            "request": uuid4(),
            "purpose": PURPOSE,
            "uses": MANY,
            "mark": _MARK,
            "bank": BANK,
        },
    )


def _farmers(city: City) -> list[tuple[UUID, str]]:
    """Some farmers with land in force, parcels and subsidies, the same ones in every run: id and number."""
    with psycopg.connect(city.admin_dsn) as connection:
        row = connection.execute(
            "SELECT reltuples FROM pg_class WHERE oid = 'datanode.land_contract'::regclass"
        ).fetchone()
        assert row is not None
        share = min(100.0, 100.0 * FARMERS * 3 / max(float(row[0]), 1.0))
        rows = connection.execute(_FARMERS, {"share": share, "count": FARMERS}).fetchall()
    vault = vault_of(city, "datanode")
    found = []
    for subject_id, record_no, sealed in rows:
        column = f"population.person.citizen_number#{record_no}"
        found.append((subject_id, vault.unseal(sealed, row=subject_id, column=column).decode()))
    random.Random(SEED).shuffle(found)
    return found


def _with_cards(city: City, numbers: Sequence[str]) -> list[str]:
    """Those of them whose ID card and social security card are in force."""
    vault = vault_of(city, "licence")
    indexes = {vault.blind_index(Subject(CITIZEN_NUMBER, number)): number for number in numbers}
    types = [ID_CARD, SOCIAL_SECURITY_CARD]
    with psycopg.connect(city.admin_dsn) as connection:
        rows = connection.execute(
            _HOLDERS,
            {"indexes": list(indexes), "types": types, "card": SOCIAL_SECURITY_CARD, "count": len(types)},
        ).fetchall()
    held = {bytes(row[0]) for row in rows}
    return [number for index, number in indexes.items() if index in held]


def _require(found: Sequence[object]) -> None:
    if not found:
        raise SystemExit("the bench's city holds no such farmers; remove .onestop/bench and start again")
