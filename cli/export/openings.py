"""What opens entries, encrypted to the auditor: lines of compact JWE (RFC 7516), some hundred in each.

One suite: ECDH-ES+A256KW with A256GCM (RFC 7518), to a P-256 key. A line's plaintext is JSON Lines: the
entry's index, and the opening as the ledger keeps it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from core.merkle import VerificationError
from deploy.local import files
from deploy.local.errors import GroundError

KEY_AGREEMENT, ENCRYPTION, CURVE = "ECDH-ES+A256KW", "A256GCM", "P-256"
OPENINGS_A_READ = 500
BYTES_A_LINE = 32_000
"""Of plaintext, unless one opening alone is longer. Libraries of JWE take 64 KiB of ciphertext as a rule."""


class _Registry(jwe.JWERegistry):
    """The one suite, and room for an opening that is longer than usual."""

    max_ciphertext_length = 2 * 1024 * 1024


_REGISTRY = _Registry(algorithms=[KEY_AGREEMENT, ENCRYPTION])


@dataclass(frozen=True)
class Opened:
    """What opens one entry: its place, and the opening's bytes as the ledger sealed them."""

    index: int
    opening: bytes


def make_key(private: Path, public: Path) -> str:
    """A new key of an auditor's, in two files; its thumbprint. Raises GroundError where one is there."""
    for path in (private, public):
        if path.exists():
            raise GroundError(f"{path} is there already.", "name files that do not exist.")
    key = ECKey.generate_key(CURVE, {"use": "enc", "alg": KEY_AGREEMENT})
    files.write_private(private, json.dumps(key.as_dict(private=True), indent=2) + "\n")
    files.write_private(public, json.dumps(key.as_dict(private=False), indent=2) + "\n", mode=0o644)
    return key.thumbprint()


def read_key(path: Path, *, private: bool) -> ECKey:
    """An auditor's key, a JWK. Raises GroundError; never with the key in it."""
    try:
        key = ECKey.import_key(json.loads(path.read_text(encoding="utf-8")))
        key.check_use("enc")
        key.check_alg(KEY_AGREEMENT)
    except (OSError, JoseError, ValueError, KeyError, TypeError):
        key = None
    if key is None or key.curve_name != CURVE or (private and not key.is_private):
        raise GroundError(
            f"{path} is no {'private ' if private else ''}P-256 key for {KEY_AGREEMENT} in JWK form.",
            "make one with `./onestop export key`; its private half stays with the auditor.",
        )
    return key


def sealed_lines(opened: Sequence[Opened], key: ECKey) -> Iterator[bytes]:
    """The lines of the file that these make, each with its end."""
    text = b""
    for one in opened:
        more = b'{"index":%d,"opening":%s}\n' % (one.index, one.opening)
        if text and len(text) + len(more) > BYTES_A_LINE:
            yield _sealed(text, key)
            text = b""
        text += more
    if text:
        yield _sealed(text, key)


def _sealed(text: bytes, key: ECKey) -> bytes:
    header = {"alg": KEY_AGREEMENT, "enc": ENCRYPTION, "kid": key.thumbprint(), "cty": "application/jsonl"}
    return jwe.encrypt_compact(header, text, key, registry=_REGISTRY).encode() + b"\n"


def opened_line(line: bytes, key: ECKey) -> Iterator[Opened]:
    """What a line holds. Raises VerificationError where it is not for this key, or was changed."""
    try:
        content = jwe.decrypt_compact(line, key, registry=_REGISTRY).plaintext or b""
        for text in content.splitlines():
            document = json.loads(text)
            yield Opened(int(document["index"]), json.dumps(document["opening"]).encode())
    except (JoseError, ValueError, KeyError, TypeError):
        raise VerificationError("what opens the entries is not for this key, or was changed") from None
