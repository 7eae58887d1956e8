"""Keys of seals never leave their keystore: no answer, entry, refusal or log holds one, nor does a worker."""

from __future__ import annotations

import base64
import contextlib
import re
import sys
from pathlib import Path
from uuid import UUID

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key

from core.keyring import Keyring
from core.vault import Vault
from services.eseal.domain import Algorithm
from services.eseal.keystore import COLUMN
from tests.component.eseal.harness import Desk
from tests.unit.eseal.documents import encrypted, plain
from tests.unit.eseal.ofds import plain_ofd

KINDS = [Algorithm.ECDSA_P256_SHA256, Algorithm.RSA_2048_SHA256, Algorithm.ED25519]


async def secrets_of(desk: Desk) -> dict[str, bytes]:
    """What nobody may see, of every seal's key: the whole, and the number that makes it."""
    connection = await desk.owner()
    vault = await Vault.open(connection, Keyring.load(desk.database.keyring("eseal")))
    rows = await connection.fetch("SELECT id, algorithm, private_key FROM seal_key")
    await connection.close()
    found = {}
    for row in rows:
        whole = vault.unseal(row["private_key"], row=row["id"], column=COLUMN)
        found[f"{row['algorithm']} whole"] = whole
        found[f"{row['algorithm']} number"] = number_of(Algorithm(row["algorithm"]), whole)
    return found


def number_of(algorithm: Algorithm, whole: bytes) -> bytes:
    """The secret number of a key in PKCS #8."""
    if algorithm in (Algorithm.SM2_SM3, Algorithm.ED25519):
        # RFC 5915 privateKey, RFC 8410 CurvePrivateKey: an octet string of 32 bytes.
        return whole[whole.index(b"\x04\x20") + 2 :][:32]
    key = load_der_private_key(whole, None)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.private_numbers().p.to_bytes(128, "big")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key.private_numbers().private_value.to_bytes(32, "big")


def forms(secret: bytes) -> dict[str, bytes]:
    """How a secret may stand somewhere; libraries keep numbers with the lowest byte first."""
    number = int.from_bytes(secret, "big")
    return {
        "plain": secret,
        "lowest byte first": bytes(reversed(secret)),
        "hexadecimal": secret.hex().encode(),
        "hexadecimal, capitals": secret.hex().upper().encode(),
        "base64": base64.b64encode(secret)[: len(secret)],
        "decimal": str(number).encode(),
    }


def holds(place: bytes, secrets: dict[str, bytes]) -> list[str]:
    """Which secrets stand there, and how."""
    return [
        f"{name}, {how}"
        for name, secret in secrets.items()
        for how, form in forms(secret).items()
        if form in place
    ]


async def everything_done(desk: Desk) -> bytes:
    """Seals put, refused and checked, lists read: all that left the service, one behind another."""
    left = [(await desk.seals()).SerializeToString()]
    for number, algorithm in enumerate(KINDS):
        seal_id = await desk.make_seal(kind=f"业务专用章{number}", algorithm=algorithm)
        left.append(await put(desk, seal_id, plain()))
        left.append(await put(desk, seal_id, encrypted()))
    national = await desk.make_seal(sm2=True)
    left.append(await put(desk, national, plain_ofd()))
    left.append(await put(desk, national, plain()))
    left.append((await desk.seals()).SerializeToString())
    left.append(repr(vars(desk.ledger)).encode())
    return b"".join(left)


async def put(desk: Desk, seal_id: UUID, document: bytes) -> bytes:
    """The answer to a call, or its refusal; and what a check of the sealed file says."""
    try:
        signed = await desk.sign(seal_id, document)
    except grpc.aio.AioRpcError as refused:
        return repr(refused).encode() + repr(refused.trailing_metadata()).encode()
    return signed.SerializeToString() + (await desk.verify(signed.document)).SerializeToString()


async def test_no_answer_entry_refusal_or_log_holds_a_key(
    desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    left = await everything_done(desk)

    secrets = await secrets_of(desk)
    logs = "".join(capfd.readouterr()).encode()
    assert b"outcome=SEAL_NOT_FOR_FORMAT" in logs
    assert len(secrets) == 2 * (len(KINDS) + 1)
    assert holds(left, secrets) == []
    assert holds(logs, secrets) == []
    # The search finds what is there.
    for name, secret in secrets.items():
        for form in forms(secret).values():
            assert holds(b"before" + form + b"after", {name: secret})


async def test_a_worker_holds_neither_keys_nor_settings(desk: Desk) -> None:
    if sys.platform != "linux":
        pytest.skip("a process's memory is read as Linux shows it")
    await everything_done(desk)
    secrets = await secrets_of(desk)

    for process in desk.workshop._all:
        memory = memory_of(process.pid)
        assert b"services.eseal.confined.worker" in memory or b"services/eseal/worker" in memory
        assert holds(memory, secrets) == []
        assert set(environment_of(process.pid)) <= {"PYTHONPATH", "LC_ALL", "LC_CTYPE"}


def memory_of(pid: int) -> bytes:
    """What a process may write to, whole; skips where we may not look."""
    parts = []
    try:
        with Path(f"/proc/{pid}/mem").open("rb") as memory:
            for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
                found = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
                if found and "[vvar" not in line:
                    start, end = (int(one, 16) for one in found.groups())
                    with contextlib.suppress(OSError):
                        memory.seek(start)
                        parts.append(memory.read(end - start))
    except PermissionError:
        pytest.skip("this user may not look into another process's memory")
    return b"".join(parts)


def environment_of(pid: int) -> list[str]:
    """Names of the variables that a process was started with."""
    content = Path(f"/proc/{pid}/environ").read_bytes()
    return [one.partition(b"=")[0].decode() for one in content.split(b"\0") if one]
