"""Whose signature on a PDF is believed: whom a configured authority vouches for, for sealing, and now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from services.eseal.keys.signers import VaultSigner
from services.eseal.pdf.inspection import inspect
from services.eseal.verifying.verdict import Fault, Verdict, report_on
from tests.unit.eseal.documents import NOW, SealKit, make_kit, plain

DAY = timedelta(days=1)
SEALING = x509.ExtendedKeyUsage([ObjectIdentifier("1.3.6.1.5.5.7.3.36")])


@dataclass(frozen=True)
class Made:
    """A certificate to be made: a seal's, unless a test changes what it says."""

    usage: tuple[str, ...] = ("digital_signature", "content_commitment")
    purposes: x509.ExtendedKeyUsage | None = SEALING
    is_ca: bool = False
    valid: tuple[datetime, datetime] = (NOW - DAY, NOW + DAY)
    critical: tuple[x509.ExtensionType, ...] = ()
    issuer: x509.Certificate | None = field(default=None)
    issuer_key: ec.EllipticCurvePrivateKey | None = field(default=None)


@pytest.fixture(scope="module")
def kit() -> SealKit:
    return make_kit()


def certificate(kit: SealKit, made: Made, key: ec.EllipticCurvePrivateKey, name: str = "某印章") -> bytes:
    """DER, by the kit's authority unless another issuer is named."""
    issuer = made.issuer or x509.load_der_x509_certificate(kit.root)
    usages = [
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(made.valid[0])
        .not_valid_after(made.valid[1])
        .add_extension(x509.BasicConstraints(ca=made.is_ca, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**{it: it in made.usage for it in usages}), critical=True)
    )
    if made.purposes:
        builder = builder.add_extension(made.purposes, critical=False)
    for extension in made.critical:
        builder = builder.add_extension(extension, critical=True)
    signed = builder.sign(made.issuer_key or kit.authority._key, SHA256())
    return signed.public_bytes(Encoding.DER)


async def faults(kit: SealKit, made: Made) -> set[Fault]:
    """What speaks against a seal by a key with such a certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    signer = VaultSigner(key, certificate(kit, made, key))
    found = await inspect(await replace(kit, signer=signer).seal(plain()), roots=[kit.root], moment=NOW)
    report = report_on(found, seals={}, signing_times={}, document_sha256="")
    assert (report.verdict is Verdict.VALID) is not bool(report.seals[0].faults)
    return set(report.seals[0].faults)


def _of_an_authority_below(kit: SealKit) -> Made:
    """The authority may issue seals' certificates, not authorities' (its path length is 0)."""
    key = ec.generate_private_key(ec.SECP256R1())
    below = certificate(kit, Made(usage=("key_cert_sign",), purposes=None, is_ca=True), key, "below")
    return Made(issuer=x509.load_der_x509_certificate(below), issuer_key=key)


def _of_a_seal(kit: SealKit) -> Made:
    """A seal's own key vouches for another."""
    key = ec.generate_private_key(ec.SECP256R1())
    return Made(issuer=x509.load_der_x509_certificate(certificate(kit, Made(), key)), issuer_key=key)


def _in_the_authoritys_name(kit: SealKit) -> Made:
    return Made(issuer_key=ec.generate_private_key(ec.SECP256R1()))


UNBELIEVED: dict[str, Callable[[SealKit], Made]] = {
    "past": lambda _: Made(valid=(NOW - 2 * DAY, NOW - DAY)),
    "to come": lambda _: Made(valid=(NOW + DAY, NOW + 2 * DAY)),
    "without signing": lambda _: Made(usage=("key_agreement",)),
    "without commitment": lambda _: Made(usage=("digital_signature",)),
    "of an authority": lambda _: Made(usage=("key_cert_sign", "crl_sign"), is_ca=True),
    "for a server": lambda _: Made(purposes=x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])),
    "for stamping times": lambda _: Made(purposes=x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])),
    "with a condition that is not understood": lambda _: Made(
        critical=(x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00"),)
    ),
    "by an authority below": _of_an_authority_below,
    "by a seal": _of_a_seal,
    "in the authority's name": _in_the_authoritys_name,
}


async def test_a_seals_certificate_is_believed(kit: SealKit) -> None:
    """Else what follows would prove nothing."""
    assert await faults(kit, Made()) == set()


@pytest.mark.parametrize("name", UNBELIEVED)
async def test_a_certificate_that_is_not_a_seals_is_not_believed(kit: SealKit, name: str) -> None:
    assert Fault.UNTRUSTED in await faults(kit, UNBELIEVED[name](kit))
