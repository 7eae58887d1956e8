"""A new origin's keys take the old one's place, wherever the command is cut off."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.ledger.__main__ import next_origin
from cli.ledger.files import LedgerFiles
from core.note import VerifierKey, open_checkpoint
from deploy.local.errors import GroundError
from deploy.local.keys import make_keys
from services.ledger.checkpoint import CheckpointNotary
from services.ledger.domain import TreeHead
from services.ledger.released import LastReleasedFile

HEAD = TreeHead(7, b"\x01" * 32)
SECOND = "onestop.example/ledger-2"


class CutOffError(Exception):
    """The machine went down."""


@pytest.fixture
def files(tmp_path: Path) -> LedgerFiles:
    make_keys(tmp_path / "keys", ["ledger"])
    (tmp_path / "ledger").mkdir()
    return LedgerFiles(tmp_path / "keys", tmp_path / "ledger")


async def finished(files: LedgerFiles, old: VerifierKey, signing: bytes) -> None:
    """Everything is where it belongs: a pair of the new origin, its checkpoint, the old private key aside."""
    (key,) = files.old_keys()
    assert (key.name, key.public == old.public) == (SECOND, False)
    assert CheckpointNotary.load(files.signing, files.verifier).origin == SECOND
    for path in files.last_checkpoints:
        kept = await LastReleasedFile(path).read()
        assert kept is not None
        assert open_checkpoint(kept, key).size == 7
    assert (files.keys / f"ledger-ended-{old.key_id.hex()}.key").read_bytes() == signing
    assert not files.next_signing.exists()
    assert not files.next_verifier.exists()
    assert oct(files.signing.stat().st_mode)[-3:] == "600"


async def test_new_keys_take_the_place_of_the_old_ones(files: LedgerFiles) -> None:
    (old,), signing = files.old_keys(), files.signing.read_bytes()
    (files.ledger / "last-checkpoint-standby").write_bytes(b"")

    notary = files.prepare(SECOND)
    (files.ledger / "last-checkpoint-standby").unlink()
    await LastReleasedFile(files.ledger / "last-checkpoint-standby").keep(notary.sign(HEAD))
    ended = await files.take_over(notary.sign(HEAD))

    await finished(files, old, signing)
    assert len(files.last_checkpoints) == 2
    assert ended.read_bytes() == signing


@pytest.mark.parametrize("steps", range(4))
async def test_run_that_was_cut_off_is_finished_by_the_next(
    files: LedgerFiles, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """After so many of: the checkpoint is kept, the old key aside, the new private one in place."""
    (old,), signing = files.old_keys(), files.signing.read_bytes()
    notary = files.prepare(SECOND)
    done = 0

    def counted(step: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            nonlocal done
            if done == steps:
                raise CutOffError
            done += 1
            return step(*arguments, **named)

        return run

    with monkeypatch.context() as patched:
        patched.setattr(LastReleasedFile, "keep", counted(LastReleasedFile.keep))
        patched.setattr(os, "link", counted(os.link))
        # Of the two moves of keys alone: keeping a checkpoint moves a file of its own.
        moves = counted(Path.replace)
        patched.setattr(
            Path, "replace", lambda own, to: (moves if own.parent == files.keys else Path.rename)(own, to)
        )
        with pytest.raises(CutOffError):
            await files.take_over(notary.sign(HEAD))

    again = files.prepare(SECOND)
    assert again.verifier_key == notary.verifier_key
    await files.take_over(again.sign(HEAD))

    await finished(files, old, signing)


def test_keys_that_were_cut_off_in_the_making_are_made_anew(files: LedgerFiles) -> None:
    files.next_signing.write_bytes(b"half of a ke")

    assert files.prepare(SECOND).origin == SECOND


def test_another_origin_than_the_one_begun_is_refused(files: LedgerFiles) -> None:
    files.prepare(SECOND)

    with pytest.raises(GroundError, match=r"has begun the origin onestop\.example/ledger-2"):
        files.prepare("onestop.example/other")


def test_city_without_its_keys_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(GroundError, match="no verifier key"):
        LedgerFiles(tmp_path, tmp_path).old_keys()


@pytest.mark.parametrize(
    ("origin", "following"),
    [
        ("a.example/ledger", "a.example/ledger-2"),
        ("a.example/ledger-2", "a.example/ledger-3"),
        ("a.example/ledger-99", "a.example/ledger-100"),
        ("a-b.example/l-x", "a-b.example/l-x-2"),
        ("a.example/ledger-0", "a.example/ledger-0-2"),
    ],
)
def test_usual_name_of_the_following_log(origin: str, following: str) -> None:
    assert next_origin(origin) == following
