"""The ledger's files of a city, and how a new origin's take the place of the old one's."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.merkle import VerificationError
from core.note import VerifierKey
from deploy.local import files
from deploy.local.errors import GroundError
from deploy.local.keys import private_pem
from services.ledger.checkpoint import CheckpointNotary, KeyFileError
from services.ledger.released import LastReleasedFile


@dataclass(frozen=True)
class LedgerFiles:
    """Keys in `keys/`; the last released checkpoint, outside of what is backed up, one file for each process
    of the ledger."""

    keys: Path
    ledger: Path

    @property
    def last_checkpoints(self) -> list[Path]:
        """The files of the last released checkpoint, whether the first of them exists or not."""
        usual = self.ledger / "last-checkpoint"
        return [usual, *sorted(path for path in self.ledger.glob("last-checkpoint-*") if path.is_file())]

    @property
    def signing(self) -> Path:
        """The private key that signs checkpoints."""
        return self.keys / "ledger-signing.key"

    @property
    def verifier(self) -> Path:
        """Its public half."""
        return self.keys / "ledger.vkey"

    @property
    def next_signing(self) -> Path:
        """The new origin's private key, until it is in place."""
        return self.keys / "ledger-next-signing.key"

    @property
    def next_verifier(self) -> Path:
        """The new origin's public key, until it is in place."""
        return self.keys / "ledger-next.vkey"

    def old_keys(self) -> list[VerifierKey]:
        """The keys that the log has been signed with, the current one first. Raises GroundError."""
        try:
            lines = self.verifier.read_text(encoding="utf-8").splitlines()
            return [VerifierKey.parse(line) for line in lines if line.strip()]
        except (OSError, UnicodeDecodeError, VerificationError) as failure:
            raise GroundError(
                f"{self.verifier} is no verifier key: {failure}", "restore the city's keys first."
            ) from None

    def prepare(self, origin: str) -> CheckpointNotary:
        """The new origin's keys, made unless an earlier run has. Raises GroundError."""
        if not self.next_verifier.exists():
            private = Ed25519PrivateKey.generate()
            key = VerifierKey(origin, private.public_key().public_bytes_raw())
            files.write_private(self.next_signing, private_pem(private))
            files.write_private(self.next_verifier, f"{key}\n", mode=0o644)
        signing = self.next_signing if self.next_signing.exists() else self.signing
        try:
            notary = CheckpointNotary.load(signing, self.next_verifier)
        except KeyFileError as failure:
            raise GroundError(
                f"What an earlier run has left in {self.keys} cannot be used: {failure}",
                f"if the ledger's checkpoint does not name it, remove {self.next_signing.name} and"
                f" {self.next_verifier.name}.",
            ) from None
        if notary.origin != origin:
            raise GroundError(
                f"An earlier run has begun the origin {notary.origin}.",
                f"go on with --origin {notary.origin}.",
            )
        return notary

    async def take_over(self, checkpoint: str) -> Path:
        """Puts the new origin's checkpoint and keys in place; where the old private key lies then.

        It may be cut off after each step, and finishes when it is called again.
        """
        ended = self.keys / f"ledger-ended-{self.old_keys()[0].key_id.hex()}.key"
        for path in self.last_checkpoints:
            await LastReleasedFile(path).keep(checkpoint)
        if self.next_signing.exists():
            if not ended.exists():
                os.link(self.signing, ended)
            self.next_signing.replace(self.signing)
        # The old public key goes last: it is by that that a run which was cut off knows where it was.
        self.next_verifier.replace(self.verifier)
        return ended

    def forget_next(self) -> None:
        """Removes keys of a new origin that nothing was signed with."""
        self.next_verifier.unlink(missing_ok=True)
        self.next_signing.unlink(missing_ok=True)
