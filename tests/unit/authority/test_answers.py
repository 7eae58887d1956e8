"""What the development authority says of certificates and of the time, and what it refuses."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import cms, core, tsp
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from deploy.authority.answers import LONGEST_QUERY, Answer, Answers, Asked
from deploy.authority.issuers import SEAL_ROOT, TIME, TIME_ROOT, load_issuers, load_stamper
from deploy.authority.pki import make_authority
from deploy.authority.revocations import REVOKED, Revocation, Revocations
from deploy.authority.stamping import POLICY
from deploy.authority.status import FRESH, Status
from deploy.local.pki import open_authority
from deploy.local.sm2_pki import make_sm2_pki

NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
DIGEST = hashlib.sha256(b"a seal's signature").digest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authorities' certificates and keys."""
    made = tmp_path_factory.mktemp("pki")
    open_authority(made / SEAL_ROOT, "seals", NOW - timedelta(days=1))
    make_sm2_pki(made, NOW - timedelta(days=1))
    make_authority(made, "http://authority.example", NOW - timedelta(days=1))
    return made


@pytest.fixture
def known(folder: Path) -> Revocations:
    (folder / REVOKED).unlink(missing_ok=True)
    return Revocations(folder / REVOKED)


@pytest.fixture
def answers(folder: Path, known: Revocations) -> Answers:
    return Answers(load_stamper(folder), Status(load_issuers(folder), known))


