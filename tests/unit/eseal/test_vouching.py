"""Who is believed about certificates: their issuer, whom it has certified for that, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from deploy.authority.issuers import SEAL_ROOT, SM2_ROOT, TIME, TIME_ROOT, Credential, load_issuers
from deploy.authority.pki import make_authority
from deploy.authority.revocations import REVOKED, Revocation, Revocations
from deploy.authority.status import FRESH, Status
from deploy.local.pki import open_authority
from deploy.local.sm2_pki import make_sm2_pki
from services.eseal.gm.sm2 import load_sm2
from services.eseal.trust.status_answers import TOLERANCE, query, read_answer, read_list
from services.eseal.trust.vouching import Vouching
from services.eseal.verifying.standing import State

NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
MAKER = "seal-maker-sm2"
BOTH = pytest.mark.parametrize(("root", "name"), [(TIME_ROOT, TIME), (SM2_ROOT, MAKER)])
VOUCHING = Vouching(load_sm2())


@dataclass(frozen=True)
class Ground:
    """Authorities with their certificates, and others of the same names whom nobody believes."""

    folder: Path
    other: Path

    def certificate(self, name: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.folder / f"{name}.crt").read_bytes())

    def status(self, folder: Path) -> Status:
        return Status(load_issuers(folder), Revocations(self.folder / REVOKED))


def made(folder: Path) -> Path:
    open_authority(folder / SEAL_ROOT, "seals", NOW - timedelta(days=1))
    make_sm2_pki(folder, NOW - timedelta(days=1))
    make_authority(folder, "http://authority.example", NOW - timedelta(days=1))
    return folder


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return Ground(made(tmp_path_factory.mktemp("ours")), made(tmp_path_factory.mktemp("theirs")))


@pytest.fixture
def ground(places: Ground) -> Iterator[Ground]:
    yield places
    (places.folder / REVOKED).write_text("[]\n")


@BOTH
def test_what_an_authority_says_of_its_certificates_counts(ground: Ground, root: str, name: str) -> None:
    below, above = ground.certificate(name), ground.certificate(root)
    status = ground.status(ground.folder)
    asked = query(below, above)

    good, until = read_answer(status.respond(asked, NOW), below, above, NOW, vouching=VOUCHING)
    listed = read_list(status.revocations_of(root, NOW), above, NOW, vouching=VOUCHING)
    Revocations(ground.folder / REVOKED).add(root, below.serial_number, Revocation(NOW, "superseded"))
    revoked, _ = read_answer(status.respond(asked, NOW), below, above, NOW, vouching=VOUCHING)
    now_listed = read_list(status.revocations_of(root, NOW), above, NOW, vouching=VOUCHING)

    assert (good.state, until) == (State.GOOD, NOW + FRESH)
    assert listed.standing(below.serial_number).state is State.GOOD
    assert (revoked.state, revoked.revoked_at) == (State.REVOKED, NOW)
    assert now_listed.standing(below.serial_number).revoked_at == NOW


@BOTH
def test_an_answer_by_anybody_else_is_none(ground: Ground, root: str, name: str) -> None:
    below, above = ground.certificate(name), ground.certificate(root)
    theirs = Ground(ground.other, ground.folder)
    stranger = ground.status(ground.other)
    mine, other = (
        next(one for one in load_issuers(folder) if one.name == root)
        for folder in (ground.folder, ground.other)
    )
    forger = Status([replace(mine, responder=other.responder)], Revocations(ground.folder / REVOKED))
    forged = forger.respond(query(below, above), NOW)
    own = stranger.respond(query(theirs.certificate(name), theirs.certificate(root)), NOW)
    ours = stranger.respond(query(below, above), NOW)
    right = ground.status(ground.folder).respond(query(below, above), NOW)
    spoilt = right[:-4] + bytes([right[-4] ^ 1]) + right[-3:]

    for answer in (forged, own, ours, spoilt, b"", right[:100]):
        with pytest.raises(ValueError, match=r".*"):
            read_answer(answer, below, above, NOW, vouching=VOUCHING)
    for content in (stranger.revocations_of(root, NOW), b"nothing"):
        with pytest.raises(ValueError, match=r".*"):
            read_list(content, above, NOW, vouching=VOUCHING)


@BOTH
def test_an_answer_of_another_time_is_none(ground: Ground, root: str, name: str) -> None:
    below, above = ground.certificate(name), ground.certificate(root)
    status = ground.status(ground.folder)
    answer, listed = status.respond(query(below, above), NOW), status.revocations_of(root, NOW)

    for moment in (NOW + FRESH, NOW - timedelta(minutes=1) - TOLERANCE - timedelta(seconds=1)):
        with pytest.raises(ValueError, match="not of now"):
            read_answer(answer, below, above, moment, vouching=VOUCHING)
        with pytest.raises(ValueError, match="not of now"):
            read_list(listed, above, moment, vouching=VOUCHING)


def test_without_sm2_nobody_vouches_by_it(ground: Ground) -> None:
    below, above = ground.certificate(MAKER), ground.certificate(SM2_ROOT)
    answer = ground.status(ground.folder).respond(query(below, above), NOW)

    assert VOUCHING.has_issued(above, below)
    assert not Vouching().has_issued(above, below)
    with pytest.raises(ValueError, match="not by the issuer"):
        read_answer(answer, below, above, NOW)


def test_a_certificate_is_its_issuer_s_own_alone(ground: Ground) -> None:
    theirs = Ground(ground.other, ground.folder)
    for root, name in ((TIME_ROOT, TIME), (SM2_ROOT, MAKER)):
        assert VOUCHING.has_issued(ground.certificate(root), ground.certificate(name))
        assert not VOUCHING.has_issued(theirs.certificate(root), ground.certificate(name))
    assert not VOUCHING.has_issued(ground.certificate(SEAL_ROOT), ground.certificate(TIME))


def test_a_responder_s_certificate_must_be_for_that(ground: Ground) -> None:
    """A seal's own certificate, by the same authority, says nothing of others."""
    below, above = ground.certificate(f"{TIME_ROOT}-ocsp"), ground.certificate(TIME_ROOT)
    issuers = load_issuers(ground.folder)
    (issuer,) = [one for one in issuers if one.name == TIME_ROOT]
    stamper = asn1_x509.Certificate.load(ground.certificate(TIME).public_bytes(Encoding.DER))
    wrong = replace(issuer, responder=Credential(stamper, ground.folder / f"{TIME}.key"))

    answer = Status([wrong], Revocations(ground.folder / REVOKED)).respond(query(below, above), NOW)

    with pytest.raises(ValueError, match="not by the issuer"):
        read_answer(answer, below, above, NOW, vouching=VOUCHING)
