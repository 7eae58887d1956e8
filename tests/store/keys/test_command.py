"""The command itself, as an operator runs it: another process, which may be killed."""

from __future__ import annotations

import asyncio
import base64
import os
import random
import re
import signal
import subprocess
import sys

import pytest

from deploy.local.migrate import PARTS, ROOT
from tests.database import CityDatabase
from tests.store.keys.harness import data_versions, execute, look, ring_of

SEALING = [part for part in PARTS if part != "issuer"]


def start(database: CityDatabase, *arguments: str) -> subprocess.Popen[str]:
    """`onestop keys …` for this city, whose database is an outside one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ONESTOP_")}
    return subprocess.Popen(
        [sys.executable, "-m", "cli", "keys", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={
            **kept,
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "gen"))),
            "DATABASE_URL": database.admin_dsn,
            "ONESTOP_HOME": str(database.keys.parent),
        },
    )


def run(database: CityDatabase, *arguments: str) -> tuple[int, str]:
    """The exit code and what was printed."""
    with start(database, *arguments) as process:
        output, _ = process.communicate(timeout=120)
    return process.returncode, output


def let_use_codes_expire(database: CityDatabase) -> None:
    """As ten minutes later."""
    execute(database, "UPDATE licence.data_key SET retired_at = retired_at - interval '10 min'")


def let_guesses_expire(database: CityDatabase) -> None:
    """As a day later."""
    execute(database, "UPDATE autofill.guess_subject SET last_tried_at = now() - interval '25 h'")


def test_show_tells_versions_and_never_a_key(filled: CityDatabase) -> None:
    code, output = run(filled, "show")

    assert code == 0
    for part in PARTS:
        assert re.search(rf"^{part} +1 +(1|none yet) +1 +0 +-$", output, re.MULTILINE)
        ring = ring_of(filled, part)
        for key in (*ring.kek.values(), *ring.index.values(), ring.hashing_key):
            assert base64.b64encode(key).decode() not in output
            assert key.hex() not in output


def test_show_tells_what_is_left_of_a_rotation(filled: CityDatabase) -> None:
    assert run(filled, "rotate", "data", "--part", "licence", "--patience", "0")[0] == 3
    assert run(filled, "rotate", "index", "--part", "autofill", "--patience", "0")[0] == 3

    _, output = run(filled, "show", "--part", "licence", "--part", "autofill")

    assert re.search(r"^licence +1 +1 \(retired\), 2 \(current\) +1 +0 +-$", output, re.MULTILINE)
    assert re.search(
        r"^autofill +1 +1 +1, 2 \(current\) +0 +1 in guess_subject \(index key\)$", output, re.MULTILINE
    )
    let_use_codes_expire(filled)
    let_guesses_expire(filled)
    assert run(filled, "rotate", "data", "--part", "licence")[0] == 0
    assert run(filled, "rotate", "index", "--part", "autofill")[0] == 0
    assert data_versions(filled, "licence") == [2]


@pytest.mark.parametrize("kind", ["kek", "data", "index"])
async def test_killed_again_and_again_it_finishes_in_the_end(filled: CityDatabase, kind: str) -> None:
    before = {part: await look(filled, part) for part in SEALING}
    rings = {part: ring_of(filled, part) for part in PARTS}
    versions = {part: data_versions(filled, part) for part in PARTS}
    chance = random.Random(440200)

    finished = interrupted = 0
    while not finished and interrupted < 40:
        process = start(filled, "rotate", kind, "--patience", "0")
        # Most of a run is Python's own start: the kills are meant for what comes after it.
        assert process.stdout is not None
        first = process.stdout.readline() if interrupted % 4 else ""
        await asyncio.sleep(chance.uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        output, _ = process.communicate()
        if process.returncode == 0:
            finished += 1
        interrupted += process.returncode == -signal.SIGKILL
        if interrupted >= 8:
            let_use_codes_expire(filled)
            execute(filled, "DELETE FROM autofill.guess_subject WHERE index_version = 1")
            code, output = run(filled, "rotate", kind)
            assert (code, "NOT DONE" in first + output) == (0, False), output
            finished += 1

    assert interrupted
    for part in SEALING:
        after = await look(filled, part)
        assert after.values == before[part].values
        assert after.hashed == before[part].hashed
        assert len(data_versions(filled, part)) == 1
    for part in PARTS:
        ring = ring_of(filled, part)
        assert (len(ring.kek), len(ring.index)) == (1, 1)
        if kind == "kek":
            assert ring.current_kek > rings[part].current_kek
        elif kind == "index":
            assert ring.current_index > rings[part].current_index
        elif versions[part]:
            assert data_versions(filled, part) > versions[part]


def test_a_run_that_was_cut_off_goes_on_with_what_is_left(filled: CityDatabase) -> None:
    journal = filled.keys / "rotating-kek"
    journal.write_text("eseal\nidp\n")
    before = {part: ring_of(filled, part).current_kek for part in PARTS}

    assert "a rotation (kek) is not finished for eseal, idp" in run(filled, "show")[1]
    code, output = run(filled, "rotate", "kek")

    assert code == 0
    assert "going on with a rotation that was cut off: eseal, idp" in output
    after = {part: ring_of(filled, part).current_kek for part in PARTS}
    assert {part for part in PARTS if after[part] != before[part]} == {"eseal", "idp"}
    assert not journal.exists()


def test_one_part_that_cannot_be_done_leaves_the_others_done(filled: CityDatabase) -> None:
    path = filled.keyring("eseal")
    kept = path.read_bytes()
    path.write_text("{}")
    before = ring_of(filled, "idp").current_kek

    code, output = run(filled, "rotate", "kek", "--part", "eseal", "--part", "idp")

    path.write_bytes(kept)
    assert code == 1
    assert "eseal: NOT DONE: the key file cannot be used" in output
    assert ring_of(filled, "idp").current_kek == before + 1


def test_a_part_without_a_key_file_is_left_out(filled: CityDatabase) -> None:
    path = filled.keyring("idp")
    aside = path.rename(path.with_name("aside"))

    code, output = run(filled, "show")
    alone, refused = run(filled, "rotate", "kek", "--part", "idp")

    aside.rename(path)
    assert (code, alone) == (0, 1)
    assert "left out, without a key file: idp" in output
    assert "idp: NOT DONE: the key file cannot be used" in refused


def test_wrong_arguments_and_no_city_are_told(filled: CityDatabase) -> None:
    assert run(filled, "rotate", "everything")[0] == 2
    assert run(filled, "rotate", "kek", "--part", "nobody")[0] == 2

    environment = {**os.environ, "ONESTOP_HOME": str(filled.keys / "nowhere")}
    environment.pop("DATABASE_URL", None)
    done = subprocess.run(
        [sys.executable, "-m", "cli", "keys", "show"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert done.returncode == 1
    assert "There is no city in" in done.stderr
    assert "What to do" in done.stderr
