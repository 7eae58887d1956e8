"""`onestop seal request`: asks for a certificate of a new key, which stays where it is made."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from uuid import UUID

from cli.export.__main__ import words
from cli.seal.ground import DONE, FAILED, run
from core.db import Connection
from deploy.local.settings import Settings
from services.eseal.domain import SUITES, Algorithm
from services.eseal.keystore import TOKEN, VAULT
from services.eseal.operating.enrolling import Keystores, Wish, ask_certificate, withdraw_request

_EPILOG = """\
The request is PKCS #10, in PEM: for a certificate with digitalSignature, nonRepudiation and documentSigning.
Give it to the authority; what it issues is taken by `onestop seal import`. Until then the seal goes on with
the key that it has. Asked again, the same key is asked for. A request that is withdrawn takes its key along.
Exit code: 0 done, 1 not done, 2 wrong arguments.
"""


def main() -> int:
    """Reads the command line and does it."""
    arguments = _parser().parse_args()

    async def work(_: Settings, connection: Connection, keystores: Keystores) -> int:
        seal_id: UUID = arguments.seal
        if arguments.withdraw:
            gone = await withdraw_request(connection, keystores, seal_id)
            print("the request is withdrawn, its key is gone" if gone else "no request waits for this seal")
            return DONE if gone else FAILED
        wish = Wish(seal_id, Algorithm(arguments.algorithm), arguments.keystore, arguments.operator)
        request = await ask_certificate(connection, keystores, wish)
        _put(request, arguments.out)
        return DONE

    return run(work)


def _put(request: bytes, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(request.decode("ascii"))
    else:
        out.write_bytes(request)
        print(f"the request lies in {out}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="onestop seal request",
        description="Asks for a certificate of a new key of a seal.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seal", type=UUID, required=True, metavar="ID", help="which seal")
    parser.add_argument("--operator", type=words, required=True, metavar="ACCOUNT", help="who asks")
    parser.add_argument(
        "--algorithm",
        choices=[one.value for one in SUITES],
        default=Algorithm.ECDSA_P256_SHA256.value,
        help="of the new key; sm3_sm2 for OFD, the others for PDF; default: %(default)s",
    )
    parser.add_argument(
        "--keystore",
        choices=[VAULT, TOKEN],
        default=VAULT,
        help="where the key is made; default: %(default)s",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="instead of the standard output")
    parser.add_argument("--withdraw", action="store_true", help="drop the request that waits, and its key")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
