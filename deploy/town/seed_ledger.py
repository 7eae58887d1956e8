"""Gives the ledger the names of the town's callers, offices, matters and fields, for showing entries.

`python -m deploy.town.seed_ledger` does it for the database in DATABASE_URL, as its owner; `make run` calls
`seed` itself. A name that is there already stays as the operator has made it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from typing import cast

import psycopg

from core.tokens import CITIZEN_CLIENT
from deploy.town.seed_eseal import read_offices
from services.autofill.templates import load_matters
from services.licence.catalogue import load_labels

CALLERS = {
    "approval-platform": ("市一体化政务服务平台", "the city's approval platform"),
    "rural-bank": ("韶州农村商业银行（虚构）", "Shaozhou Rural Commercial Bank (made up)"),
    "company-app": ("某公司的签约系统（虚构）", "a company's signing application (made up)"),
    CITIZEN_CLIENT: ("您本人", "yourself"),
}
"""By client id."""

FIELDS = {
    "state": "状态",
    "items": "信息种类",
    "purpose": "用途",
    "text": "授权书全文",
    "version": "版本",
    "consent_id": "授权编号",
    "max_uses": "最多次数",
    "uses": "已用次数",
    "valid_until": "有效期至",
    "verdict": "核验结论",
    "type_name": "证照名称",
    "type_code": "证照类型",
    "number": "号码",
    "holder_name": "持证人姓名",
    "issuer_name": "发证机关",
    "valid_from": "有效期起",
    "receipt_id": "回执编号",
    "recorded_at": "记录时间",
    "outcome": "结果",
    "method": "方法",
    "caller": "使用方",
    "office": "办理机构",
    "matter_code": "事项",
    "case_number": "业务流水号",
    "field_names": "字段名称",
}
"""Fields that are of no form and no register, by name."""

_NAME = """
INSERT INTO ledger.known_name (kind, code, name, name_en)
VALUES (%s, %s, %s, %s)
    ON CONFLICT (kind, code) DO NOTHING
"""


_OF_REGISTERS = """
INSERT INTO ledger.known_name (kind, code, name)
SELECT 'field', resource || '.' || name, label
  FROM datanode.resource_field
    ON CONFLICT (kind, code) DO NOTHING
"""


def known_names() -> list[tuple[str, str, str, str]]:
    """Kind, code, name and English name of everything that the town's entries name by code."""
    return [
        *(("caller", code, name, name_en) for code, (name, name_en) in CALLERS.items()),
        *(("office", office.uscc, office.name, "") for office in read_offices()),
        *(("matter", one.code, one.name, one.name_en) for one in load_matters().values()),
        *(("field", code, title, "") for code, title in _field_titles()),
    ]


def _field_titles() -> Iterator[tuple[str, str]]:
    yield from FIELDS.items()
    for matter in load_matters().values():
        properties = cast(Mapping[str, Mapping[str, str]], matter.form["properties"])
        yield from ((f"{matter.code}.{name}", one["title"]) for name, one in properties.items())
    yield from ((f"licence.{code}.{name}", label) for (code, name), label in load_labels().items())


def seed(admin_dsn: str) -> int:
    """Adds the names that are missing; how many that were."""
    with psycopg.connect(admin_dsn) as connection, connection.cursor() as cursor:
        cursor.executemany(_NAME, known_names())
        added = max(0, cursor.rowcount)
        cursor.execute(_OF_REGISTERS)
        return added + max(0, cursor.rowcount)


def main() -> int:
    """Seeds the database in DATABASE_URL."""
    dsn = os.environ.get("DATABASE_URL", "")
    if not dsn:
        print("DATABASE_URL is not set: give the database's address in it, as its owner", file=sys.stderr)
        return 1
    print(f"names added: {seed(dsn)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
