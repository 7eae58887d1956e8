"""Registers the town's lending partner: what is agreed with it, and the key that answers are encrypted to.

`python -m deploy.town.seed_agricredit <its JWK file>` does it for the database in DATABASE_URL, as its owner;
`make run` calls `seed` itself. What the operator has changed since stays; only the key follows its file.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import psycopg

PARTNER = "rural-bank"

_PARTNER = """
INSERT INTO agricredit.partner (partner_id, name, contact, encryption_jwk, daily_fetches, open_requests)
VALUES (%(partner)s, '韶州农村商业银行（虚构）', '客户服务电话 0751-000-0000，武江区示范路1号',
        %(jwk)s, 100000, 3)
    ON CONFLICT (partner_id) DO UPDATE
   SET encryption_jwk = excluded.encryption_jwk
 WHERE partner.encryption_jwk <> excluded.encryption_jwk
"""

_AGREEMENT = """
INSERT INTO agricredit.agreement (partner_id, purpose_code, purpose_text, items, max_validity_days, max_uses,
                                  keeping)
VALUES (%(partner)s, 'loan_application', '涉农贷款申请：核验土地承包经营权和耕地地力保护补贴，评估授信额度',
        '{land_rights,subsidies}', 365, 1000,
        '未获贷款的，自作出决定之日起30日；获得贷款的，至贷款结清之日后5年')
    ON CONFLICT (partner_id, purpose_code) DO NOTHING
"""

_PUBLIC_MEMBERS = ("kty", "crv", "x", "y", "kid", "use", "alg")


def seed(admin_dsn: str, encryption_jwk: Path) -> None:
    """Registers the partner and its agreement. Of the key file the public members alone are stored."""
    jwk = json.loads(encryption_jwk.read_text(encoding="utf-8"))
    public = json.dumps({name: jwk[name] for name in _PUBLIC_MEMBERS if name in jwk})
    with psycopg.connect(admin_dsn) as connection:
        connection.execute(_PARTNER, {"partner": PARTNER, "jwk": public})
        connection.execute(_AGREEMENT, {"partner": PARTNER})


def main() -> int:
    """Seeds the database in DATABASE_URL."""
    dsn = os.environ.get("DATABASE_URL", "")
    if not dsn or len(sys.argv) != 2:
        print(
            "give the database's address in DATABASE_URL, as its owner, and the JWK file as argument",
            file=sys.stderr,
        )
        return 1
    seed(dsn, Path(sys.argv[1]))
    print(f"registered: {PARTNER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
