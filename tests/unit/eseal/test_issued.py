"""Certificate requests as an authority reads them, and what it answers: taken only if all of it is right."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import csr, pem
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.eseal.distinguished import seal_subject
from services.eseal.domain import SUITES, Algorithm, Format
from services.eseal.gm.sm2 import load_sm2
from services.eseal.gm.sm2_certificate import Sm2Authority
from services.eseal.keys.certificate_request import request_info, request_of
from services.eseal.keys.signers import sign_by
from services.eseal.keystore import _GENERATORS
from services.eseal.operating.issued import MOST_BYTES, Issued, NotTakenError, check_issued, read_certificates
from services.eseal.trust.authority import DOCUMENT_SIGNING
from tests.unit.eseal.documents import NOW, OFFICE, OFFICE_CODE
from tests.unit.eseal.test_algorithms import _at_least, program

P256 = Algorithm.ECDSA_P256_SHA256
SUBJECT = seal_subject(seal_name=OFFICE + "专用章", owner_code=OFFICE_CODE, owner_name=OFFICE)
DAY = timedelta(days=1)
CA_KEY, MIDDLE_KEY, KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
USAGE = {
    "digital_signature": True,
    "content_commitment": True,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certificate(
    *,
    key: ec.EllipticCurvePrivateKey = KEY,
    by: tuple[str, ec.EllipticCurvePrivateKey] = ("root", CA_KEY),
    name: str = "seal",
    start: timedelta = -DAY,
    end: timedelta = 365 * DAY,
    ca: bool = False,
    usage: dict[str, bool] | None = None,
    purposes: tuple[x509.ObjectIdentifier, ...] = (DOCUMENT_SIGNING,),
    note: str = "",
) -> bytes:
    """A certificate in DER; by default one that is right for a seal."""
    said = usage if usage is not None else USAGE | ({"key_cert_sign": True} if ca else {})
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(by[0]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + start)
        .not_valid_after(NOW + end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**said), critical=True)
    )
    if purposes and not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if note:
        builder = builder.add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), note.encode()), critical=False
        )
    return builder.sign(by[1], SHA256()).public_bytes(Encoding.DER)


ROOT = certificate(key=CA_KEY, name="root", ca=True)
MIDDLE = certificate(key=MIDDLE_KEY, name="middle", ca=True)


def spki(key: Any) -> bytes:
    made: bytes = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return made


async def checked(*certificates: bytes, key: ec.EllipticCurvePrivateKey = KEY) -> Issued:
    return await check_issued(certificates, public_key=spki(key), algorithm=P256, roots=[ROOT], moment=NOW)


@pytest.mark.parametrize("algorithm", [one for one, suite in SUITES.items() if suite.format is Format.PDF])
def test_a_request_proves_its_key_and_asks_for_what_a_seal_needs(algorithm: Algorithm) -> None:
    key = _GENERATORS[algorithm]()
    info = request_info(SUBJECT, spki(key))

    read = x509.load_pem_x509_csr(request_of(info, algorithm, sign_by(key, info)))

    assert read.is_signature_valid
    assert read.public_key() == key.public_key()
    assert f"NTRCN-{OFFICE_CODE}" in read.subject.rfc4514_string()
    usage = read.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.content_commitment, usage.key_cert_sign) == (True, True, False)
    assert list(read.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [DOCUMENT_SIGNING]
    altered = request_of(
        info.replace(OFFICE_CODE.encode(), OFFICE_CODE[::-1].encode()), algorithm, sign_by(key, info)
    )
    assert not x509.load_pem_x509_csr(altered).is_signature_valid


def test_a_request_with_sm2_proves_its_key_by_the_usual_id(tmp_path: Path) -> None:
    key = load_sm2().generate()
    info = request_info(SUBJECT, key.public_bytes())

    made = request_of(info, Algorithm.SM2_SM3, key.sign(info))

    read = csr.CertificationRequest.load(pem.unarmor(made)[2], strict=True)
    signed = read["certification_request_info"]
    assert key.is_signed(signed.dump(), read["signature"].native)
    assert signed["subject_pk_info"].dump() == key.public_bytes()
    assert read["signature_algorithm"]["algorithm"].dotted == "1.2.156.10197.1.501"
    openssl = program("openssl")
    if not _at_least(openssl, (3, 0)):
        pytest.skip("this OpenSSL is older than 3")
    (tmp_path / "request.pem").write_bytes(made)
    command = [openssl, "req", "-verify", "-noout", "-in", "request.pem"]
    command += ["-vfyopt", "distid:1234567812345678"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "verify OK" in done.stderr + done.stdout, done.stderr


async def test_what_an_authority_has_issued_is_taken_with_what_leads_to_its_root() -> None:
    direct = await checked(certificate())
    leaf = certificate(by=("middle", MIDDLE_KEY))
    through = await checked(ROOT, MIDDLE, leaf)

    assert direct.chain == ()
    assert (direct.not_before, direct.not_after) == (NOW - DAY, NOW + 365 * DAY)
    assert (through.certificate, through.chain) == (leaf, (MIDDLE,))


@pytest.mark.parametrize(
    ("made", "rule"),
    [
        (lambda: certificate(key=MIDDLE_KEY), "public_key"),
        (lambda: certificate(end=-timedelta(hours=1)), "validity"),
        (lambda: certificate(start=DAY), "validity"),
        (lambda: certificate(usage=USAGE | {"content_commitment": False}), "key_usage"),
        (lambda: certificate(usage=USAGE | {"digital_signature": False}), "key_usage"),
        (lambda: certificate(purposes=(ExtendedKeyUsageOID.SERVER_AUTH,)), "key_usage"),
        (lambda: certificate(by=("root", MIDDLE_KEY)), "chain"),
        (lambda: certificate(by=("middle", MIDDLE_KEY)), "chain"),
        (lambda: certificate(by=("another", CA_KEY)), "chain"),
        (lambda: certificate(note="n" * 3000), "size"),
    ],
    ids=[
        "of another key",
        "expired",
        "not yet valid",
        "without nonRepudiation",
        "without digitalSignature",
        "for a server",
        "not signed by the root",
        "without the one between",
        "by somebody unknown",
        "larger than there is room for",
    ],
)
async def test_a_certificate_that_is_wrong_is_refused_by_the_rule_that_it_breaks(
    made: Callable[[], bytes], rule: str
) -> None:
    with pytest.raises(NotTakenError) as refused:
        await checked(made())

    assert refused.value.rule == rule


async def test_two_certificates_of_the_key_are_one_too_many() -> None:
    with pytest.raises(NotTakenError, match="newest"):
        await checked(certificate(), certificate(end=10 * DAY))


async def test_a_curve_other_than_the_key_s_is_another_key() -> None:
    other = ec.derive_private_key(KEY.private_numbers().private_value, ec.SECP256K1())

    with pytest.raises(NotTakenError) as refused:
        await checked(certificate(key=other))

    assert refused.value.rule == "public_key"


def test_a_file_holds_certificates_and_nothing_else() -> None:
    leaf = certificate()
    both = pem.armor("CERTIFICATE", leaf) + pem.armor("CERTIFICATE", MIDDLE)

    assert read_certificates(leaf) == [leaf]
    assert read_certificates(both) == [leaf, MIDDLE]
    for content in (
        b"",
        b"what is this",
        leaf[:-1],
        leaf + b"\x00",
        pem.armor("PRIVATE KEY", leaf),
        both + pem.armor("PRIVATE KEY", leaf),
        pem.armor("CERTIFICATE", leaf) * 9,
        bytes(MOST_BYTES + 1),
        b"-----BEGIN CERTIFICATE-----\nnot base64 at all\n-----END CERTIFICATE-----\n",
    ):
        with pytest.raises(NotTakenError) as refused:
            read_certificates(content)
        assert refused.value.rule == "form"


async def test_with_sm2_the_same_rules_hold() -> None:
    sm2 = load_sm2()
    root = Sm2Authority.make(sm2, "root", valid_from=NOW - DAY, valid_until=NOW + 3650 * DAY)
    other = Sm2Authority.make(sm2, "root", valid_from=NOW - DAY, valid_until=NOW + 3650 * DAY)
    key = sm2.generate()

    def issued(by: Sm2Authority = root, to: Any = key, end: timedelta = 365 * DAY) -> bytes:
        return by.issue(
            to,
            seal_name=OFFICE,
            owner_code=OFFICE_CODE,
            owner_name=OFFICE,
            valid_from=NOW - DAY,
            valid_until=NOW + end,
        )

    async def check(*certificates: bytes, known: bool = True) -> Issued:
        return await check_issued(
            certificates,
            public_key=key.public_bytes(),
            algorithm=Algorithm.SM2_SM3,
            roots=[root.certificate],
            moment=NOW,
            sm2=sm2 if known else None,
        )

    leaf = issued()
    assert (await check(leaf)).certificate == leaf
    wrong = asn1.Certificate.load(leaf).copy()
    wrong["signature_value"] = bytes(72)
    for certificate_, known, rule in (
        (issued(to=sm2.generate()), True, "public_key"),
        (issued(end=-timedelta(hours=1)), True, "validity"),
        (issued(by=other), True, "chain"),
        (wrong.dump(force=True), True, "chain"),
        (leaf, False, "algorithm"),
    ):
        with pytest.raises(NotTakenError) as refused:
            await check(certificate_, known=known)
        assert refused.value.rule == rule
