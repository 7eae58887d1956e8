"""`onestop seal <command> …`: finds what is to be done with a seal, and gives it the rest of the line."""

from __future__ import annotations

import importlib
import sys

COMMANDS = {
    "apply": ("cli.seal.acts", "ask for a new seal, as administration"),
    "make": ("cli.seal.acts", "have key, certificate and picture made, as administration"),
    "enable": ("cli.seal.acts", "approve what others have made: it may be used; as security"),
    "suspend": ("cli.seal.acts", "take it out of use for a while, as either"),
    "resume": ("cli.seal.acts", "put it into use again, as security"),
    "revoke": ("cli.seal.acts", "take it out of use for good, as security"),
    "destroy": ("cli.seal.acts", "destroy the key of a revoked one, as administration"),
    "permit": ("cli.seal.acts", "let an office use it, within a quota if one is given; as security"),
    "withdraw": ("cli.seal.acts", "take such a permission away, as either"),
    "list": ("cli.seal.show", "the seals, and where they stand"),
    "show": ("cli.seal.show", "a seal, its permissions and its history"),
    "request": ("cli.seal.request", "a certificate request (PKCS #10) for a new key of a seal"),
    "import": ("cli.seal.taking", "take the certificate that an authority has issued for it"),
}
"""Each with its module, whose `main() -> int` reads `sys.argv`, and what it is for."""


def usage() -> str:
    """The list of commands."""
    lines = [f"  {name:<10} {purpose}" for name, (_, purpose) in COMMANDS.items()]
    return "\n".join(["usage: onestop seal <command> [--help] …", "", *lines])


def main() -> int:
    """The command's exit code; 2 where there is no such command."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in {"", "-h", "--help"}:
        print(usage())
        return 0 if name else 2
    command = COMMANDS.get(name)
    if command is None:
        print(f"onestop seal: there is no command {name!r}\n\n{usage()}", file=sys.stderr)
        return 2
    sys.argv = [f"onestop seal {name}", *sys.argv[2:]]
    return int(importlib.import_module(command[0]).main())


if __name__ == "__main__":
    raise SystemExit(main())
