"""No published attack on PDF signatures makes a check say `valid`; no file of theirs takes a further seal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from io import BytesIO

import pytest
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import MDPPerm, SigFieldSpec, SigSeedSubFilter
from pyhanko.sign.general import SigningError
from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner

from core.errors import ServiceError
from services.eseal.domain import Place
from services.eseal.envelope import _KeystoreSigner, pades_envelope
from services.eseal.pdf.inspection import inspect
from services.eseal.pdf.sealing import prepare
from services.eseal.refusals import DocumentError, DocumentLockedError
from services.eseal.sealing.prepared import Imprint
from services.eseal.verifying.verdict import DocumentReport, Fault, Verdict, report_on
from tests.unit.eseal import attacks, attacks_beside
from tests.unit.eseal.documents import NOW, SealKit, dated, make_kit

LATER = NOW + timedelta(minutes=1)
FORGERIES: dict[str, Callable[[bytes], bytes]] = {
    **{f"range {said!r}": partial(attacks.with_range, said=said) for said in attacks.RANGES},
    **{f"value {said!r}": partial(attacks.with_value, said=said) for said in attacks.VALUES},
    **{f"without {name!r}": partial(attacks.without, name=name) for name in attacks.NEEDED},
}
UPDATES = {
    attack.__name__: attack
    for attack in (
        attacks.other_amount,
        attacks.without_a_table,
        attacks.other_catalogue,
        attacks.wrapped,
        attacks.uncovered,
        attacks.other_letters,
        attacks.other_field,
        attacks.redirected,
        attacks.redirected_alone,
        attacks.evil_annotation,
        attacks.other_picture,
        attacks.moved,
        attacks.copied_signature,
        attacks.second_field,
        attacks_beside.other_title,
        attacks_beside.other_metadata,
        attacks_beside.drawn_anew,
        attacks_beside.other_pen,
    )
}
ALL_UPDATES = {
    **UPDATES,
    "behind_the_end": attacks_beside.behind_the_end,
    "other_resources": attacks_beside.other_resources,
}
"""Of the last two, a further seal covers what changes nothing of what is seen."""


@pytest.fixture(scope="module")
def kit() -> SealKit:
    return make_kit()


@pytest.fixture(scope="module")
def stranger() -> SealKit:
    return make_kit("somebody else's authority")


async def report(kit: SealKit, document: bytes) -> DocumentReport | None:
    """What a check answers; None where it refuses to read the file."""
    try:
        found = await inspect(document, roots=[kit.root], moment=LATER)
    except DocumentError:
        return None
    return report_on(found, seals={}, signing_times={}, document_sha256="")


async def faults(kit: SealKit, document: bytes) -> list[set[Fault]]:
    """What speaks against each seal of a file that can be read, and is not valid."""
    answered = await report(kit, document)
    assert answered is not None
    assert answered.verdict is Verdict.INVALID
    return [set(seal.faults) for seal in answered.seals]


async def test_without_an_attack_the_letter_holds_and_takes_a_second_seal(kit: SealKit) -> None:
    """Else what follows would prove nothing."""
    once = await kit.seal(attacks.letter())
    twice = await kit.seal(once, field="seal-2", place=Place(1, 60, 60))

    for document in (once, twice):
        answered = await report(kit, document)
        assert answered is not None
        assert answered.verdict is Verdict.VALID


@pytest.mark.parametrize("name", FORGERIES)
async def test_a_signature_that_cannot_be_checked_is_none(kit: SealKit, name: str) -> None:
    """Universal forgery: nothing to check is not the same as nothing found."""
    forged = FORGERIES[name](await kit.seal(attacks.letter()))

    answered = await report(kit, forged)

    assert answered is None or answered.verdict is Verdict.INVALID
    with pytest.raises(DocumentError):
        await kit.seal(forged, field="seal-2")


@pytest.mark.parametrize("name", ALL_UPDATES)
async def test_what_changes_a_sealed_letter_is_told_and_takes_no_further_seal(
    kit: SealKit, name: str
) -> None:
    attacked = ALL_UPDATES[name](await kit.seal(attacks.letter()))

    answered = await report(kit, attacked)

    assert answered is None or answered.verdict is Verdict.INVALID
    with pytest.raises(DocumentError):
        await kit.seal(attacked, field="seal-2")


@pytest.mark.parametrize("name", UPDATES)
async def test_an_attack_between_two_seals_is_told_of_the_first(kit: SealKit, name: str) -> None:
    """Were the second put by a program that does not look: it covers the forgery, and cures nothing."""
    attacked = UPDATES[name](await kit.seal(attacks.letter()))
    try:
        twice = await _signed_without_looking(kit, attacked)
    except (PdfError, SigningError):  # not even that program takes it
        return

    answered = await report(kit, twice)

    assert answered is None or answered.verdict is Verdict.INVALID


@pytest.mark.parametrize(
    "attack",
    [attacks_beside.resources_written_over, attacks_beside.marks_written_over],
    ids=lambda attack: attack.__name__,
)
async def test_what_is_written_over_by_its_reference_is_told(
    kit: SealKit, attack: Callable[[bytes], bytes]
) -> None:
    """Also where a program that does not look has put a seal over it."""
    sealed = await kit.seal(attacks_beside.letter_by_references())
    assert (await report(kit, sealed) or pytest.fail("not read")).verdict is Verdict.VALID
    attacked = attack(sealed)

    for document in (attacked, await _signed_without_looking(kit, attacked)):
        assert (await faults(kit, document))[0] == {Fault.ADDED}
    with pytest.raises(DocumentLockedError):
        await kit.seal(attacked, field="seal-2")


async def test_a_field_that_is_filled_in_afterwards_is_a_change(kit: SealKit) -> None:
    assert await faults(kit, attacks.filled_field(await kit.seal(attacks.letter()))) == [{Fault.ADDED}]


async def test_other_metadata_are_told_as_a_change(kit: SealKit) -> None:
    """Not as data for the seal's validation, and not as nothing at all."""
    for attack in (attacks_beside.other_title, attacks_beside.behind_the_end):
        answered = await report(kit, attack(await kit.seal(attacks.letter())))

        assert answered is not None
        assert "content was changed after it" in answered.seals[0].summary_en


