"""The rotation of the key that signs the ledger's checkpoints, with overlap.

The next key signs beside the current one for as long as those who verify need to learn it; then alone.
What signs is in `ledger-signing.key` (the current key first), what verifies in `ledger.vkey`: that of a key
that signs no more stays there, so that what it has signed verifies for good. How far a rotation is can be
read from these two files and the table `signing_key`, so it may be broken off after any step.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cli.keys.part import KeysError, Part, Q
from core.merkle import VerificationError
from core.note import parse_keys
from core.production import DEVELOPMENT_MARK
from core.vault import GONE_SECONDS
from deploy.local import files
from deploy.local.keys import private_pem, verifier_key

_PEM = re.compile(rb"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----\s*", re.DOTALL)


class SigningFiles:
    """The two files, in the folder of the city's keys."""

    def __init__(self, folder: Path) -> None:
        self._signing = folder / "ledger-signing.key"
        self._verifying = folder / "ledger.vkey"

    def signing(self) -> list[Ed25519PrivateKey]:
        """What signs, the current key first. Raises KeysError."""
        try:
            keys = [load_pem_private_key(one, None) for one in _PEM.findall(self._signing.read_bytes())]
        except (OSError, ValueError, TypeError):
            keys = []
        found = [key for key in keys if isinstance(key, Ed25519PrivateKey)]
        if not found or len(found) != len(keys):
            raise KeysError(f"{self._signing.name} does not hold Ed25519 keys in PEM form")
        return found

    def published(self) -> list[str]:
        """What verifies, a verifier key each. Raises KeysError."""
        try:
            return [str(key) for key in parse_keys(self._verifying.read_text(encoding="utf-8"))]
        except (OSError, UnicodeDecodeError, VerificationError) as failure:
            raise KeysError(f"{self._verifying.name} cannot be used: {failure}") from None

    def line(self, key: Ed25519PrivateKey) -> str:
        """A key's public half under the log's origin."""
        origin = self.published()[0].partition("+")[0]
        return verifier_key(origin, key.public_key())

    def sign_with(self, keys: Sequence[Ed25519PrivateKey]) -> None:
        """Replaces what signs, durably; keys that follow one of development's are development's too."""
        mark = DEVELOPMENT_MARK if DEVELOPMENT_MARK in self._signing.read_bytes() else b""
        files.write_private(self._signing, mark + b"".join(private_pem(key) for key in keys))

    def publish(self, first: Sequence[str]) -> None:
        """Puts these verifier keys before the others, durably; none is ever taken out."""
        lines = dict.fromkeys([*first, *self.published()])
        files.write_private(self._verifying, "\n".join(lines) + "\n", mode=0o644)


async def rotate_signing(part: Part) -> None:
    """A new key that signs beside the current one; after the overlap it signs alone."""
    held = SigningFiles(part.folder)
    keys = held.signing()
    if len(keys) == 1 and not await part.rows(Q.key_not_alone_yet, key=held.line(keys[0])):
        keys.append(Ed25519PrivateKey.generate())
        held.sign_with(keys)
        await part.step("the next signing key is made")
        part.say("the next signing key is made")
    if len(keys) > 1:
        await _overlap(part, held, keys)
        keys = keys[1:]
        held.publish([held.line(keys[0])])
        held.sign_with(keys)
        await part.step("the old signing key is dropped")
        part.say("the old signing key is dropped; its verifier key stays published")
    alone = held.line(keys[0])
    await _every_ledger(part, lambda signs, _knows: signs == {alone}, "stopped signing with the old key")
    await part.run(Q.key_alone, key=alone)


async def _overlap(part: Part, held: SigningFiles, keys: Sequence[Ed25519PrivateKey]) -> None:
    """From when this returns on, whoever verifies has had the time to learn the next key."""
    lines = [held.line(key) for key in keys]
    held.publish(lines)
    await part.step("the next verifier key is published")
    both = frozenset(lines)
    await _every_ledger(part, lambda signs, knows: both <= signs and both <= knows, "begun to sign with both")
    await part.run(Q.key_beside, key=lines[1])
    await part.step("both keys sign")
    (row,) = await part.rows(Q.seconds_beside, key=lines[1])
    part.say(f"both keys sign; whoever verifies needs the new line of ledger.vkey: {lines[1]}")
    await part.expired("those who verify", part.pace.overlap - row["seconds"])


async def _every_ledger(
    part: Part, does: Callable[[frozenset[str], frozenset[str]], bool], what: str
) -> None:
    """Returns when every ledger that runs says so."""
    reminded = -part.pace.remind
    while True:
        rows = await part.rows(Q.live_signers, gone=GONE_SECONDS)
        behind = [
            row["process"] for row in rows if not does(frozenset(row["signs"]), frozenset(row["knows"]))
        ]
        if not behind:
            return
        if time.monotonic() - reminded > part.pace.remind:
            part.say(f"waiting until {', '.join(behind)} {'has' if len(behind) == 1 else 'have'} {what}")
            reminded = time.monotonic()
        await asyncio.sleep(part.pace.poll)
