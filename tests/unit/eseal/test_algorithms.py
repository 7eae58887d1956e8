"""Each algorithm of seals, from a key to a PDF that other programs find right; wrong pairs are refused."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import async_validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from services.eseal.domain import SUITES, Algorithm, Format, Place
from services.eseal.envelope import envelope_by_pyhanko, pades_envelope
from services.eseal.keys.signers import VaultSigner, is_signed
from services.eseal.keystore import _GENERATORS
from services.eseal.levels import Level
from services.eseal.pdf.inspection import inspect
from services.eseal.pdf.sealing import prepare
from services.eseal.refusals import KeyUnknownError, SealNotForFormatError
from services.eseal.sealing.prepared import Imprint
from services.eseal.sealing.pressing import room_of
from tests.unit.eseal.documents import KIND, NOW, OFFICE, OFFICE_CODE, SealKit, make_kit, parsed, plain

KIT = make_kit()
FOR_PDF = [one for one, suite in SUITES.items() if suite.format is Format.PDF]
SIGNERS: dict[Algorithm, VaultSigner] = {}


def issued(key: object) -> bytes:
    """A certificate of the kit's authority for a public key of any kind."""
    return KIT.authority.issue(
        key,  # type: ignore[arg-type]
        seal_name=OFFICE + KIND,
        owner_code=OFFICE_CODE,
        owner_name=OFFICE,
        valid_from=NOW - timedelta(days=1),
        valid_until=NOW + timedelta(days=365),
    )


def kit_of(algorithm: Algorithm) -> SealKit:
    """A seal with a key of this kind, made once."""
    if algorithm not in SIGNERS:
        key = _GENERATORS[algorithm]()
        SIGNERS[algorithm] = VaultSigner(key, issued(key.public_key()))
    return replace(KIT, signer=SIGNERS[algorithm])


async def sealed(algorithm: Algorithm) -> tuple[bytes, bytes]:
    """A PDF sealed by the prepared path, and the CMS object in it."""
    kit, document = kit_of(algorithm), plain()
    prepared = prepare(document, Place(), Imprint(kit.picture, "seal-1", OFFICE + KIND, NOW))
    digest = prepared.digest_after(hashlib.new(SUITES[algorithm].digest, document))
    value = await pades_envelope(kit.signer, digest)
    return prepared.filled(value), value


