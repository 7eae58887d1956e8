"""What a scan of TLS finds is told, and what it could not look at is not taken for well."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.scan import faults

GCM, CBC = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"


def found(**result: Any) -> dict[str, Any]:
    return {"status": "COMPLETED", "result": result, "error_reason": None, "error_trace": None}


def suites(*names: str) -> dict[str, Any]:
    return found(accepted_cipher_suites=[{"cipher_suite": {"name": name}} for name in names])


WELL = {
    "scan_result": {
        "ssl_2_0_cipher_suites": suites(),
        "ssl_3_0_cipher_suites": suites(),
        "tls_1_0_cipher_suites": suites(),
        "tls_1_1_cipher_suites": suites(),
        "tls_1_2_cipher_suites": suites(GCM),
        "tls_1_3_cipher_suites": suites("TLS_CHACHA20_POLY1305_SHA256"),
        "tls_compression": found(supports_compression=False),
        "session_renegotiation": found(is_vulnerable_to_client_renegotiation_dos=False),
        "heartbleed": found(is_vulnerable_to_heartbleed=False),
        "openssl_ccs_injection": found(is_vulnerable_to_ccs_injection=False),
        "robot": found(robot_result="NOT_VULNERABLE_RSA_NOT_SUPPORTED"),
        "certificate_info": found(
            certificate_deployments=[{"path_validation_results": [{"was_validation_successful": True}]}]
        ),
    }
}


def test_a_listener_that_is_well_has_no_fault() -> None:
    assert list(faults(WELL)) == []


@pytest.mark.parametrize(
    ("name", "attempt", "fault"),
    [
        ("tls_1_0_cipher_suites", suites(CBC), "speaks tls_1_0"),
        ("tls_1_2_cipher_suites", suites(GCM, CBC), f"takes {CBC}"),
        (
            "tls_1_2_cipher_suites",
            suites("TLS_RSA_WITH_AES_128_GCM_SHA256"),
            "takes TLS_RSA_WITH_AES_128_GCM_SHA256",
        ),
        ("tls_compression", found(supports_compression=True), "compresses"),
        (
            "session_renegotiation",
            found(is_vulnerable_to_client_renegotiation_dos=True),
            "lets clients renegotiate",
        ),
        ("heartbleed", found(is_vulnerable_to_heartbleed=True), "bleeds (Heartbleed)"),
        (
            "openssl_ccs_injection",
            found(is_vulnerable_to_ccs_injection=True),
            "takes an early ChangeCipherSpec",
        ),
        ("robot", found(robot_result="VULNERABLE_STRONG_ORACLE"), "is an oracle for RSA (ROBOT)"),
        (
            "certificate_info",
            found(
                certificate_deployments=[{"path_validation_results": [{"was_validation_successful": False}]}]
            ),
            "shows a certificate that the city's authority does not vouch for",
        ),
    ],
)
def test_each_fault_is_told(name: str, attempt: dict[str, Any], fault: str) -> None:
    result = copy.deepcopy(WELL)
    result["scan_result"][name] = attempt

    assert list(faults(result)) == [fault]


def test_silence_is_a_fault_and_what_failed_is_not_taken_for_well() -> None:
    silent, failed = copy.deepcopy(WELL), copy.deepcopy(WELL)
    for version in ("tls_1_2", "tls_1_3"):
        silent["scan_result"][f"{version}_cipher_suites"] = suites()
    failed["scan_result"]["heartbleed"]["status"] = "ERROR"

    assert list(faults(silent)) == ["speaks neither TLS 1.2 nor TLS 1.3"]
    with pytest.raises(RuntimeError, match="heartbleed"):
        list(faults(failed))
