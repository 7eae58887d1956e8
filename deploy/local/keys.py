"""Makes the city's keys: keyrings for data at rest, and the keys that sign tokens, answers and the log.

What exists is never made again, nor what is missing where a database was made with it: these keys open what
the database holds.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from core.cosignature import WitnessKey
from core.keyring import Keyring
from core.production import DEVELOPMENT_MARK, DEVELOPMENT_ORIGIN
from deploy.local import files
from deploy.local.errors import GroundError

WITNESS = "witness"
"""Last part of the name of a city's own witness."""
ED25519_KEY_TYPE = b"\x01"  # C2SP signed-note, "Signatures"

# Signing keys whose public halves others keep: old receipts and answers are checked with them.
LASTING = {"ledger": ("ledger-signing.key",), "agricredit": ("answer-signing.key",)}

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def make_keys(folder: Path, parts: Sequence[str], *, origin: str = "") -> None:
    """Makes what is missing in `folder` (0700): a keyring per part, the signing keys, the verifier key.

    `origin` names a city's own log. Without one this is development, and the keys say so: production refuses
    them. Raises GroundError where one has gone that a part's database was made with.
    """
    development = not origin
    files.private_folder(folder)
    _refuse_lost(folder, parts)
    for part in parts:
        make_keyring(folder / f"{part}-keyring.json", development=development)
    mark = DEVELOPMENT_MARK if development else b""
    _make_key(folder / "issuer-signing.key", ec.generate_private_key(ec.SECP256R1()), mark)
    _make_key(folder / "answer-signing.key", ec.generate_private_key(ec.SECP256R1()), mark)
    _make_key(folder / "ledger-signing.key", ed25519.Ed25519PrivateKey.generate(), mark)
    _make_key(folder / "witness-signing.key", ed25519.Ed25519PrivateKey.generate(), mark)
    publish_verifier_key(folder, origin)
    _publish_witness_key(folder, origin)


def publish_verifier_key(folder: Path, origin: str = "") -> None:
    """Makes `ledger.vkey` of the key that signs, unless that is in it already: those of a rotation stay."""
    key = load_pem_private_key((folder / "ledger-signing.key").read_bytes(), None)
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    path = folder / "ledger.vkey"
    line = verifier_key(_kept_name(path, origin or DEVELOPMENT_ORIGIN), key.public_key())
    kept = path.read_text(encoding="utf-8").split() if path.exists() else []
    if line not in kept:
        files.write_private(path, line + "\n", mode=0o644)


def _kept_name(path: Path, usual: str) -> str:
    """The name in a verifier key's file, which stays whatever is set later: a log that was continued
    (`onestop ledger continue`) has another than the usual one."""
    if not path.exists():
        return usual
    return path.read_text(encoding="utf-8").partition("+")[0].strip() or usual


def _publish_witness_key(folder: Path, origin: str) -> None:
    witness = load_pem_private_key((folder / "witness-signing.key").read_bytes(), None)
    assert isinstance(witness, ed25519.Ed25519PrivateKey)
    usual = f"{(origin or DEVELOPMENT_ORIGIN).partition('/')[0]}/{WITNESS}"
    own = WitnessKey(_kept_name(folder / "witness.vkey", usual), witness.public_key().public_bytes_raw())
    files.write_private(folder / "witness.vkey", f"{own}\n", mode=0o644)


def write_policy(folder: Path, witness_url: str) -> None:
    """The city's own witness, as the ledger is told of it (C2SP tlog-policy): `witnesses.policy`."""
    key = (folder / "witness.vkey").read_text(encoding="utf-8").strip()
    text = "# Made at every start. Name a file of your own in ONESTOP_WITNESSES to have others.\n"
    text += f"witness city {key} {witness_url}\nquorum city\n"
    files.write_private(folder / "witnesses.policy", text)


def make_keyring(path: Path, *, development: bool = True) -> None:
    """A part's keyring, unless there is one: version 1 of the key-encryption key and of the index key."""
    if not path.exists():
        Keyring.generate(development=development).save(path)


def _refuse_lost(folder: Path, parts: Sequence[str]) -> None:
    """A part has `<part>.dsn` since its schema was made; a new key would open nothing that is there."""
    lost = [
        name
        for part in parts
        for name in (f"{part}-keyring.json", *LASTING.get(part, ()))
        if (folder / f"{part}.dsn").exists() and not (folder / name).exists()
    ]
    if lost:
        raise GroundError(
            f"Keys are missing in {folder}: {', '.join(lost)}. What is in the database was made with them.",
            f"put them back from a backup, or move the whole folder {folder.parent} away to start an empty "
            "city (with DATABASE_URL: on an empty database).",
        )


def verifier_key(name: str, key: ed25519.Ed25519PublicKey) -> str:
    """The line by which anyone checks the log's checkpoints (C2SP signed-note, verifier key):

    name, "+", key id as eight hexadecimal digits, "+", base64 of the algorithm byte and the public key.
    """
    typed = ED25519_KEY_TYPE + key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    key_id = hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4]
    return f"{name}+{key_id.hex()}+{base64.b64encode(typed).decode()}"


def private_pem(key: PrivateKey) -> bytes:
    """The key as unencrypted PKCS #8; the file's permissions protect it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _make_key(path: Path, key: PrivateKey, mark: bytes) -> None:
    if not path.exists():
        files.write_private(path, mark + private_pem(key))
