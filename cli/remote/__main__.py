"""`onestop remote <command> …`: companies' credentials for remote signing (docs/remote-signing.md)."""

from __future__ import annotations

import argparse
from pathlib import Path
from uuid import UUID

from cli.owner import run_as_owner
from cli.remote import acts
from services.eseal.domain import Algorithm
from services.eseal.remote.rules import ALGORITHMS

_EPILOG = """\
Works as the owner of the city's database. None of it opens a key: what releases one, its holder alone has.
Exit code: 0 done, 1 not done, 2 wrong arguments.
"""


def main() -> int:
    """Reads the command line and does it."""
    arguments = parser().parse_args()
    return run_as_owner(lambda settings, connection: arguments.work(settings, connection, arguments))


def parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    made = argparse.ArgumentParser(
        prog="onestop remote",
        description="Companies' credentials for remote signing.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = made.add_subparsers(required=True, metavar="command")

    def command(name: str, work: acts.Work, purpose: str, *, one: bool = True) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=purpose, description=purpose.capitalize() + ".")
        added.set_defaults(work=work)
        if one:
            added.add_argument("credential", type=UUID, help="its id")
        return added

    prepared = command(
        "prepare", acts.prepare_one, "a credential for a holder whom you see before you", one=False
    )
    prepared.add_argument("--owner", required=True, metavar="USCC", help="of the company")
    prepared.add_argument("--owner-name", required=True, metavar="NAME", help="of the company")
    prepared.add_argument("--holder", required=True, metavar="ACCOUNT", help="of the person who may sign")
    prepared.add_argument(
        "--application", required=True, metavar="CLIENT", help="client id of the one that may ask for the key"
    )
    prepared.add_argument(
        "--algorithm",
        choices=[one.value for one in ALGORITHMS],
        default=Algorithm.ECDSA_P256_SHA256.value,
        help="of the key; default: %(default)s",
    )
    listed = command("list", acts.show_all, "the credentials, and where they stand", one=False)
    listed.add_argument("--owner", metavar="USCC", help="of this company alone")
    command(
        "certify", acts.certify_all, "certificates of the development authority for all that wait", one=False
    )
    requested = command("request", acts.put_request, "the certificate request (PKCS #10) of one that waits")
    requested.add_argument("--out", type=Path, metavar="FILE", help="instead of the standard output")
    imported = command("import", acts.take, "take the certificate that an authority has issued for it")
    imported.add_argument("--certificate", type=Path, required=True, metavar="FILE", help="what was issued")
    command("lock", acts.lock_one, "no factors are tried any more, and open authorisations end")
    command("unlock", acts.unlock_one, "factors may be tried again; it opens nothing")
    command("revoke", acts.revoke_one, "destroy its key for good")
    return made


if __name__ == "__main__":
    raise SystemExit(main())
