"""Checks an export offline: that its entries are in the log whose key is given, all of them and no others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from joserfc.jwk import ECKey

from cli.export import archive
from cli.export.openings import opened_line
from cli.export.rangeproof import root_of_run
from cli.showing import step
from core.merkle import VerificationError, leaf_hash
from core.note import Checkpoint, VerifierKey, open_checkpoint
from core.receipt import read_json, verify_receipt
from services.ledger.entry import Opening, opens


def verify(path: Path, keys: str, private: ECKey | None) -> tuple[archive.ExportManifest, list[str]]:
    """What the archive is, and in plain words what was proved. Raises VerificationError.

    `keys` are the log's verifier keys, from somewhere else than the archive, a line each. With the auditor's
    private key it is proved too that what opens the entries opens these.
    """
    with archive.Reading.open(path) as packed:
        manifest = packed.manifest()
        for name, expected in manifest.files.items():
            if packed.sum_of(name) != expected:
                raise VerificationError(f"{name} is not what the manifest says: its checksum differs")
        key, checkpoint = _checkpoint(packed.whole(archive.CHECKPOINT).decode(errors="replace"), keys)
        if checkpoint.size != manifest.size:
            raise VerificationError("the checkpoint is of another size than the manifest says")
        with step("hashing the entries") as told:
            hashes = _leaf_hashes(packed.lines(archive.ENTRIES), manifest, told)
            outer = iter(packed.hashes())
            root = root_of_run(manifest.size, manifest.first, manifest.end, hashes, outer)
        if root != checkpoint.root:
            raise VerificationError("the entries do not lead to the checkpoint's root")
        said = [
            f"entries     {manifest.first} up to, without, {manifest.end} of the {checkpoint.size} of "
            f"{checkpoint.origin}: all of them, and unaltered",
            f"signed      checkpoint of size {checkpoint.size} by {key.name}",
            _recorded(packed, keys),
            _opened(packed, manifest, private),
        ]
    return manifest, said


def _checkpoint(note: str, keys: str) -> tuple[VerifierKey, Checkpoint]:
    why = VerificationError("there is no verifier key")
    for line in keys.split():
        try:
            key = VerifierKey.parse(line)
            return key, open_checkpoint(note, key)
        except VerificationError as failure:
            why = failure
    raise why


def _leaf_hashes(lines: Iterator[bytes], manifest: archive.ExportManifest, told: object) -> Iterator[bytes]:
    assert callable(told)
    for place, line in enumerate(lines):
        told(place, manifest.end - manifest.first)
        yield leaf_hash(line)


def _recorded(packed: archive.Reading, keys: str) -> str:
    """The export itself is in the log."""
    receipt = read_json(packed.whole(archive.RECEIPT), archive.RECEIPT)
    why = VerificationError("there is no verifier key")
    for line in keys.split():
        try:
            proved = verify_receipt(receipt, VerifierKey.parse(line), answered=packed.whole(archive.MANIFEST))
        except VerificationError as failure:
            why = failure
        else:
            return f"recorded    as entry {proved.index} of the log, for {proved.entry.get('caller')}"
    raise why


def _opened(packed: archive.Reading, manifest: archive.ExportManifest, private: ECKey | None) -> str:
    if manifest.openings is None:
        return "openings    not in the archive"
    if private is None:
        return f"openings    of {manifest.openings.count} entries, not checked (--private)"
    if private.thumbprint() != manifest.openings.key_id:
        raise VerificationError("what opens the entries is encrypted to another key")
    with step("opening the entries") as told:
        count = _check_openings(packed, manifest, private, told)
    if count != manifest.openings.count:
        raise VerificationError(f"what opens entries is there for {count}, not {manifest.openings.count}")
    return f"openings    of {count} entries: each opens its entry's commitments"


def _check_openings(
    packed: archive.Reading, manifest: archive.ExportManifest, private: ECKey, told: object
) -> int:
    """How many there are; both members are read side by side, in the entries' order."""
    assert callable(told)
    leaves = enumerate(packed.lines(archive.ENTRIES), manifest.first)
    count = 0
    for line in packed.lines(archive.OPENINGS):
        for one in opened_line(line, private):
            leaf = next((leaf for index, leaf in leaves if index == one.index), None)
            try:
                fits = leaf is not None and opens(leaf, Opening.from_bytes(one.opening))
            except (ValueError, KeyError, TypeError):
                fits = False
            if not fits:
                raise VerificationError(f"what is said to open entry {one.index} does not")
            count += 1
        told(count, manifest.end - manifest.first)
    return count


def opened_entries(path: Path, private: ECKey) -> Iterator[str]:
    """The entries with what opens them, as JSON Lines, for the auditor's eyes. Verify first."""
    with archive.Reading.open(path) as packed:
        manifest = packed.manifest()
        leaves = enumerate(packed.lines(archive.ENTRIES), manifest.first)
        for line in packed.lines(archive.OPENINGS):
            for one in opened_line(line, private):
                leaf = next((leaf for index, leaf in leaves if index == one.index), None)
                if leaf is None:
                    raise VerificationError(f"there is no entry {one.index}")
                document = {"index": one.index, "entry": json.loads(leaf), "opening": json.loads(one.opening)}
                yield json.dumps(document, ensure_ascii=False)
