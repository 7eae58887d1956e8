"""The export as a file: a ZIP archive whose members are written and read as streams, each with its sum.

manifest.json    what this is: the log, the period, the entries' places, the checkpoint, the others' sums
entries.jsonl    the entries, a line each, exactly the bytes that the log's leaves are hashed from
proof.json       the hashes beside them: with the entries they lead to the checkpoint's root
checkpoint       the signed note; verifier-keys: the log's public keys, a line each
openings.jwe     what opens the entries' commitments, encrypted to the auditor: lines of compact JWE
receipt.json     the ledger's receipt of this export, over the bytes of manifest.json
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from cli.backup.form import BLOCK, FileSum
from core.merkle import VerificationError

MANIFEST, RECEIPT = "manifest.json", "receipt.json"
ENTRIES, OPENINGS, PROOF = "entries.jsonl", "openings.jwe", "proof.json"
CHECKPOINT, KEYS = "checkpoint", "verifier-keys"
LONGEST_LINE = 4 * 1024 * 1024
LARGEST_WHOLE = 1024 * 1024
"""No member but the two of lines is longer."""


class Openings(BaseModel):
    """For whom what opens the entries is encrypted, and of how many entries there is any left."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key_id: str
    """RFC 7638 thumbprint of the auditor's key."""
    count: int = Field(ge=0)


class ExportManifest(BaseModel):
    """`manifest.json`. The entries are those from `first` up to, without, `end` of a tree of `size`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["onestop-export/1"]
    made_at: AwareDatetime
    auditor: str
    reason: str
    period_from: AwareDatetime
    period_until: AwareDatetime
    first: int = Field(ge=0)
    end: int = Field(ge=0)
    size: int = Field(ge=0)
    openings: Openings | None
    files: dict[str, FileSum]


class Writing:
    """An archive that is being written."""

    def __init__(self, packed: zipfile.ZipFile) -> None:
        self._packed = packed
        self.sums: dict[str, FileSum] = {}

    @contextmanager
    def member(self, name: str) -> Iterator[Summing]:
        """A member to write to; its sum is known afterwards."""
        with self._packed.open(name, "w", force_zip64=True) as stream:
            summing = Summing(stream)
            yield summing
        self.sums[name] = FileSum(size=summing.size, sha256=summing.digest.hexdigest())

    def whole(self, name: str, content: bytes) -> None:
        """A short member."""
        with self.member(name) as stream:
            stream.write(content)


class Summing:
    """Sums what is written."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        """Writes, and sums."""
        self._stream.write(data)
        self.digest.update(data)
        self.size += len(data)


@contextmanager
def writing(path: Path) -> Iterator[Writing]:
    """A new archive at `path`, which has its end, and can be read, when this ends."""
    with zipfile.ZipFile(path, "x", compression=zipfile.ZIP_DEFLATED) as packed:
        yield Writing(packed)


class Reading:
    """An archive from somebody else: nothing in it is believed before it is checked."""

    def __init__(self, packed: zipfile.ZipFile) -> None:
        self._packed = packed

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[Self]:
        """The archive. Raises VerificationError where the file is none, or ends early."""
        try:
            with zipfile.ZipFile(path) as packed:
                yield cls(packed)
        except zipfile.BadZipFile as failure:
            raise VerificationError(f"the file is no whole archive: {failure}") from None

    def whole(self, name: str) -> bytes:
        """A short member. Raises VerificationError where it is missing or longer than it may be."""
        try:
            with self._packed.open(name) as stream:
                content = stream.read(LARGEST_WHOLE + 1)
        except KeyError:
            raise VerificationError(f"{name} is missing") from None
        if len(content) > LARGEST_WHOLE:
            raise VerificationError(f"{name} is too long")
        return content

    def has(self, name: str) -> bool:
        """Whether there is such a member."""
        return name in self._packed.namelist()

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a member, without their ends. Raises VerificationError."""
        try:
            with self._packed.open(name) as stream:
                while line := stream.readline(LONGEST_LINE):
                    if not line.endswith(b"\n"):
                        raise VerificationError(f"a line of {name} is too long, or cut off")
                    yield line[:-1]
        except KeyError:
            raise VerificationError(f"{name} is missing") from None

    def sum_of(self, name: str) -> FileSum:
        """A member's sum, read in blocks. Raises VerificationError where it is missing."""
        digest, size = hashlib.sha256(), 0
        try:
            with self._packed.open(name) as stream:
                while block := stream.read(BLOCK):
                    digest.update(block)
                    size += len(block)
        except KeyError:
            raise VerificationError(f"{name} is missing") from None
        return FileSum(size=size, sha256=digest.hexdigest())

    def manifest(self) -> ExportManifest:
        """What the archive says of itself. Raises VerificationError."""
        try:
            return ExportManifest.model_validate_json(self.whole(MANIFEST))
        except ValidationError as failure:
            first = failure.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise VerificationError(f"{MANIFEST}: {where}: {first['msg']}") from None

    def hashes(self) -> list[bytes]:
        """The hashes of the proof. Raises VerificationError."""
        try:
            return [bytes.fromhex(one) for one in json.loads(self.whole(PROOF))["outer"]]
        except (ValueError, KeyError, TypeError):
            raise VerificationError(f"{PROOF} holds no list of hashes") from None