async def test_what_a_program_notes_of_itself_is_no_change(kit: SealKit) -> None:
    """Programs that add validation data write when they did so."""
    noted = attacks_beside.programs_note(await kit.seal(attacks.letter()))

    answered = await report(kit, noted)

    assert answered is not None
    assert answered.verdict is Verdict.VALID
    await kit.seal(noted, field="seal-2")


@pytest.mark.parametrize("off", [timedelta(days=3650), timedelta(days=-3650)])
async def test_a_time_before_the_certificate_or_in_the_future_is_told(kit: SealKit, off: timedelta) -> None:
    """Whoever holds a key may write any time."""
    imprint = Imprint(kit.picture, field_name="seal-1", signer_name="office", moment=NOW + off)
    prepared = prepare(attacks.letter(), Place(), imprint)
    dated = prepared.filled(await pades_envelope(kit.signer, prepared.digest))

    assert await faults(kit, dated) == [{Fault.TIME}]


async def test_a_letter_keeps_its_metadata_through_validation_data_and_a_second_seal(kit: SealKit) -> None:
    titled = attacks_beside.other_metadata(attacks.letter())
    noted = attacks_beside.programs_note(await kit.seal(titled))

    twice = await kit.seal(noted, field="seal-2", place=Place(1, 60, 60))

    answered = await report(kit, twice)
    assert answered is not None
    assert answered.verdict is Verdict.VALID
    metadata = PdfFileReader(BytesIO(twice)).root["/Metadata"]
    assert b"pay 900" in metadata.data


