"""What `onestop remote` does, each command a function that answers the exit code."""

from __future__ import annotations

import argparse
import base64
import os
import sys
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

from cli.owner import DONE, FAILED
from core import queries
from core.clock import now
from core.db import Connection
from deploy.local.settings import Settings
from services.eseal.domain import Algorithm
from services.eseal.operating.issued import MOST_BYTES
from services.eseal.remote.making import (
    CODE_LIFE,
    RemoteOrder,
    certify,
    lock,
    prepare,
    revoke,
    show,
    take_certificate,
    unlock,
    waiting_request,
)
from services.eseal.remote.rules import MOST_ATTEMPTS, CredentialState
from services.eseal.trust.authority import SealAuthority, load_roots

Q = queries.load("cli.remote")
Work = Callable[[Settings, Connection, argparse.Namespace], Awaitable[int]]


async def prepare_one(_: Settings, connection: Connection, said: argparse.Namespace) -> int:
    """Prepares a credential, and shows the code once: what is kept of it is a digest."""
    order = RemoteOrder(said.owner, said.owner_name, said.holder, said.application, Algorithm(said.algorithm))
    if not await connection.fetchval(Q.is_application, said.application):
        print(f"NOT DONE: the issuer knows no application {said.application!r}", file=sys.stderr)
        return FAILED
    credential, code = await prepare(connection, order, now())
    print(f"credential {credential}")
    print(f"enrolment code {code}, for the holder's hands alone, {CODE_LIFE.days} days")
    return DONE


async def show_all(_: Settings, connection: Connection, said: argparse.Namespace) -> int:
    """A line for each credential, of one company or of all."""
    shown = [row for row in await show(connection) if said.owner in {None, row["owner_code"]}]
    for row in shown:
        state = CredentialState(row["state"]).name.lower()
        state += " locked" if row["attempts"] >= MOST_ATTEMPTS else ""
        until = f"{row['valid_until']:%Y-%m-%d}" if row["valid_until"] else "-"
        print(
            f"{row['id']}  {state:<14}  {until:<10}  {row['owner_code']}  {row['holder']}"
            f"  {row['application']}  {row['owner_name']}"
        )
    if not shown:
        print("there is no such credential")
    return DONE


async def certify_all(settings: Settings, connection: Connection, _: argparse.Namespace) -> int:
    """Has the development authority certify whatever waits."""
    authority = SealAuthority.load(settings.pki / "seal-ca.crt", settings.pki / "seal-ca.key")
    done = await certify(connection, authority, now())
    for credential in done:
        print(f"{credential} is certified")
    if not done:
        print("no credential waits for a certificate")
    return DONE


async def put_request(_: Settings, connection: Connection, said: argparse.Namespace) -> int:
    """Writes the request, PEM: for whoever certifies."""
    request = await waiting_request(connection, said.credential)
    body = "\n".join(textwrap.wrap(base64.b64encode(request).decode(), 64))
    text = f"-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n"
    if said.out is None:
        sys.stdout.write(text)
    else:
        said.out.write_text(text, encoding="ascii")
        print(f"the request lies in {said.out}")
    return DONE


async def take(settings: Settings, connection: Connection, said: argparse.Namespace) -> int:
    """Takes a certificate, if it leads to an authority that eseal believes."""
    with said.certificate.open("rb") as file:
        content = file.read(MOST_BYTES + 1)  # One byte more than is taken, so that what is too much shows.
    roots = load_roots(Path(os.environ.get("ONESTOP_SEAL_ROOTS") or settings.pki / "seal-ca.crt"))
    taken = await take_certificate(connection, said.credential, content, roots, now())
    print(f"the credential signs, from {taken.not_before:%F} to {taken.not_after:%F}")
    return DONE


async def lock_one(_: Settings, connection: Connection, said: argparse.Namespace) -> int:
    """Locks it, as too many wrong factors would."""
    return _told(await lock(connection, said.credential), said.credential, "is locked")


async def unlock_one(_: Settings, connection: Connection, said: argparse.Namespace) -> int:
    """Gives the holder her tries back."""
    return _told(await unlock(connection, said.credential), said.credential, "is unlocked")


async def revoke_one(_: Settings, connection: Connection, said: argparse.Namespace) -> int:
    """Destroys the key."""
    return _told(await revoke(connection, said.credential), said.credential, "is revoked, its key is gone")


def _told(done: bool, credential: UUID, what: str) -> int:
    print(f"{credential} {what}" if done else "there is no such credential")
    return DONE if done else FAILED
