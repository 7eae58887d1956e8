from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import core, x509

from services.eseal.der import SEQUENCE, SET, der, utf8
from services.eseal.distinguished import distinguished_name
from services.eseal.gm import sm2_certificate
from services.eseal.gm.sm2 import Sm2Key, load_sm2
from services.eseal.gm.sm2_certificate import Signer, Sm2Authority

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
YEAR = timedelta(days=365)
OPENSSL = shutil.which("openssl")


def authority(name: str = "a seal authority", *, start: datetime = NOW - YEAR) -> Sm2Authority:
    return Sm2Authority.make(load_sm2(), name, valid_from=start, valid_until=start + 10 * YEAR)


def issued(by: Sm2Authority, key: Sm2Key | None = None) -> bytes:
    return by.issue(
        key or load_sm2().generate(),
        seal_name="武江区市场监督管理局行政审批专用章",
        owner_code="11440299MB2L000118",
        owner_name="武江区市场监督管理局",
        valid_from=NOW - timedelta(days=1),
        valid_until=NOW + YEAR,
    )


def signer(der: bytes) -> Signer:
    return Signer.load(load_sm2(), der)


def rewritten(by: Sm2Authority, change: Callable[[x509.TbsCertificate], object]) -> Signer:
    """A certificate with other content, rightly signed by the authority."""
    content = x509.Certificate.load(issued(by))["tbs_certificate"]
    change(content)
    fresh = x509.TbsCertificate.load(content.dump(force=True))
    return signer(sm2_certificate._signed(fresh, by._key))


def without(name: str) -> Callable[[x509.TbsCertificate], None]:
    def change(content: x509.TbsCertificate) -> None:
        kept = [it for it in content["extensions"] if it["extn_id"].native != name]
        content["extensions"] = kept

    return change


def with_extension(
    name: str, value: object, *, critical: bool = False
) -> Callable[[x509.TbsCertificate], None]:
    def change(content: x509.TbsCertificate) -> None:
        without(name)(content)
        content["extensions"].append(sm2_certificate._extension(name, value, critical=critical))

    return change


def test_a_signer_is_trusted_by_its_authority_within_its_validity_alone() -> None:
    ours, other = authority(), authority("another")
    own = signer(issued(ours))

    assert own.is_trusted([signer(other.certificate), signer(ours.certificate)], NOW)
    assert not own.is_trusted([signer(other.certificate)], NOW)
    assert not own.is_trusted([], NOW)
    assert not own.is_trusted([own], NOW)
    assert not own.is_trusted([signer(ours.certificate)], NOW - timedelta(days=2))
    assert not own.is_trusted([signer(ours.certificate)], NOW + 2 * YEAR)


def test_an_authority_of_the_same_name_vouches_for_nobody() -> None:
    own = signer(issued(authority()))

    assert not own.is_trusted([signer(authority().certificate)], NOW)


def test_an_authority_out_of_its_validity_vouches_for_nobody() -> None:
    late = authority(start=NOW + timedelta(hours=1))

    assert not signer(issued(late)).is_trusted([signer(late.certificate)], NOW)


def test_an_authority_signs_no_document_itself() -> None:
    ours = authority()

    assert not signer(ours.certificate).is_trusted([signer(ours.certificate)], NOW)


@pytest.mark.parametrize(
    ("change", "trusted"),
    [
        (lambda content: None, True),
        (without("extended_key_usage"), True),
        (with_extension("extended_key_usage", ["client_auth"]), False),
        (with_extension("extended_key_usage", ["any_extended_key_usage"]), True),
        (without("key_usage"), False),
        (with_extension("key_usage", {"key_encipherment"}, critical=True), False),
        (with_extension("key_usage", {"digital_signature"}, critical=True), True),
        (with_extension("inhibit_any_policy", 0, critical=True), False),
        (with_extension("basic_constraints", {"ca": True}, critical=True), False),
    ],
)
def test_what_a_certificate_is_for_decides(
    change: Callable[[x509.TbsCertificate], object], trusted: bool
) -> None:
    ours = authority()

    assert rewritten(ours, change).is_trusted([signer(ours.certificate)], NOW) is trusted


def test_a_certificate_issued_by_a_signer_is_not_trusted() -> None:
    """A seal's holder makes no seals."""
    ours = authority()
    key = load_sm2().generate()
    holder = issued(ours, key)
    below = issued(Sm2Authority(load_sm2(), holder, key))

    assert not signer(below).is_trusted([signer(ours.certificate), signer(holder)], NOW)


def test_a_name_whose_value_is_of_the_wrong_type_is_still_read() -> None:
    """x500UniqueIdentifier belongs in a BIT STRING; authorities in the field write text."""
    attributes = [("2.5.4.3", "张,三"), ("2.5.4.45", "B00102"), ("2.5.4.10", "局")]
    rows = [
        der(SET, der(SEQUENCE, core.ObjectIdentifier(oid).dump(), utf8(text))) for oid, text in attributes
    ]
    name = x509.Name.load(der(SEQUENCE, *rows))

    assert distinguished_name(name) == "O=局,2.5.4.45=B00102,CN=张\\,三"


def test_a_name_neither_breaks_the_line_nor_turns_its_direction() -> None:
    """Whoever makes a certificate chooses what stands in our sentences."""
    name = x509.Name.build({"common_name": "局\n\u202e效有"})

    assert distinguished_name(name) == "CN=局\\0A\\E2\\80\\AE效有"


def test_an_empty_file_names_no_authority(tmp_path: Path) -> None:
    (tmp_path / "none.crt").write_bytes(b"\n")

    assert sm2_certificate.load_certificates(tmp_path / "none.crt") == []


def test_an_altered_certificate_is_not_trusted() -> None:
    ours = authority()
    der = issued(ours)
    at = der.index("武江".encode())

    altered = der[:at] + der[at : at + 3] * 2 + der[at + 6 :]

    assert not signer(altered).is_trusted([signer(ours.certificate)], NOW)


def test_what_is_no_sm2_certificate_is_refused() -> None:
    der = issued(authority())

    for wrong in (b"", der[:-1], der + b"\x00", core.OctetString(b"x").dump()):
        with pytest.raises(ValueError, match="certificate"):
            signer(wrong)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    ours, other = authority(), authority("another")
    certificate, key = tmp_path / "ca.crt", tmp_path / "ca.key"
    certificate.write_bytes(ours.certificate_pem())
    key.write_bytes(ours.private_pem())

    loaded = Sm2Authority.load(load_sm2(), certificate, key)
    assert signer(issued(loaded)).is_trusted([signer(ours.certificate)], NOW)

    key.write_bytes(other.private_pem())
    with pytest.raises(ValueError, match="not the key"):
        Sm2Authority.load(load_sm2(), certificate, key)


@pytest.mark.skipif(OPENSSL is None, reason="no openssl command here to check against")
def test_the_openssl_command_believes_the_chain(tmp_path: Path) -> None:
    ours = authority()
    root, leaf = tmp_path / "root.pem", tmp_path / "leaf.pem"
    root.write_bytes(ours.certificate_pem())
    leaf.write_bytes(sm2_certificate.certificate_pem(issued(ours)))
    at = ["-attime", str(int(NOW.timestamp())), "-vfyopt", "distid:1234567812345678"]

    def verify(anchor: Path) -> int:
        return subprocess.run(
            [str(OPENSSL), "verify", *at, "-CAfile", str(anchor), str(leaf)], capture_output=True, check=False
        ).returncode

    assert verify(root) == 0
    root.write_bytes(authority().certificate_pem())
    assert verify(root) != 0
