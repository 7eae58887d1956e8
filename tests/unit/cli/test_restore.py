"""A restore puts its pieces in place whatever interrupts it, and judges by what was released last."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.backup.logproof import Growing, Proved
from cli.restore import place
from cli.restore.database import Until
from cli.restore.released import Released, judge
from core.merkle import EMPTY_ROOT, leaf_hash
from core.note import Checkpoint
from deploy.local.errors import GroundError
from deploy.local.settings import Settings, read_settings
from services.ledger.merkle import Tree


class PowerCutError(Exception):
    """The machine went off."""


def staged(home: Path) -> Settings:
    """A home with an old city in it, a new one staged, and everything decided."""
    settings = read_settings({"ONESTOP_HOME": str(home)})
    for name in ("pg", "keys", "ledger"):
        (home / name).mkdir(parents=True)
        (home / name / "age").write_text("old")
    stage = place.begin(settings)
    for name in ("pg", "keys", "pki"):
        (stage / name).mkdir()
        (stage / name / "age").write_text("new")
    (stage / "settings.json").write_text("{}")
    place.settle(settings, ["done"], 0)
    return settings


@pytest.mark.parametrize("cut_after", range(8))
def test_a_restore_that_is_cut_off_anywhere_is_finished_by_the_next(
    cut_after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = staged(tmp_path)
    moves = place.unsettled(settings)
    assert moves is not None
    left, rename = [cut_after], Path.rename

    def cut(path: Path, target: Path) -> Path:
        if left[0] == 0:
            raise PowerCutError
        left[0] -= 1
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", cut)
        try:
            place.finish(settings, moves)
        except PowerCutError:
            again = place.unsettled(settings)
            assert again == moves
    if (again := place.unsettled(settings)) is not None:
        place.finish(settings, again)

    ages = {one.name: (one / "age").read_text() for one in tmp_path.iterdir() if (one / "age").exists()}
    assert ages == {"pg": "new", "keys": "new", "pki": "new"}
    aside = tmp_path / moves.aside_to
    assert {one.name: (one / "age").read_text() for one in aside.iterdir()} == {
        "pg": "old",
        "keys": "old",
        "ledger": "old",
    }
    assert (tmp_path / "settings.json").exists()
    assert not settings.restoring.exists()
    assert not (tmp_path / place.STAGE).exists()


def test_a_home_in_use_is_refused(tmp_path: Path) -> None:
    settings = read_settings({"ONESTOP_HOME": str(tmp_path)})
    with place.alone(settings):
        assert (settings.run / "lock").read_text() == f"{os.getpid()}\n"
        with pytest.raises(GroundError, match="A city runs"), place.alone(settings):
            pass


def test_the_tree_of_the_proof_is_the_ledgers() -> None:
    growing, tree = Growing(), Tree(0, {})
    assert growing.root() == EMPTY_ROOT
    for index in range(600):
        leaf = leaf_hash(str(index).encode())
        growing.add(leaf)
        tree, _ = tree.grow([leaf])
        assert growing.root() == tree.root()


@pytest.mark.parametrize(
    ("size", "released", "expected"),
    [
        (0, None, None),
        (3, 3, None),
        (4, 3, None),
        (3, None, "nobody says"),
        (3, 5, "2 entries are missing"),
        (0, 1, "1 entries are missing"),
    ],
)
def test_a_ledger_goes_on_only_with_all_that_it_released(
    size: int, released: int | None, expected: str | None
) -> None:
    known = None if released is None else Released("", Checkpoint("o", released, b"\0" * 32))

    why = judge(Proved(size, b"\0" * 32), known)

    assert (expected is None) == (not why)
    assert expected is None or expected in " ".join(why)


def test_a_folder_with_strange_signs_is_one_word_of_the_restore_command() -> None:
    until = Until(Path("/srv/the city's 100% log"))

    assert until.settings()["restore_command"] == """cp '/srv/the city'"'"'s 100%% log'/%f "%p\""""
    assert "recovery_target_name" not in until.settings()
