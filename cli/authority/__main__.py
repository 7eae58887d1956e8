"""`onestop authority revoke|list`: certificates that the development authority has revoked.

It tells everybody who asks, within a minute of what it told them before; a revocation is for good.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from datetime import UTC, datetime

from deploy.authority.issuers import AUTHORITIES, SEAL_ROOT
from deploy.authority.revocations import REASONS, REVOKED, Revocation, Revocations
from deploy.local.errors import GroundError
from deploy.local.settings import Settings, read_settings

DONE, FAILED = 0, 1
_SERIAL = re.compile(r"[0-9a-f]{1,40}")


def main() -> int:
    """0 when it is done, 1 with what is wrong; 2 for a wrong command line."""
    parser = argparse.ArgumentParser(
        prog=sys.argv[0], description="Certificates that the development authority has revoked."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    revoke = commands.add_parser("revoke", help="from now on, and for good")
    revoke.add_argument(
        "serial",
        metavar="SERIAL",
        type=_serial,
        help="of the certificate, in hexadecimal; `onestop seal show` tells a seal's",
    )
    revoke.add_argument("--reason", required=True, choices=REASONS)
    revoke.add_argument(
        "--issuer", default=SEAL_ROOT, choices=AUTHORITIES, help="whose certificate it is: %(default)s"
    )
    commands.add_parser("list", help="those that are revoked")
    arguments = parser.parse_args()
    try:
        known = _known(read_settings(os.environ))
        if arguments.command == "list":
            return _show(known)
        return _revoke(known, arguments.issuer, arguments.serial, arguments.reason)
    except (GroundError, OSError, ValueError) as failure:
        print(f"NOT DONE: {failure}", file=sys.stderr)
    return FAILED


def _serial(text: str) -> int:
    digits = text.lower().replace(":", "")
    if not _SERIAL.fullmatch(digits):
        raise argparse.ArgumentTypeError("write up to 40 hexadecimal digits, as in `1a2b3c`")
    return int(digits, 16)


def _known(settings: Settings) -> Revocations:
    """Raises GroundError where the city has no such authority."""
    path = settings.pki / REVOKED
    if not path.exists():
        raise GroundError(
            f"{settings.home} holds no development authority.",
            "start the city once, or name its folder with ONESTOP_HOME; a real authority revokes its own.",
        )
    return Revocations(path)


def _revoke(known: Revocations, issuer: str, serial: int, reason: str) -> int:
    moment = datetime.now(UTC).replace(microsecond=0)
    if known.add(issuer, serial, Revocation(moment, reason)):
        print(f"revoked: {_line(issuer, serial, Revocation(moment, reason))}")
    else:
        print(f"was revoked already: {_line(issuer, serial, known.all()[issuer, serial])}")
    return DONE


def _show(known: Revocations) -> int:
    for (issuer, serial), one in sorted(known.all().items(), key=lambda row: row[1].moment):
        print(_line(issuer, serial, one))
    if not known.all():
        print("no certificate is revoked")
    return DONE


def _line(issuer: str, serial: int, one: Revocation) -> str:
    return f"{serial:x}  {issuer}  {one.moment:%Y-%m-%d %H:%M:%S%z}  {one.reason}"


if __name__ == "__main__":
    raise SystemExit(main())
