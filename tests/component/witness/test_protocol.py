"""The witness over HTTP, as C2SP tlog-witness has it: what it cosigns, and each way of refusing."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.cosignature import WitnessKey, cosignatures
from core.merkle import EMPTY_ROOT, leaf_hash
from core.note import Checkpoint, VerifierKey, open_checkpoint, signature_line
from services.ledger.merkle import Tree, consistency_ranges
from services.witness.logs import LogKeys
from services.witness.memory import SqliteMemory
from services.witness.rpc_http import application
from services.witness.service import Witness
from services.witness.signing import FileCosigner
from tests.fakes import FakeClock

LOG = Ed25519PrivateKey.from_private_bytes(b"\x11" * 32)
LOG_KEY = VerifierKey("log.example/one", LOG.public_key().public_bytes_raw())
OTHER = Ed25519PrivateKey.from_private_bytes(b"\x12" * 32)
OWN = Ed25519PrivateKey.from_private_bytes(b"\x13" * 32)
OWN_KEY = WitnessKey("witness.example/w1", OWN.public_key().public_bytes_raw())
LEAVES = [leaf_hash(str(number).encode()) for number in range(600)]

Client = TestClient[web.Request, web.Application]


def tree(size: int, leaves: Sequence[bytes] = LEAVES) -> Tree:
    """A tree that knows all its nodes."""
    return Tree(0, {}).grow(leaves[:size])[0]


def note(
    size: int, root: bytes = b"", *, key: VerifierKey = LOG_KEY, private: Ed25519PrivateKey = LOG
) -> str:
    text = Checkpoint(key.name, size, root or tree(size).root()).text
    return f"{text}\n{signature_line(key, private.sign(text.encode()))}"


def request(old: int, checkpoint: str, proof: Sequence[bytes] = ()) -> str:
    lines = [f"old {old}", *(base64.b64encode(one).decode() for one in proof), "", checkpoint]
    return "\n".join(lines)


def growth(old: int, size: int, leaves: Sequence[bytes] = LEAVES) -> str:
    """A good request."""
    grown = tree(size, leaves)
    proof = grown.hashes(consistency_ranges(old, size)) if 0 < old < size else ()
    return request(old, note(size, grown.root()), proof)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def witness(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Client]:
    (tmp_path / "logs").write_text(f"# the log that is watched\n{LOG_KEY}\n")
    memory = SqliteMemory.open(tmp_path / "memory.db")
    app = application(Witness(memory, LogKeys([tmp_path / "logs"]), FileCosigner(OWN_KEY, OWN), clock))
    async with TestClient(TestServer(app)) as client:
        yield client
    await memory.close()


async def ask(witness: Client, body: str | bytes) -> tuple[int, str]:
    async with witness.post(
        "/add-checkpoint", data=body.encode() if isinstance(body, str) else body
    ) as answer:
        return answer.status, await answer.text()


async def test_checkpoint_is_cosigned_with_the_time_and_shown_to_monitors(
    witness: Client, clock: FakeClock
) -> None:
    first = note(5)

    status, line = await ask(witness, request(0, first))

    assert status == 200
    assert line.startswith("— witness.example/w1 ")
    (made,) = cosignatures(first + line, [OWN_KEY])
    assert made.seconds == int(clock().timestamp())
    digest = hashlib.sha256(LOG_KEY.name.encode()).hexdigest()
    async with witness.get(f"/{digest}/checkpoint") as answer:
        shown = await answer.text()
    assert shown == first + line
    assert open_checkpoint(shown, LOG_KEY).size == 5


async def test_log_grows_step_by_step(witness: Client) -> None:
    sizes = [0, 0, 1, 1, 2, 7, 255, 256, 257, 512, 600, 600]
    for old, size in zip([0, *sizes], sizes, strict=False):
        status, line = await ask(witness, growth(old, size))
        assert status == 200, (old, size, line)
        assert cosignatures(note(size) + line, [OWN_KEY])


async def test_size_that_is_not_the_last_one_is_answered_with_that(witness: Client) -> None:
    await ask(witness, growth(0, 7))

    async with witness.post("/add-checkpoint", data=growth(5, 9)) as answer:
        assert answer.status == 409
        assert answer.headers["Content-Type"].partition(";")[0] == "text/x.tlog.size"
        assert await answer.text() == "7\n"
    assert await ask(witness, growth(0, 7)) == (409, "7\n")


async def test_rolled_back_log_is_not_cosigned(witness: Client) -> None:
    await ask(witness, growth(0, 300))

    assert (await ask(witness, request(0, note(5))))[0] == 409
    assert (await ask(witness, request(300, note(5))))[0] == 400


async def test_forked_log_is_not_cosigned(witness: Client) -> None:
    await ask(witness, growth(0, 7))
    other = [leaf_hash(b"another story"), *LEAVES[1:]]

    fork = await ask(witness, growth(7, 9, other))
    same_size = await ask(witness, request(7, note(7, tree(7, other).root())))
    unproved = await ask(witness, request(7, note(9)))

    assert [fork[0], same_size[0], unproved[0]] == [422, 422, 422]
    assert (await ask(witness, growth(7, 9)))[0] == 200


async def test_proof_from_nothing_is_empty_and_the_empty_tree_has_its_root(witness: Client) -> None:
    assert (await ask(witness, request(0, note(3), [b"\x00" * 32])))[0] == 422
    assert (await ask(witness, request(0, note(0, b"\x01" * 32))))[0] == 422
    assert (await ask(witness, request(0, note(0, EMPTY_ROOT))))[0] == 200


async def test_only_keys_of_the_origin_count(witness: Client) -> None:
    stranger = VerifierKey(LOG_KEY.name, OTHER.public_key().public_bytes_raw())
    unknown = VerifierKey("log.example/two", LOG_KEY.public)
    good = note(3)
    forged = good.replace("\n3\n", "\n4\n")

    assert (await ask(witness, request(0, note(3, key=stranger, private=OTHER))))[0] == 403
    assert (await ask(witness, request(0, forged)))[0] == 403
    assert (await ask(witness, request(0, note(3, key=unknown))))[0] == 404
    # Of unknown keys beside the log's own nothing is said, and nothing is kept.
    extra = signature_line(stranger, OTHER.sign(b"whatever"))
    status, line = await ask(witness, request(0, good + extra))
    assert status == 200
    digest = hashlib.sha256(LOG_KEY.name.encode()).hexdigest()
    async with witness.get(f"/{digest}/checkpoint") as answer:
        assert await answer.text() == good + line


async def test_wrong_signature_of_a_known_key_beside_a_good_one_is_refused(witness: Client) -> None:
    wrong = signature_line(LOG_KEY, LOG.sign(b"something else"))

    assert (await ask(witness, request(0, note(3) + wrong)))[0] == 403


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0\n",
        b"old 0\n\n",
        b"\xff\xfe",
        growth(0, 3).replace("old 0", "old 00"),
        growth(0, 3).replace("old 0", "old +0"),
        growth(0, 3).replace("old 0", "old  0"),
        growth(0, 3).replace("old 0", "OLD 0"),
        growth(0, 3).replace("old 0", "old ٣"),
        growth(0, 3).replace("old 0", "old 9999999999999999999"),
        growth(0, 3).replace("old 0\n", "old 0\nnot base64!\n"),
        growth(0, 3).replace("old 0\n", f"old 0\n{base64.b64encode(b'short').decode()}\n"),
        request(0, note(3), [b"\x00" * 32] * 64),
        request(5, note(3)),
        growth(0, 3).replace("\n3\n", "\n03\n"),
        growth(0, 3).rstrip("\n"),
        request(0, note(1 << 63, b"\x01" * 32)),
    ],
)
async def test_malformed_request_is_refused(witness: Client, body: str | bytes) -> None:
    status, why = await ask(witness, body)

    assert status == 400, why


async def test_of_two_at_once_one_is_cosigned(witness: Client) -> None:
    await ask(witness, growth(0, 4))
    sizes = [5, 6, 7, 8, 9, 10]

    answers = await asyncio.gather(*(ask(witness, growth(4, size)) for size in sizes))

    winners = [size for size, (status, _) in zip(sizes, answers, strict=True) if status == 200]
    assert len(winners) == 1
    assert {status for status, _ in answers} == {200, 409}
    assert (await ask(witness, growth(4, 11))) == (409, f"{winners[0]}\n")


async def test_what_it_has_never_cosigned_is_not_found(witness: Client) -> None:
    digest = hashlib.sha256(b"log.example/two").hexdigest()
    for path in (f"/{digest}/checkpoint", f"/{digest.upper()}/checkpoint", "/x/checkpoint"):
        async with witness.get(path) as answer:
            assert answer.status == 404


async def test_memory_that_another_process_has_moved_is_not_overwritten(
    witness: Client, tmp_path: Path
) -> None:
    """Two witnesses by mistake on one file: neither takes the other's step back."""
    await ask(witness, growth(0, 4))
    second = SqliteMemory.open(tmp_path / "memory.db")
    (tmp_path / "logs2").write_text(f"{LOG_KEY}\n")
    twin = Witness(second, LogKeys([tmp_path / "logs2"]), FileCosigner(OWN_KEY, OWN), FakeClock())

    await twin.add_checkpoint(growth(4, 9).encode())

    assert await ask(witness, growth(4, 6)) == (409, "9\n")
    await second.close()
