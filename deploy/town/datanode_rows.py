"""The data node's rows of some villages: what each register holds, found by blind index."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

from core.identity import CITIZEN_NUMBER, USCC
from deploy.town import datanode_companies as company_rows
from deploy.town import datanode_land as land_rows
from deploy.town import datanode_people as people_rows
from deploy.town.copying import Rows
from deploy.town.datanode_tables import TABLES
from deploy.town.model import Company, Person
from deploy.town.sealing import BulkVault, scattered
from deploy.town.spool import Spool


class DatanodeRows:
    """Turns villages into rows of the data node's tables."""

    def __init__(self, vault: BulkVault, spool: Spool) -> None:
        self._vault = vault
        self._spool = spool

    def add_people(self, everybody: Sequence[Person]) -> None:
        """Adds what all registers hold about some people."""
        vault, add = self._vault, self._spool.add
        ids, people = scattered(everybody)
        self._index(CITIZEN_NUMBER, ids, [one.number for one in people])
        add(people_rows.population(vault, ids, people))
        add(people_rows.households(vault, ids, people))
        known = list(zip(ids, people, strict=True))
        former = [(me, one.former_number) for me, one in known if one.former_number is not None]
        self._former_numbers([me for me, _ in former], [number for _, number in former])

        add(
            people_rows.insurance(
                vault, [(me, one.number, one.insurance) for me, one in known if one.insurance is not None]
            )
        )
        add(
            people_rows.marriages(
                vault, [(me, one.number, one.marriage) for me, one in known if one.marriage is not None]
            )
        )
        add(
            people_rows.real_estate(
                vault, [(me, one.real_estate) for me, one in known if one.real_estate is not None]
            )
        )
        add(
            people_rows.disabilities(
                vault, [(me, one.disability) for me, one in known if one.disability is not None]
            )
        )
        add(
            people_rows.allowances(
                vault,
                [
                    (me, serial, allowance)
                    for me, one in known
                    for serial, allowance in enumerate(one.allowances or (), start=1)
                ],
            )
        )
        add(people_rows.deaths(vault, [(me, one.death) for me, one in known if one.death is not None]))
        farmed = [(me, one.household, one.contract) for me, one in known if one.contract is not None]
        add(land_rows.contracts(vault, farmed))
        add(land_rows.parcels(vault, farmed))
        add(land_rows.subsidies(vault, farmed))

    def add_companies(self, everything: Sequence[Company]) -> None:
        """Adds what all registers hold about some companies."""
        vault, add = self._vault, self._spool.add
        ids, companies = scattered(everything)
        self._index(USCC, ids, [one.uscc for one in companies])
        add(company_rows.register(vault, ids, companies))
        add(
            company_rows.officers(
                vault,
                [
                    (me, serial, officer)
                    for me, one in zip(ids, companies, strict=True)
                    for serial, officer in enumerate(one.officers, start=1)
                ],
            )
        )

    def _index(self, code_type: str, ids: Sequence[bytes], codes: Sequence[str]) -> None:
        """Lets each subject be found by a number."""
        indexes = self._vault.index_all([(code_type, code) for code in codes])
        found = sorted(zip(indexes, ids, strict=True))
        rows = Rows(TABLES["subject_index"], self._vault, [me for _, me in found])
        rows.raw("blind_index", [index for index, _ in found])
        rows.smallints("index_version", repeat(self._vault.index_version, rows.count))
        rows.ids("subject_id", rows.row_ids)
        self._spool.add(rows)

    def _former_numbers(self, ids: Sequence[bytes], numbers: Sequence[str]) -> None:
        """Numbers that were corrected; they lead to the same person."""
        self._index(CITIZEN_NUMBER, ids, numbers)
        rows = Rows(TABLES["former_number"], self._vault, ids)
        rows.ids("subject_id", ids)
        rows.smallints("number_no", repeat(1, rows.count))
        rows.seal("number", numbers, name="former_number.number#1")
        self._spool.add(rows)