def program(name: str) -> str:
    """A program's path; skips where this machine has none."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not on this machine")
    return found


def ran(folder: Path, *command: str) -> subprocess.CompletedProcess[bytes]:
    """A command that has ended, whatever it says."""
    return subprocess.run(command, cwd=folder, capture_output=True, check=False)


@pytest.mark.parametrize("algorithm", FOR_PDF)
async def test_a_document_sealed_with_it_is_found_right_by_pyhanko_and_by_our_own_report(
    algorithm: Algorithm,
) -> None:
    document, _ = await sealed(algorithm)

    (signature,) = PdfFileReader(BytesIO(document)).embedded_signatures
    status = await async_validate_pdf_signature(
        signature, ValidationContext(trust_roots=[parsed(KIT.root)], allow_fetching=False, moment=NOW)
    )
    assert status.bottom_line
    assert status.md_algorithm == SUITES[algorithm].digest
    (finding,) = await inspect(document, roots=[KIT.root], moment=NOW)
    assert (finding.intact, finding.valid, finding.trusted_now) == (True, True, True)
    assert finding.algorithm == algorithm.value


@pytest.mark.parametrize("algorithm", FOR_PDF)
async def test_a_changed_byte_shows(algorithm: Algorithm) -> None:
    document, _ = await sealed(algorithm)

    (finding,) = await inspect(document.replace(b"/Count 1", b"/Count 2", 1), roots=[KIT.root], moment=NOW)

    assert not finding.intact


@pytest.mark.parametrize("algorithm", FOR_PDF)
async def test_the_object_joined_from_parts_is_what_pyhanko_makes(algorithm: Algorithm) -> None:
    signer = kit_of(algorithm).signer
    digest = os.urandom(hashlib.new(SUITES[algorithm].digest).digest_size)

    ours = cms.ContentInfo.load(await pades_envelope(signer, digest), strict=True).native
    theirs = (await envelope_by_pyhanko(signer, digest)).native

    for made in (ours, theirs):
        del made["content"]["signer_infos"][0]["signature"]
    assert ours == theirs


@pytest.mark.parametrize("algorithm", FOR_PDF)
async def test_the_room_that_a_document_made_here_keeps_for_the_object_suffices(algorithm: Algorithm) -> None:
    _, value = await sealed(algorithm)

    room = room_of(Level.B_B, kit_of(algorithm).signer)

    assert 2 * len(value) <= room < 2 * len(value) + 3000


@pytest.mark.parametrize("algorithm", FOR_PDF)
async def test_openssl_finds_the_object_right(algorithm: Algorithm, tmp_path: Path) -> None:
    openssl = program("openssl")
    if algorithm is Algorithm.ED25519 and not _at_least(openssl, (3, 2)):
        pytest.skip("OpenSSL signs CMS objects with Ed25519 from 3.2 on")
    document, value = await sealed(algorithm)
    prepared = prepare(plain(), Place(), Imprint(KIT.picture, "seal-1", OFFICE + KIND, NOW))
    gap = document.index(b"/Contents <0" if b"/Contents <0" in document else b"/Contents <") + 10
    (tmp_path / "content").write_bytes(
        document[:gap] + document[gap + prepared.gap_end - prepared.gap_start :]
    )
    (tmp_path / "value").write_bytes(value)
    root = x509.load_der_x509_certificate(KIT.root)
    (tmp_path / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))

    command = [openssl, "cms", "-verify", "-binary", "-inform", "DER", "-in", "value", "-content", "content"]
    command += ["-CAfile", "root.pem", "-attime", str(int(NOW.timestamp())), "-purpose", "any", "-out", "out"]
    done = ran(tmp_path, *command)

    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("algorithm", FOR_PDF)
async def test_pdfsig_finds_the_document_right(algorithm: Algorithm, tmp_path: Path) -> None:
    pdfsig = program("pdfsig")
    if algorithm is Algorithm.ED25519:
        pytest.skip("pdfsig knows no Ed25519")
    document, _ = await sealed(algorithm)
    (tmp_path / "sealed.pdf").write_bytes(document)

    said = ran(tmp_path, pdfsig, "-nocert", "sealed.pdf")

    assert b"Signature is Valid" in said.stdout, said.stdout.decode() + said.stderr.decode()


def _at_least(openssl: str, version: tuple[int, int]) -> bool:
    said = subprocess.run([openssl, "version"], capture_output=True, text=True, check=True).stdout
    major, minor = said.split()[1].split(".")[:2]
    return (int(major), int(minor)) >= version


@pytest.mark.parametrize("algorithm", FOR_PDF)
async def test_a_signature_is_its_own_keys_over_its_own_data_alone(algorithm: Algorithm) -> None:
    signer = kit_of(algorithm).signer
    own = x509.load_der_x509_certificate(signer.certificate).public_key()
    spki = _spki(own)

    signature = await signer.sign(b"what is signed")

    assert len(signature) <= SUITES[algorithm].signature_bytes
    assert is_signed(spki, algorithm, b"what is signed", signature)
    assert not is_signed(spki, algorithm, b"what is not", signature)
    for other in FOR_PDF:
        if SUITES[other].key_type != SUITES[algorithm].key_type:
            assert not is_signed(spki, other, b"what is signed", signature)


def _spki(key: object) -> bytes:
    from cryptography.hazmat.primitives.serialization import PublicFormat

    made: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return made


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP521R1()),
        ec.generate_private_key(ec.SECP256K1()),
        rsa.generate_private_key(65537, 1024),
    ],
    ids=["P-521", "secp256k1", "RSA-1024"],
)
def test_a_key_of_no_suite_signs_nothing(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    with pytest.raises(KeyUnknownError):
        VaultSigner(key, issued(key.public_key()))


def test_a_key_with_another_keys_certificate_signs_nothing() -> None:
    key = ec.generate_private_key(ec.SECP256R1())

    with pytest.raises(KeyUnknownError):
        VaultSigner(key, KIT.signer.certificate)


async def test_a_seal_with_sm2_makes_no_object_for_a_pdf() -> None:
    class Sealing:
        algorithm = Algorithm.SM2_SM3
        is_quick = False
        in_device = False
        certificate = KIT.signer.certificate
        chain = ()

        async def sign(self, data: bytes) -> bytes:
            raise AssertionError("nothing may be signed")

    with pytest.raises(SealNotForFormatError):
        await pades_envelope(Sealing(), bytes(32))
