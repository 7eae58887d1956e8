"""The city's command: `./onestop <command> …` finds the command and gives it the rest of the line."""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A module whose `main() -> int` reads `sys.argv`, and what it is for."""

    module: str
    purpose: str


COMMANDS = {
    "audit": Command("cli.audit.__main__", "reconcile the ledger with all services' own records"),
    "authority": Command("cli.authority.__main__", "revoke certificates of the development authority"),
    "backup": Command("cli.backup.__main__", "back the city up while it runs; check a backup"),
    "demo": Command("cli.demo.__main__", "walk the whole path through the running city"),
    "export": Command("cli.export.__main__", "a period of the ledger for an auditor, and its check"),
    "keys": Command("cli.keys.__main__", "show key versions; rotate keys while the city runs"),
    "ledger": Command(
        "cli.ledger.__main__", "go on with a ledger that was restored without its last entries"
    ),
    "prune": Command("cli.prune.__main__", "the oldest entries of the ledger go, their proofs stay"),
    "remote": Command("cli.remote.__main__", "companies' credentials for remote signing"),
    "restore": Command("cli.restore.__main__", "make a city of a backup, and prove it"),
    "seal": Command("cli.seal.__main__", "the life of a seal, and certificates of its keys"),
    "shred": Command(
        "cli.shred", "destroy what opens old ledger entries' commitments, decided by two people"
    ),
    "verify": Command("cli.verify", "check a receipt with nothing but the ledger's public key"),
}


def usage() -> str:
    """The list of commands."""
    lines = [f"  {name:<10} {command.purpose}" for name, command in sorted(COMMANDS.items())]
    return "\n".join(["usage: onestop <command> [--help] …", "", *lines])


def main() -> int:
    """The command's exit code; 2 where there is no such command."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in {"", "-h", "--help"}:
        print(usage())
        return 0 if name else 2
    command = COMMANDS.get(name)
    if command is None:
        print(f"onestop: there is no command {name!r}\n\n{usage()}", file=sys.stderr)
        return 2
    sys.argv = [f"onestop {name}", *sys.argv[2:]]
    try:
        code = int(importlib.import_module(command.module).main())
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; what is left of it must not fail at exit once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


if __name__ == "__main__":
    raise SystemExit(main())
