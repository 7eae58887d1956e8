"""`onestop seal import`: takes the certificate that an authority has issued, and puts its key to use."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from uuid import UUID

from cli.seal.ground import DONE, run
from core.clock import now
from core.db import Connection
from deploy.local.settings import Settings
from deploy.local.sm2_pki import load_maker
from services.eseal.domain import SUITES, Algorithm, Format
from services.eseal.gm.sm2_certificate import load_certificates
from services.eseal.operating.enrolling import Keystores, take_certificate, waiting_algorithm
from services.eseal.operating.issued import MOST_BYTES
from services.eseal.trust.authority import load_roots

_EPILOG = """\
The file holds the certificate, in PEM, and those between it and its root, if there are any. It is taken only
if it is of the key that was asked for, is valid today, may sign documents, and leads to an authority that
eseal believes: those in ONESTOP_SEAL_ROOTS and ONESTOP_SM2_SEAL_ROOTS, or else in the city's own files.
From then on the seal is put with the new key; what was sealed before keeps the old certificate.
Exit code: 0 done, 1 not done, 2 wrong arguments.
"""


def main() -> int:
    """Reads the command line and does it."""
    arguments = _parser().parse_args()

    async def work(settings: Settings, connection: Connection, keystores: Keystores) -> int:
        seal_id: UUID = arguments.seal
        algorithm = await waiting_algorithm(connection, seal_id)
        taken = await take_certificate(
            connection,
            keystores,
            seal_id=seal_id,
            content=_content(arguments.certificate),
            roots=_roots(settings, algorithm),
            moment=now(),
            maker=load_maker(settings.pki),
        )
        word = "is in use" if taken.new else "was in use already"
        print(f"the new key {word}, its certificate valid from {taken.not_before:%F} to {taken.not_after:%F}")
        return DONE

    return run(work)


def _content(path: Path) -> bytes:
    """One byte more than is taken, so that what is too much shows."""
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


def _roots(settings: Settings, algorithm: Algorithm) -> list[bytes]:
    """The authorities believed for the documents that the key seals, DER."""
    if SUITES[algorithm].format is Format.OFD:
        named = os.environ.get("ONESTOP_SM2_SEAL_ROOTS") or settings.pki / "seal-ca-sm2.crt"
        return load_certificates(Path(named))
    return load_roots(Path(os.environ.get("ONESTOP_SEAL_ROOTS") or settings.pki / "seal-ca.crt"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="onestop seal import",
        description="Takes the certificate that an authority has issued for a seal's new key.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seal", type=UUID, required=True, metavar="ID", help="which seal")
    parser.add_argument("--certificate", type=Path, required=True, metavar="FILE", help="what was issued")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
