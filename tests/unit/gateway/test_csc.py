"""Remote signing's own standard: what is read, what is told, and how it is refused."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from onestop.eseal.v1 import remote_pb2 as pb

from core.errors import FieldFault, InvalidError, Kind, LateError, ServiceError, UnavailableError
from core.intents import RequestInProgressError
from gateway.csc import credentials, service, signatures
from gateway.csc.algorithms import SHA256, SHA384, SUITES, require_digests, suites_of
from gateway.csc.forms import (
    AuthorizeForm,
    CredentialsListForm,
    Form,
    SignDocForm,
    SignHashForm,
    TimestampForm,
    read,
)
from gateway.csc.refusing import refusal
from gateway.csc.rendering import Wish, credential_info, may_sign
from gateway.problems import refused

NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
HASH = base64.b64encode(b"\x07" * 32).decode()
SECRET = "never-to-be-told"
SIGNING = {
    "credentialID": "c-1",
    "SAD": SECRET,
    "hashes": [HASH],
    "hashAlgorithmOID": SHA256,
    "signAlgo": "1.2.840.10045.4.3.2",
}
SEALING = {"document": HASH, "signature_format": "P", "signAlgo": "1.2.840.10045.4.3.2"}
DOCUMENTS = {"credentialID": "c-1", "SAD": SECRET, "documents": [SEALING]}
AUTHORISING = {
    "credentialID": "c-1",
    "numSignatures": 1,
    "hashes": [HASH],
    "authData": [{"id": "PIN", "value": SECRET}],
}


def faults(body: dict[str, Any], form: type[Form]) -> set[str]:
    """The fields at fault. What they hold is in no message."""
    with pytest.raises(InvalidError) as failure:
        read(body, form)
    told = [failure.value.message, *(one.message for one in failure.value.faults)]
    assert not any(SECRET in one for one in told)
    return {one.field for one in failure.value.faults}


@pytest.mark.parametrize(
    ("form", "body", "change", "field"),
    [
        (SignHashForm, SIGNING, {"credentialID": None}, "credentialID"),
        (SignHashForm, SIGNING, {"hashes": []}, "hashes"),
        (SignHashForm, SIGNING, {"hashes": ["no base64!"]}, "hashes[0]"),
        (SignHashForm, SIGNING, {"hashes": HASH}, "hashes"),
        (SignHashForm, SIGNING, {"hashes": [HASH] * 101}, "hashes"),
        (SignHashForm, SIGNING, {"SAD": [SECRET]}, "SAD"),
        (SignHashForm, SIGNING, {"operationMode": "A"}, "operationMode"),
        (SignHashForm, SIGNING, {"signAlgoParams": "MA0="}, "signAlgoParams"),
        (
            SignDocForm,
            DOCUMENTS,
            {"documents": [{**SEALING, "signature_format": "X"}]},
            "documents[0].signature_format",
        ),
        (
            SignDocForm,
            DOCUMENTS,
            {"documents": [{**SEALING, "conformance_level": "AdES-B-LT"}]},
            "documents[0].conformance_level",
        ),
        (
            SignDocForm,
            DOCUMENTS,
            {"documents": [{**SEALING, "signed_props": [{}]}]},
            "documents[0].signed_props",
        ),
        (
            SignDocForm,
            DOCUMENTS,
            {"documents": [{**SEALING, "signed_envelope_property": "Certification"}]},
            "documents[0].signed_envelope_property",
        ),
        (SignDocForm, DOCUMENTS, {"documents": [SEALING] * 21}, "documents"),
        (AuthorizeForm, AUTHORISING, {"numSignatures": "1"}, "numSignatures"),
        (AuthorizeForm, AUTHORISING, {"numSignatures": 0}, "numSignatures"),
        (AuthorizeForm, AUTHORISING, {"authData": [{"id": "PIN", "value": SECRET * 5}]}, "authData[0].value"),
        (AuthorizeForm, AUTHORISING, {"authData": {"id": "PIN"}}, "authData"),
        (CredentialsListForm, {}, {"userID": "a b"}, "userID"),
        (CredentialsListForm, {}, {"certificates": "all"}, "certificates"),
        (CredentialsListForm, {}, {"maxResults": 101}, "maxResults"),
        (TimestampForm, {"hash": HASH, "hashAlgo": SHA256}, {"nonce": "0x5A"}, "nonce"),
    ],
)
def test_what_breaks_a_form_is_named_and_never_shown(
    form: type[Form], body: dict[str, Any], change: dict[str, Any], field: str
) -> None:
    read(body, form)

    assert faults({**body, **change}, form) == {field}


def test_names_of_version_1_are_taken_and_what_nobody_knows_is_passed_over() -> None:
    old = {**SIGNING, "hash": SIGNING["hashes"], "hashAlgo": SHA256, "clientData": {"any": 1}}
    del old["hashes"], old["hashAlgorithmOID"]

    form = read(old, SignHashForm)

    assert (form.hashes, form.hashAlgorithmOID) == ([b"\x07" * 32], SHA256)
    assert SECRET not in repr(form)


@pytest.mark.parametrize(
    ("sign_algo", "hash_algo", "suites"),
    [
        ("1.2.840.10045.4.3.2", None, {"sha256_ecdsa_p256"}),
        ("1.2.840.10045.4.3.3", SHA384, {"sha384_ecdsa_p384"}),
        ("1.2.840.10045.2.1", SHA384, {"sha384_ecdsa_p384"}),
        ("1.2.840.113549.1.1.11", None, {"sha256_rsa_2048", "sha256_rsa_3072"}),
        ("1.2.840.113549.1.1.1", SHA256, {"sha256_rsa_2048", "sha256_rsa_3072"}),
    ],
)
def test_algorithms_mean_suites(sign_algo: str, hash_algo: str | None, suites: set[str]) -> None:
    assert set(suites_of(sign_algo, hash_algo)) == suites


@pytest.mark.parametrize(
    ("sign_algo", "hash_algo", "field"),
    [
        ("1.2.840.113549.1.1.10", SHA256, "signAlgo"),
        ("1.2.840.113549.1.1.1", None, "hashAlgorithmOID"),
        ("1.2.840.10045.4.3.2", SHA384, "hashAlgorithmOID"),
    ],
)
def test_algorithms_that_contradict_are_refused(sign_algo: str, hash_algo: str | None, field: str) -> None:
    with pytest.raises(InvalidError) as failure:
        suites_of(sign_algo, hash_algo)

    assert [one.field for one in failure.value.faults] == [field]


def test_a_digest_is_of_the_function_that_is_named() -> None:
    require_digests([b"\x07" * 32], SHA256, "hashes")
    for function in (SHA384, "1.2.3"):
        with pytest.raises(InvalidError):
            require_digests([b"\x07" * 32], function, "hashes")


class _FactorError(ServiceError):
    kind = Kind.FORBIDDEN
    reason = "FACTOR_INVALID"


class _TokenError(ServiceError):
    kind = Kind.UNAUTHENTICATED
    reason = "TOKEN_INVALID"


class _BrokenError(ServiceError):
    kind = Kind.INTERNAL
    reason = "INTERNAL"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (_FactorError("no"), 400, "invalid_authentication_data"),
        (_TokenError("no"), 401, "invalid_token"),
        (InvalidError("no", faults=[FieldFault("SAD", "required", "is required")]), 400, "invalid_request"),
        (RequestInProgressError("the same is under way"), 503, "temporarily_unavailable"),
        (LateError("late"), 503, "temporarily_unavailable"),
        (UnavailableError("away", retry_after=7.0), 503, "temporarily_unavailable"),
        (_BrokenError("a secret of the inside"), 500, "server_error"),
        (refused(413, "BODY_TOO_LARGE", "too large"), 413, "invalid_request"),
        (refused(415, "CONTENT_TYPE_UNSUPPORTED", "JSON"), 400, "invalid_request"),
    ],
)
def test_errors_are_in_the_specification_s_form(error: Exception, status: int, code: str) -> None:
    answer = refusal(error)

    assert (answer.status, answer.content_type) == (status, "application/json")
    assert answer.body is not None
    told = json.loads(bytes(answer.body))  # type: ignore[arg-type]
    assert told["error"] == code
    assert told.keys() == {"error", "error_description", "reason"}
    assert "secret" not in told["error_description"]
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


def test_what_is_no_refusal_is_not_made_one() -> None:
    with pytest.raises(ZeroDivisionError):
        refusal(ZeroDivisionError())


def stamp(moment: datetime) -> Timestamp:
    """On the wire."""
    made = Timestamp()
    made.FromDatetime(moment)
    return made


@pytest.mark.parametrize(
    ("change", "signs", "key_status"),
    [
        ({}, True, "enabled"),
        ({"locked": True}, False, "disabled"),
        ({"state": pb.CREDENTIAL_STATE_REVOKED}, False, "disabled"),
        ({"state": pb.CREDENTIAL_STATE_WAITING}, False, "disabled"),
        ({"valid_until": stamp(NOW)}, False, "enabled"),
        ({"valid_from": stamp(NOW + timedelta(seconds=1))}, False, "enabled"),
    ],
)
def test_only_what_may_sign_is_told_so(change: dict[str, Any], signs: bool, key_status: str) -> None:
    values: dict[str, Any] = {
        "state": pb.CREDENTIAL_STATE_READY,
        "algorithm": "sha384_ecdsa_p384",
        "valid_from": stamp(NOW - timedelta(days=1)),
        "valid_until": stamp(NOW + timedelta(days=1)),
        **change,
    }
    credential = pb.RemoteCredential(**values)

    told = credential_info(credential, Wish("none", certInfo=False, authInfo=False), NOW).document()

    assert may_sign(credential, NOW) == signs
    assert told["key"] == {
        "status": key_status,
        "algo": ["1.2.840.10045.4.3.3"],
        "len": 384,
        "curve": "1.3.132.0.34",
    }
    assert (told["SCAL"], told["auth"], told["cert"]) == ("2", {"mode": "explicit"}, {})


def test_what_is_said_to_be_offered_has_a_route() -> None:
    routes = {one.path for one in (*service.ROUTES, *credentials.ROUTES, *signatures.ROUTES)}

    assert routes == {f"/csc/v2/{method}" for method in ("info", *service.METHODS)}
    assert all(suite.told for suite in SUITES.values())
