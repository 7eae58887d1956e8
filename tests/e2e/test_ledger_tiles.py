"""The public log as an outsider reads it: a checkpoint and tiles over HTTPS, and nothing else.

The client here is written from C2SP tlog-tiles and RFC 6962 alone; it shares no code with the ledger.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import httpx2
import pytest

from core.merkle import verify_consistency, verify_inclusion
from core.note import Checkpoint, VerifierKey, open_checkpoint
from tests.city import City
from tests.e2e.contract import Contract, refused
from tests.story import ID_CARD, Json, Machine, case_of, person

PREFIX = "/ledger/v1"


class Reader:
    """An outsider with the log's public key and its address."""

    def __init__(self, client: httpx2.Client, key: VerifierKey) -> None:
        self._client = client
        self._key = key
        self._tiles: dict[tuple[int, int, int], bytes] = {}

    def get(self, path: str) -> httpx2.Response:
        return self._client.get(f"{PREFIX}/{path}")

    def checkpoint(self) -> Checkpoint:
        answer = self.get("checkpoint")
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        return open_checkpoint(answer.text, self._key)

    def root(self, low: int, high: int, size: int) -> bytes:
        """MTH(D[low:high]) of the tree of `size` leaves, from as few tiles as hold it."""
        count = high - low
        if count & (count - 1) == 0 and low % count == 0:
            return self._subtree(low, count.bit_length() - 1, size)
        middle = low + (1 << ((count - 1).bit_length() - 1))
        return _node(self.root(low, middle, size), self.root(middle, high, size))

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """RFC 6962 section 2.1.1."""

        def path(m: int, low: int, high: int) -> list[bytes]:
            if high - low == 1:
                return []
            k = 1 << ((high - low - 1).bit_length() - 1)
            if m < k:
                return [*path(m, low, low + k), self.root(low + k, high, size)]
            return [*path(m - k, low + k, high), self.root(low, low + k, size)]

        return path(index, 0, size)

    def consistency(self, old: int, size: int) -> list[bytes]:
        """RFC 6962 section 2.1.2."""

        def subproof(m: int, low: int, high: int, whole: bool) -> list[bytes]:
            if m == high - low:
                return [] if whole else [self.root(low, high, size)]
            k = 1 << ((high - low - 1).bit_length() - 1)
            if m <= k:
                return [*subproof(m, low, low + k, whole), self.root(low + k, high, size)]
            return [*subproof(m - k, low + k, high, False), self.root(low, low + k, size)]

        return subproof(old, 0, size, True)

    def _subtree(self, low: int, height: int, size: int) -> bytes:
        """The root of a complete subtree, from the highest tile level at or below it."""
        level = height // 8
        row = [self._hash(level, (low >> (8 * level)) + place, size) for place in range(1 << (height % 8))]
        while len(row) > 1:
            row = [_node(row[at], row[at + 1]) for at in range(0, len(row), 2)]
        return row[0]

    def _hash(self, level: int, position: int, size: int) -> bytes:
        index, place = divmod(position, 256)
        width = min(256, (size >> (8 * level)) - 256 * index)
        tile = self._tile(level, index, width)
        return tile[32 * place : 32 * place + 32]

    def _tile(self, level: int, index: int, width: int) -> bytes:
        if (level, index, width) not in self._tiles:
            answer = self.get(tile_path(level, index, width))
            assert answer.status_code == 200, answer.text
            assert answer.headers["Content-Type"] == "application/octet-stream"
            assert len(answer.content) == 32 * width
            assert ("immutable" in answer.headers["Cache-Control"]) == (width == 256)
            self._tiles[level, index, width] = answer.content
        return self._tiles[level, index, width]


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def tile_path(level: int, index: int, width: int) -> str:
    """`tile/<L>/<N>[.p/<W>]`."""
    groups = [f"{index % 1000:03}"]
    while index := index // 1000:
        groups.insert(0, f"x{index % 1000:03}")
    return f"tile/{level}/{'/'.join(groups)}" + (f".p/{width}" if width < 256 else "")


@pytest.fixture(scope="module")
def reader(city: City, contract: Contract) -> Iterator[Reader]:
    key = VerifierKey.parse((city.settings.keys / "ledger.vkey").read_text())
    with httpx2.Client(
        base_url=city.people, verify=city.tls(), event_hooks={"response": [contract.check]}
    ) as client:
        yield Reader(client, key)


@pytest.fixture(scope="module")
def filled(city: City, platform: Machine, cast: Json, reader: Reader) -> Checkpoint:
    """A log with a full tile, and some entries more."""
    body = {"case": case_of(city), "holder": person(cast["applicant"]["code"]), "type_codes": [ID_CARD]}
    while (seen := reader.checkpoint()).size < 300:
        platform.post("/approval/v1/licences:search", body)
    return seen


def test_the_root_is_recomputed_from_tiles_alone(reader: Reader, filled: Checkpoint) -> None:
    assert reader.root(0, filled.size, filled.size) == filled.root


def test_a_receipt_s_inclusion_is_proved_from_tiles_alone(
    city: City, platform: Machine, cast: Json, reader: Reader, filled: Checkpoint
) -> None:
    body = {"case": case_of(city), "holder": person(cast["applicant"]["code"]), "type_codes": [ID_CARD]}
    receipt = platform.post("/approval/v1/licences:search", body)["receipt"]
    seen = reader.checkpoint()
    (leaf,) = [reader._hash(0, receipt["index"], seen.size)]

    proof = reader.inclusion(receipt["index"], seen.size)

    verify_inclusion(leaf, receipt["index"], seen.size, proof, seen.root)


def test_growth_is_proved_from_tiles_alone(
    city: City, platform: Machine, cast: Json, reader: Reader, filled: Checkpoint
) -> None:
    body = {"case": case_of(city), "holder": person(cast["applicant"]["code"]), "type_codes": [ID_CARD]}
    platform.post("/approval/v1/licences:search", body)
    seen = reader.checkpoint()
    assert seen.size > filled.size

    proof = reader.consistency(filled.size, seen.size)

    verify_consistency(filled.size, filled.root, seen.size, seen.root, proof)


def test_a_tile_is_cut_to_the_width_that_is_asked_for(reader: Reader, filled: Checkpoint) -> None:
    full = reader.get("tile/0/000").content

    assert len(full) == 8192
    for width in (1, 100, 255):
        assert reader.get(f"tile/0/000.p/{width}").content == full[: 32 * width]


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/x001/x234/067",  # not yet there
        "tile/0/x001/x234/067.p/255",
        "tile/1/000",
        "tile/1/000.p/200",
        "tile/9/000.p/1",
        "tile/63/000.p/1",
        "tile/64/000",
        "tile/00/000",
        "tile/-1/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/000",
        "tile/0/x01/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000/",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/entries/000",
        "tile/entries/000.p/1",
    ],
)
def test_what_is_no_tile_or_not_yet_one_is_not_found(reader: Reader, filled: Checkpoint, path: str) -> None:
    problem = refused(reader.get(path), 404, "TILE_NOT_FOUND")

    assert problem["part"] in {"gateway", "ledger"}
