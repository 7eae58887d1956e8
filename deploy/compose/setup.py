"""The second one-shot container, once the database answers: migrations, and in development the town.

`python -m deploy.compose.setup`. Running it again applies what is new and leaves the rest alone.
"""

from __future__ import annotations

import os
import sys

from core.config import Mode
from deploy.compose.handing import CITY, OWN, hand_out, mode_of, owner_dsn, parts_of
from deploy.local import files
from deploy.local.errors import GroundError
from deploy.local.migrate import migrate
from deploy.town.__main__ import main as load_town

USUAL_TOWN = "2000"


def main() -> int:
    """0 when the database is what this code needs; 1 with what is wrong, 2 for a town's wrong size."""
    try:
        mode = mode_of(os.environ)
        dsn = owner_dsn(CITY)
        applied = migrate(dsn, parts_of(mode), CITY / "keys")
        hand_out(CITY, OWN, parts_of(mode))
    except GroundError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"migrations applied: {', '.join(applied)}" if applied else "no migration is new", flush=True)
    if mode is not Mode.DEVELOPMENT:
        return 0
    address = CITY / "keys" / "admin.dsn"
    files.write_private(address, dsn)
    size = os.environ.get("TOWN_SIZE") or USUAL_TOWN
    sys.argv = ["deploy.town", "--size", size, "--home", str(CITY), "--admin-dsn-file", str(address)]
    return load_town()


if __name__ == "__main__":
    sys.exit(main())
