"""A certificate authority of the test's own, which also makes the certificates that must be refused."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)
BOTH_ENDS = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path

    def client_context(self, trust: Path) -> ssl.SSLContext:
        """What a client with this certificate connects with."""
        context = ssl.create_default_context(cafile=str(trust))
        context.load_cert_chain(self.certificate, self.key)
        return context


class Authority:
    """Issues certificates into a folder."""

    def __init__(self, folder: Path, name: str = "test authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.root = folder / "ca.crt"
        self.root.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        *names: str,
        expired: bool = False,
        early: bool = False,
        usages: Sequence[x509.ObjectIdentifier] = BOTH_ENDS,
        file: str = "",
    ) -> Pair:
        """A certificate for these DNS names (and for 127.0.0.1), valid for a day; `expired` for an hour, or
        so `early` that it has an hour to wait."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        since = now + timedelta(hours=1) if early else now - DAY
        until = now - timedelta(hours=1) if expired else now + DAY
        certificate = _leaf(names, key, self._name, self._key, since, until, usages)
        return self._write(file or names[0], key, [certificate])

    def _write(self, stem: str, key: ec.EllipticCurvePrivateKey, chain: Sequence[x509.Certificate]) -> Pair:
        pair = Pair(self._folder / f"{stem}.crt", self._folder / f"{stem}.key")
        pair.certificate.write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain))
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return pair

    def faulty(self, fault: str, name: str) -> Pair:
        """A certificate for a name that nobody may believe, by what is wrong with it."""
        file = f"{name} {fault}"
        match fault:
            case "expired":
                return self.issue(name, expired=True, file=file)
            case "not yet valid":
                return self.issue(name, early=True, file=file)
            case "for servers only":
                return self.issue(name, usages=[ExtendedKeyUsageOID.SERVER_AUTH], file=file)
            case "for clients only":
                return self.issue(name, usages=[ExtendedKeyUsageOID.CLIENT_AUTH], file=file)
            case "for neither end":
                return self.issue(name, usages=[ExtendedKeyUsageOID.CODE_SIGNING], file=file)
            case "of another name":
                return self.issue("datanode", file=file)
            case "of another authority":
                return Authority(self._folder / "another").issue(name)
            case "self-signed":
                return self._signed_by_none_of_ours(name, file, itself=True)
            case "signed by a caller":
                return self._signed_by_none_of_ours(name, file, itself=False)
        raise ValueError(fault)

    def _signed_by_none_of_ours(self, name: str, file: str, *, itself: bool) -> Pair:
        """Signed by its own key, or by that of a certificate of ours which is no authority's."""
        own, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        caller = _leaf(["caller"], other, self._name, self._key, now - DAY, now + DAY, BOTH_ENDS)
        if itself:
            return self._write(
                file, own, [_leaf([name], own, _named(name), own, now - DAY, now + DAY, BOTH_ENDS)]
            )
        certificate = _leaf([name], own, caller.subject, other, now - DAY, now + DAY, BOTH_ENDS)
        return self._write(file, own, [certificate, caller])

    def trusting_context(self) -> ssl.SSLContext:
        """What a client without a certificate connects with."""
        return ssl.create_default_context(cafile=str(self.root))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _leaf(
    names: Sequence[str],
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    signer: ec.EllipticCurvePrivateKey,
    since: datetime,
    until: datetime,
    usages: Sequence[x509.ObjectIdentifier],
) -> x509.Certificate:
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    alternatives.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    return (
        x509.CertificateBuilder()
        .subject_name(_named(names[0]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .sign(signer, hashes.SHA256())
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
