"""OFD documents, seals (.esl) and signature values (.dat) of other programs: read, checked, sealed again."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.eseal.gm.ses import STANDARDS, Signed, read_seal, read_signature
from services.eseal.gm.sm2 import load_sm2
from services.eseal.gm.sm2_certificate import Signer
from services.eseal.ofd.inspection import holds
from services.eseal.refusals import DocumentLockedError
from tests.unit.eseal.ofds import DAY, Sealer, inspected, sealer, unpacked

FOLDER = Path(os.environ.get("OFD_SAMPLES", "."))
NOW = datetime.now(UTC).replace(microsecond=0)


def samples(ending: str) -> list[Path]:
    """The files of a kind. Each kind must be there: a run over nothing proves nothing."""
    found = sorted(FOLDER.glob(f"*.{ending}"))
    assert found, f"OFD_SAMPLES holds no .{ending}"
    return found


@pytest.fixture(scope="module")
def ours() -> Sealer:
    span = (NOW - DAY, NOW + DAY)
    return sealer(valid=span, certified=span)


def is_signed(signed: Signed) -> bool:
    return holds(signed, Signer.load(load_sm2(), signed.certificate))


@pytest.mark.parametrize("path", samples("esl"), ids=lambda path: path.name)
def test_a_seal_is_its_makers(path: Path) -> None:
    seal = read_seal(path.read_bytes())

    assert seal.version in STANDARDS
    assert is_signed(seal.maker)


@pytest.mark.parametrize("path", samples("dat"), ids=lambda path: path.name)
def test_a_signature_value_is_its_signers_and_its_seal_its_makers(path: Path) -> None:
    said = read_signature(path.read_bytes())

    assert is_signed(said.signer)
    assert is_signed(said.seal.maker)
    assert said.seal.is_for(said.signer.certificate)


@pytest.mark.parametrize("path", samples("ofd"), ids=lambda path: path.name)
async def test_a_document_is_checked_and_takes_our_seal(path: Path, ours: Sealer) -> None:
    document = await asyncio.to_thread(path.read_bytes)
    before = inspected(document, [ours], moment=NOW)
    for found in before:
        print(f"{path.name} {found.field_name}: intact {found.intact}, valid {found.valid}, {found.signer}")
        assert found.valid
        assert not found.trusted_now

    if any(not found.intact for found in before):
        with pytest.raises(DocumentLockedError):
            await ours.put(document, moment=NOW)
        return
    sealed = await ours.put(document, moment=NOW)

    *earlier, own = inspected(sealed, [ours], moment=NOW)
    assert [(it.intact, it.valid, it.uncovered_parts) for it in earlier] == [
        (it.intact, it.valid, it.uncovered_parts) for it in before
    ]
    assert (own.intact, own.valid, own.trusted_now, own.genuine_now) == (True,) * 4
    assert own.covers_whole_document
    assert set(unpacked(document)) - {name for name in unpacked(document) if name.endswith("/")} <= set(
        unpacked(sealed)
    )


def test_at_least_one_document_bears_a_seal_that_holds() -> None:
    held = [
        found
        for path in samples("ofd")
        for found in inspected(path.read_bytes(), [], moment=NOW)
        if found.intact and found.valid
    ]

    assert held