def certificate(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


def ask(answers: Answers, path: str, kind: str, body: bytes) -> Answer:
    return answers.to(Asked("POST", path, f"application/{kind}", body), NOW)


class Answered(core.Sequence):  # type: ignore[misc]  # the library has no types
    """TimeStampResp, whose token may be absent (RFC 3161 section 2.4.2)."""

    _fields = [  # noqa: RUF012
        ("status", tsp.PKIStatusInfo),
        ("time_stamp_token", cms.ContentInfo, {"optional": True}),
    ]


def stamped(answers: Answers, **change: object) -> Answered:
    """What is answered to a timestamp query, changed in some member."""
    query = tsp.TimeStampReq(
        {
            "version": "v1",
            "message_imprint": {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": DIGEST},
            "nonce": 7,
            "cert_req": True,
            **change,
        }
    )
    answered: Answered = Answered.load(ask(answers, "/tsa", "timestamp-query", query.dump()).body)
    return answered


def asked_about(answers: Answers, below: x509.Certificate, above: x509.Certificate) -> ocsp.OCSPResponse:
    request = ocsp.OCSPRequestBuilder().add_certificate(below, above, SHA256())
    body = request.add_extension(x509.OCSPNonce(b"n" * 16), critical=False).build()
    answer = ask(answers, "/ocsp", "ocsp-request", body.public_bytes(Encoding.DER))
    return ocsp.load_der_ocsp_response(answer.body)


def test_a_certificate_is_good_until_it_is_revoked(
    folder: Path, answers: Answers, known: Revocations
) -> None:
    below, above = certificate(folder, TIME), certificate(folder, TIME_ROOT)

    before = asked_about(answers, below, above)
    known.add(TIME_ROOT, below.serial_number, Revocation(NOW - timedelta(hours=1), "key_compromise"))
    after = asked_about(answers, below, above)

    assert before.certificate_status is ocsp.OCSPCertStatus.GOOD
    assert before.next_update_utc == NOW + FRESH
    assert before.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"n" * 16
    assert after.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert after.revocation_time_utc == NOW - timedelta(hours=1)
    assert after.revocation_reason is x509.ReasonFlags.key_compromise
    (responder,) = after.certificates
    responder.verify_directly_issued_by(above)
    assert responder.extensions.get_extension_for_class(x509.OCSPNoCheck)
    key = responder.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(after.signature, after.tbs_response_bytes, ec.ECDSA(SHA256()))


def test_of_strangers_it_says_nothing_and_of_nonsense_that(folder: Path, answers: Answers) -> None:
    stranger = certificate(folder, "time-ca-ocsp")

    other = asked_about(answers, stranger, certificate(folder, TIME))
    nonsense = ask(answers, "/ocsp", "ocsp-request", b"hello")

    assert other.response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED
    assert (
        ocsp.load_der_ocsp_response(nonsense.body).response_status
        is ocsp.OCSPResponseStatus.MALFORMED_REQUEST
    )


def test_a_list_says_the_same(folder: Path, answers: Answers, known: Revocations) -> None:
    known.add(SEAL_ROOT, 17, Revocation(NOW, "superseded"))
    known.add(TIME_ROOT, 18, Revocation(NOW, "unspecified"))

    answer = answers.to(Asked("GET", "/crl/seal-ca.crl"), NOW)

    found = x509.load_der_x509_crl(answer.body)
    assert found.is_signature_valid(certificate(folder, SEAL_ROOT).public_key())  # type: ignore[arg-type]
    assert [one.serial_number for one in found] == [17]
    reason = next(iter(found)).extensions.get_extension_for_class(x509.CRLReason)
    assert reason.value.reason is x509.ReasonFlags.superseded
    assert answers.to(Asked("GET", "/crl/nobody.crl"), NOW).status == 404
    assert answers.to(Asked("GET", "/crl/..%2f.crl"), NOW).status == 404


def test_without_the_authority_s_own_key_there_is_no_list_and_it_answers_all_the_same(
    folder: Path, tmp_path: Path
) -> None:
    for path in folder.iterdir():
        if path.name not in ("seal-ca.key", "time-ca.key", "seal-ca-sm2.key"):
            shutil.copy(path, tmp_path)
    answers = Answers(load_stamper(tmp_path), Status(load_issuers(tmp_path), Revocations(tmp_path / REVOKED)))

    assert answers.to(Asked("GET", "/crl/seal-ca.crl"), NOW).status == 404
    found = asked_about(answers, certificate(folder, TIME), certificate(folder, TIME_ROOT))
    assert found.certificate_status is ocsp.OCSPCertStatus.GOOD


def test_a_list_of_revocations_that_cannot_be_read_says_good_of_nobody(
    folder: Path, answers: Answers
) -> None:
    for content in ("{", '[{"authority": "time-ca"}]', '[{"authority": "a", "serial": "1", "moment": 5}]'):
        (folder / REVOKED).write_text(content)
        with pytest.raises(ValueError, match=r"out of form|Expecting|fromisoformat"):
            asked_about(answers, certificate(folder, TIME), certificate(folder, TIME_ROOT))


def test_a_timestamp_is_of_now_over_what_was_asked(answers: Answers) -> None:
    answer = stamped(answers)

    assert answer["status"]["status"].native == "granted"
    info = answer["time_stamp_token"]["content"]["encap_content_info"]["content"].parsed
    assert info["gen_time"].native == NOW
    assert info["nonce"].native == 7
    assert info["message_imprint"]["hashed_message"].native == DIGEST


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            {"message_imprint": {"hash_algorithm": {"algorithm": "sha1"}, "hashed_message": b"d" * 20}},
            "bad_alg",
        ),
        ({"message_imprint": {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": b"d"}}, "bad_alg"),
        ({"req_policy": "1.2.3.4"}, "unaccepted_policy"),
        (
            {"extensions": [{"extn_id": "1.2.3.4", "critical": True, "extn_value": b"\x05\x00"}]},
            "unaccepted_extensions",
        ),
    ],
)
def test_a_timestamp_that_is_not_granted_is_told_why(
    answers: Answers, change: dict[str, object], why: str
) -> None:
    answer = stamped(answers, **change)

    assert answer["status"]["status"].native == "rejection"
    assert answer["status"]["fail_info"].native == {why}
    assert answer["time_stamp_token"].native is None


def test_its_own_policy_may_be_asked_for_and_nonsense_is_told(answers: Answers) -> None:
    assert stamped(answers, req_policy=POLICY)["status"]["status"].native == "granted"
    nonsense = Answered.load(ask(answers, "/tsa", "timestamp-query", b"hello").body)
    assert nonsense["status"]["fail_info"].native == {"bad_data_format"}


def test_what_is_no_query_is_refused(answers: Answers) -> None:
    assert ask(answers, "/tsa", "json", b"{}").status == 415
    assert ask(answers, "/ocsp", "timestamp-query", b"").status == 415
    assert ask(answers, "/elsewhere", "ocsp-request", b"").status == 404
    assert ask(answers, "/ocsp", "ocsp-request", b"q" * (LONGEST_QUERY + 1)).status == 413
    assert answers.to(Asked("DELETE", "/ocsp"), NOW).status == 404


def test_openssl_takes_what_it_says(folder: Path, answers: Answers, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here")
    below, root = certificate(folder, TIME), folder / f"{TIME_ROOT}.crt"
    request = ocsp.OCSPRequestBuilder().add_certificate(below, certificate(folder, TIME_ROOT), SHA1())
    body = request.build().public_bytes(Encoding.DER)
    # `openssl ocsp` has no clock but its own.
    answer = answers.to(Asked("POST", "/ocsp", "application/ocsp-request", body), datetime.now(UTC))
    (tmp_path / "answer").write_bytes(answer.body)

    words = ["-respin", str(tmp_path / "answer"), "-CAfile", str(root), "-issuer", str(root)]
    done = subprocess.run(
        [openssl, "ocsp", *words, "-serial", str(below.serial_number)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Response verify OK" in done.stderr, done.stderr
    assert f"{below.serial_number}: good" in done.stdout
