"""The development PKI and keys: private, renewed in time, never replaced."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from core.keyring import Keyring
from core.policy import Policy
from deploy.local.errors import GroundError
from deploy.local.keys import make_keys, verifier_key, write_policy
from deploy.local.migrate import PARTS
from deploy.local.pki import CLIENTS, COMMANDS, PROBER, make_pki

NOW = datetime.now(UTC)


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    folder = tmp_path / "pki"
    make_pki(folder, PARTS, now=NOW)
    return folder


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _certificate(pki: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((pki / f"{name}.crt").read_bytes())


def test_every_name_has_a_pair_and_private_keys_are_the_owners_alone(pki: Path, tmp_path: Path) -> None:
    make_keys(tmp_path / "keys", PARTS)

    authorities = ("ca", "seal-ca", "seal-ca-sm2", "seal-maker-sm2")
    for name in (*PARTS, *CLIENTS, PROBER, *COMMANDS, *authorities):
        assert (pki / f"{name}.crt").exists()
        assert _mode(pki / f"{name}.key") == 0o600
    assert _mode(pki / "rural-bank-encryption.jwk") == 0o600
    assert {_mode(pki), _mode(tmp_path / "keys")} == {0o700}
    for path in (tmp_path / "keys").iterdir():
        assert _mode(path) == (0o644 if path.suffix == ".vkey" else 0o600)


@pytest.mark.parametrize("part", PARTS)
def test_a_parts_certificate_names_the_part_and_this_machine(pki: Path, part: str) -> None:
    names = _certificate(pki, part).extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert names.get_values_for_type(x509.DNSName) == [part, "localhost"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


@pytest.mark.parametrize("name", [*CLIENTS, PROBER, *COMMANDS])
def test_an_outside_callers_certificate_is_no_servers(pki: Path, name: str) -> None:
    extensions = _certificate(pki, name).extensions

    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    usages = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert names.get_values_for_type(x509.DNSName) == [name]
    assert list(usages) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]


def test_a_second_run_changes_nothing(pki: Path) -> None:
    before = {path.name: path.read_bytes() for path in pki.iterdir()}

    assert make_pki(pki, PARTS, now=NOW + timedelta(days=1)) == []

    assert {path.name: path.read_bytes() for path in pki.iterdir()} == before


def test_leaves_are_renewed_in_their_last_30_days_and_roots_are_kept(pki: Path) -> None:
    roots = [(pki / f"{name}.{kind}").read_bytes() for name in ("ca", "seal-ca") for kind in ("crt", "key")]

    early = make_pki(pki, PARTS, now=NOW + timedelta(days=59))
    late = make_pki(pki, PARTS, now=NOW + timedelta(days=61))

    assert early == []
    assert late == [*PARTS, *CLIENTS, PROBER, *COMMANDS]
    assert _certificate(pki, "ledger").not_valid_after_utc > NOW + timedelta(days=150)
    assert roots == [
        (pki / f"{name}.{kind}").read_bytes() for name in ("ca", "seal-ca") for kind in ("crt", "key")
    ]


def test_a_leaf_of_another_root_or_without_its_key_is_made_again(pki: Path, tmp_path: Path) -> None:
    make_pki(tmp_path / "other", PARTS, now=NOW)
    for kind in ("crt", "key"):
        (pki / f"licence.{kind}").write_bytes((tmp_path / "other" / f"licence.{kind}").read_bytes())
    (pki / "ledger.key").unlink()
    (pki / "eseal.key").write_bytes((tmp_path / "other" / "eseal.key").read_bytes())

    assert make_pki(pki, PARTS, now=NOW) == ["ledger", "licence", "eseal"]


@pytest.mark.parametrize("lost", ["ca.key", "ca.crt", "seal-ca.key", "seal-ca-sm2.crt", "seal-maker-sm2.key"])
def test_half_a_ca_is_never_replaced(pki: Path, lost: str) -> None:
    (pki / lost).unlink()

    with pytest.raises(GroundError, match=f"{lost} is missing") as refused:
        make_pki(pki, PARTS, now=NOW)

    assert "restore it" in refused.value.advice
    assert not (pki / lost).exists()


def test_two_parts_shake_hands_and_a_wrong_name_is_refused(pki: Path) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pki / "ca.crt"))
    server.verify_mode = ssl.CERT_REQUIRED
    server.verify_flags |= ssl.VERIFY_X509_STRICT
    server.load_cert_chain(pki / "licence.crt", pki / "licence.key")
    client = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    client.load_cert_chain(pki / "autofill.crt", pki / "autofill.key")

    def shake(name: str) -> dict[str, object]:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        back_in, back_out = outgoing, incoming
        left = client.wrap_bio(incoming, outgoing, server_hostname=name)
        right = server.wrap_bio(back_in, back_out, server_side=True)
        for _ in range(4):
            for side in (left, right):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        return dict(right.getpeercert() or {})

    assert ("DNS", "autofill") in shake("licence")["subjectAltName"]  # type: ignore[operator]
    with pytest.raises(ssl.SSLCertVerificationError):
        shake("ledger")


def test_the_verifier_key_has_the_form_of_c2sp(tmp_path: Path) -> None:
    make_keys(tmp_path, PARTS)

    name, key_id, encoded = (tmp_path / "ledger.vkey").read_text().strip().split("+", 2)

    typed = base64.b64decode(encoded, validate=True)
    key = load_pem_private_key((tmp_path / "ledger-signing.key").read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    assert name == "onestop.example/ledger"
    assert typed == b"\x01" + key.public_key().public_bytes_raw()
    assert key_id == hashlib.sha256(name.encode() + b"\n" + typed).hexdigest()[:8]


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("licence", "licence-keyring.json"),
        ("ledger", "ledger-signing.key"),
        ("agricredit", "answer-signing.key"),
    ],
)
def test_a_key_that_a_database_was_made_with_is_not_made_anew(tmp_path: Path, part: str, name: str) -> None:
    make_keys(tmp_path, PARTS)
    (tmp_path / f"{part}.dsn").touch()
    (tmp_path / name).unlink()

    with pytest.raises(GroundError, match=name):
        make_keys(tmp_path, PARTS)

    assert not (tmp_path / name).exists()


def test_the_verifier_key_of_a_known_key() -> None:
    # The example of golang.org/x/mod/sumdb/note: the key of sum.golang.org, as published.
    published = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    raw = base64.b64decode(published.split("+", 2)[2])[1:]

    assert verifier_key("sum.golang.org", Ed25519PublicKey.from_public_bytes(raw)) == published


def test_the_witness_has_a_key_of_its_own_and_the_ledger_is_told_of_it(tmp_path: Path) -> None:
    make_keys(tmp_path, PARTS)
    write_policy(tmp_path, "https://localhost:7108")

    policy = Policy.parse((tmp_path / "witnesses.policy").read_text())

    private = load_pem_private_key((tmp_path / "witness-signing.key").read_bytes(), None)
    assert isinstance(private, Ed25519PrivateKey)
    (witness,) = policy.witnesses
    assert witness.key.public == private.public_key().public_bytes_raw()
    assert witness.url == "https://localhost:7108"
    assert str(witness.key) == (tmp_path / "witness.vkey").read_text().strip()
    assert policy.satisfied([witness.key])
    assert not policy.satisfied([])


def test_a_log_that_was_continued_keeps_its_name(tmp_path: Path) -> None:
    make_keys(tmp_path, PARTS)
    published = (tmp_path / "ledger.vkey").read_text()
    key = load_pem_private_key((tmp_path / "ledger-signing.key").read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    renamed = verifier_key("onestop.example/ledger-2", key.public_key()) + "\n"
    (tmp_path / "ledger.vkey").write_text(renamed)

    make_keys(tmp_path, PARTS)

    assert (tmp_path / "ledger.vkey").read_text() == renamed != published


def test_keys_are_never_made_again(tmp_path: Path) -> None:
    make_keys(tmp_path, PARTS)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    make_keys(tmp_path, PARTS)

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert Keyring.load(tmp_path / "licence-keyring.json").current_kek == 1


def test_the_banks_key_says_what_it_is_for(pki: Path) -> None:
    key = json.loads((pki / "rural-bank-encryption.jwk").read_text())

    assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "enc", "ECDH-ES+A256KW")
    assert {"x", "y", "d", "kid"} <= set(key)