async def test_a_letter_whose_form_was_taken_out_proves_nothing(kit: SealKit) -> None:
    """The picture is still on the page; only the signature would prove anything."""
    answered = await report(kit, attacks.without_the_form(await kit.seal(attacks.letter())))

    assert answered is not None
    assert answered.verdict is Verdict.UNSEALED


@pytest.mark.parametrize("level", [MDPPerm.NO_CHANGES, MDPPerm.FILL_FORMS, MDPPerm.ANNOTATE])
async def test_a_certified_letter_is_told_of_an_annotation_whatever_it_allows(
    kit: SealKit, level: MDPPerm
) -> None:
    certified = await asyncio.to_thread(kit.certified, attacks.letter(), level)
    assert (await report(kit, certified) or pytest.fail("not read")).verdict is Verdict.VALID

    assert Fault.ADDED in (await faults(kit, attacks.evil_annotation(certified)))[0]


@pytest.mark.parametrize("level", [MDPPerm.FILL_FORMS, MDPPerm.ANNOTATE])
async def test_a_strangers_signature_over_a_certified_letter_is_not_believed(
    kit: SealKit, stranger: SealKit, level: MDPPerm
) -> None:
    """Sneaky signature: its picture may show anything, so a letter that bears it is not valid."""
    certified = await asyncio.to_thread(kit.certified, attacks.letter(), level)

    sneaked = await _signed_without_looking(stranger, certified, SigFieldSpec("seal-2", box=attacks.RECT))

    assert Fault.UNTRUSTED in (await faults(kit, sneaked))[-1]


async def test_a_strangers_field_over_a_seal_is_not_believed(kit: SealKit, stranger: SealKit) -> None:
    """Overlapping fields: the later picture covers the seal's own."""
    covered = await stranger.seal(
        await kit.seal(attacks.letter(), place=Place(1, 60, 60)), field="over", place=Place(1, 60, 60)
    )

    assert (await faults(kit, covered))[1] == {Fault.UNTRUSTED}


@pytest.mark.parametrize("rect", [(50, 50, 550, 800), (50, 50, 550, 800, 0), (0, 0, 0, 1), (0, 0, 0, 0)])
async def test_a_timestamp_that_shows_a_picture_is_no_validation_data(
    kit: SealKit, rect: tuple[int, ...]
) -> None:
    sealed = await kit.seal(attacks.letter())

    answered = await report(kit, attacks.shown_timestamp(sealed, bytes(64), rect))

    assert answered is None or answered.verdict is Verdict.INVALID


@pytest.mark.parametrize("at", [b"pay 100", b"value"])
async def test_a_seal_that_does_not_hold_takes_no_further_seal(kit: SealKit, at: bytes) -> None:
    """Else a fresh seal would lend its word to a letter that somebody changed."""
    sealed = await kit.seal(attacks.letter())
    value = sealed.rindex(b"/Contents <")
    position = sealed.index(at) + 4 if at != b"value" else value + len(sealed[value:].split(b"0" * 64)[0]) - 6
    changed = bytearray(sealed)
    changed[position] = ord("0") if changed[position] != ord("0") else ord("1")

    with pytest.raises(ServiceError) as refused:
        await kit.seal(bytes(changed), field="seal-2")

    assert isinstance(refused.value, DocumentLockedError)


async def _signed_without_looking(kit: SealKit, document: bytes, field: SigFieldSpec | None = None) -> bytes:
    """The file with another trusted signature, by a program that checks nothing of the earlier ones."""
    meta = PdfSignatureMetadata(field_name="seal-2", subfilter=SigSeedSubFilter.PADES, md_algorithm="sha256")
    writer = IncrementalPdfFileWriter(BytesIO(document), strict=False)
    signer = PdfSigner(meta, _KeystoreSigner(kit.signer), new_field_spec=field)
    with dated():
        signed = await signer.async_sign_pdf(writer, bytes_reserved=8192)
    return bytes(signed.getvalue())
