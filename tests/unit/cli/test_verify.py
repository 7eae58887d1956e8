"""`onestop verify` from its command line to its exit code."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cli import __main__ as command
from core.cosignature import WitnessKey, signed_message
from core.note import VerifierKey, signature_line, split_note
from core.receipt import answer_bytes
from deploy.local.migrate import ROOT
from tests.unit.ledger.receipts import KEY, a_receipt

ANSWER: dict[str, Any] = {"name": "张三", "licences": []}
SECONDS = 1_795_838_400


def _witness(name: str, seed: bytes) -> tuple[WitnessKey, Ed25519PrivateKey]:
    private = Ed25519PrivateKey.from_private_bytes(seed * 32)
    return WitnessKey(name, private.public_key().public_bytes_raw()), private


NORTH, SOUTH = _witness("north.example", b"\x31"), _witness("south.example", b"\x32")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A city's folder with nothing but the public key."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "ledger.vkey").write_text(f"{KEY}\n")
    monkeypatch.setenv("ONESTOP_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def verify(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `onestop verify` with these words; its exit code and what it said."""

    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["onestop", "verify", *map(str, words)])
        try:
            code = command.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def put(path: Path, content: object) -> Path:
    """A file with JSON, or with bytes as they are."""
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def test_receipt_is_proved(verify: Any, home: Path) -> None:
    code, said = verify(put(home / "receipt.json", a_receipt(b"file")))

    assert code == 0
    assert "licence.search (disclosure) for approval-platform" in said
    assert "leaf 5 of the 11 of onestop.example/ledger" in said
    assert "not given, so not checked" in said
    assert said.endswith("PROVED\n")


def test_whole_answer_is_proved_with_its_receipt(verify: Any, home: Path) -> None:
    answer = {**ANSWER, "receipt": a_receipt(answer_bytes(ANSWER))}

    code, said = verify(put(home / "answer.json", answer))

    assert code == 0
    assert "answer      is the one" in said


def test_answer_beside_its_receipt_is_proved(verify: Any, home: Path) -> None:
    receipt = put(home / "receipt.json", a_receipt(answer_bytes(ANSWER)))
    answer = put(home / "answer.json", {**ANSWER, "receipt": "anything"})
    altered = put(home / "altered.json", {**ANSWER, "name": "李四"})

    assert verify(receipt, "--answer", answer)[0] == 0
    code, said = verify(receipt, "--answer", altered)
    assert code == 1
    assert "NOT PROVED: the answer is not the one" in said


def test_sealed_file_is_proved_by_the_receipt_header(verify: Any, home: Path) -> None:
    header = base64.urlsafe_b64encode(json.dumps(a_receipt(b"%PDF-1.7")).encode()).rstrip(b"=")
    receipt = put(home / "receipt.txt", header + b"\n")
    sealed, other = put(home / "sealed.pdf", b"%PDF-1.7"), put(home / "other.pdf", b"%PDF-1.8")

    code, said = verify(receipt, "--file", sealed)

    assert code == 0
    assert "file        is the one" in said
    assert verify(receipt, "--file", other)[0] == 1


def test_key_may_be_given_itself_or_as_a_file(verify: Any, home: Path) -> None:
    receipt = put(home / "receipt.json", a_receipt(b"file"))
    (home / "keys" / "ledger.vkey").rename(home / "elsewhere.vkey")

    assert verify(receipt)[0] == 2
    assert verify(receipt, "--key", KEY)[0] == 0
    assert verify(receipt, "--key", home / "elsewhere.vkey")[0] == 0


def test_altered_receipt_is_not_proved(verify: Any, home: Path) -> None:
    receipt = a_receipt(b"file")
    receipt["entry"]["caller"] = "rural-bank"

    code, said = verify(put(home / "receipt.json", receipt))

    assert code == 1
    assert said == (
        "未能证实：存证记录不在该检查点的日志之中：记录或者证明被改动过\n"
        "NOT PROVED: the inclusion proof does not lead from this entry to the checkpoint's root\n"
    )


def test_the_verdict_is_said_in_chinese_too(verify: Any, home: Path) -> None:
    receipt = put(home / "receipt.json", a_receipt(answer_bytes(ANSWER)))
    answer = put(home / "answer.json", ANSWER)
    altered = put(home / "altered.json", {**ANSWER, "name": "李四"})
    other = VerifierKey(KEY.name, Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    malformed = put(home / "malformed.json", {**a_receipt(b""), "index": "5"})

    assert "已证实：这条存证记录在该日志之中" in verify(receipt)[1]
    assert "没有提供答复或文件" in verify(receipt)[1]
    assert "所给的答复正是它所对应的那一份\n" in verify(receipt, "--answer", answer)[1]
    assert "未能证实：所给的答复（文件）不是" in verify(receipt, "--answer", altered)[1]
    assert "未能证实：检查点不是用所给公钥签名的" in verify(receipt, "--key", other)[1]
    assert "未能证实：回执的格式不正确" in verify(malformed)[1]
    assert verify("missing.json")[1].startswith("无法核验\n")


def test_signatures_of_others_change_nothing(verify: Any, home: Path) -> None:
    receipt = a_receipt(b"file")
    for size in (64, 72):
        receipt["checkpoint"] += signature_line(VerifierKey("witness.example/w1", b"k" * 32), b"s" * size)

    assert verify(put(home / "receipt.json", receipt))[0] == 0


def test_the_command_of_a_clone_verifies_a_receipt_from_anywhere(home: Path) -> None:
    put(home / "receipt.json", a_receipt(b"file"))
    environment = {**os.environ, "ONESTOP_HOME": str(home)}

    done = subprocess.run(
        [ROOT / "onestop", "verify", "receipt.json"],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("PROVED\n")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["missing.json"], "cannot be read: No such file"),
        (["."], "cannot be read: Is a directory"),
        (["garbage"], "neither JSON nor base64url"),
        (["list.json"], "neither JSON nor base64url"),
        (["text.json"], "member receipt is not an object"),
        (["receipt.json", "--key", "garbage"], "no verifier key"),
        (["receipt.json", "--key", "a+b+c"], "not base64"),
        (["receipt.json", "--answer", "garbage"], "garbage is not JSON"),
        (["receipt.json", "--answer", "missing"], "cannot be read"),
        (["receipt.json", "--answer", "a", "--file", "b"], "not allowed with"),
        ([], "required"),
    ],
)
def test_what_cannot_be_used_is_said_plainly(
    verify: Any, home: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], why: str
) -> None:
    monkeypatch.chdir(home)
    put(home / "receipt.json", a_receipt(b"file"))
    put(home / "garbage", b"\xff\xfe")
    put(home / "list.json", [1])
    put(home / "text.json", {"receipt": "text"})

    code, said = verify(*words)

    assert code == 2
    assert why in said
    assert "Traceback" not in said


def test_the_key_is_looked_for_beside_the_project_wherever_one_is(
    verify: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ONESTOP_HOME")
    monkeypatch.chdir(home)

    _, said = verify("--help")

    assert str(ROOT / ".onestop" / "keys" / "ledger.vkey") in "".join(said.split())


def test_command_without_or_with_an_unknown_name_lists_the_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, code in (([], 2), (["--help"], 0), (["nonsense"], 2)):
        monkeypatch.setattr(sys, "argv", ["onestop", *words])
        assert command.main() == code
        said = capsys.readouterr()
        assert "verify" in said.out + said.err


def test_verifying_needs_neither_grpc_nor_a_database(home: Path) -> None:
    receipt = put(home / "receipt.json", a_receipt(b"file"))
    script = (
        "import sys; sys.modules.update(dict.fromkeys(['grpc', 'asyncpg', 'aiohttp', 'onestop']));"
        f"sys.argv = ['onestop', 'verify', {str(receipt)!r}];"
        "from cli.__main__ import main; raise SystemExit(main())"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def cosigned(receipt: dict[str, Any], *witnesses: tuple[WitnessKey, Ed25519PrivateKey]) -> dict[str, Any]:
    """The receipt with these witnesses' cosignatures on its checkpoint."""
    text = split_note(receipt["checkpoint"])[0]
    lines = [key.line(SECONDS, private.sign(signed_message(SECONDS, text))) for key, private in witnesses]
    return {**receipt, "checkpoint": receipt["checkpoint"] + "".join(lines)}


def test_receipt_is_proved_by_a_policy_with_its_witnesses(verify: Any, home: Path) -> None:
    receipt = a_receipt(answer_bytes(ANSWER))
    answer = put(home / "answer.json", {**ANSWER, "receipt": cosigned(receipt, NORTH, SOUTH)})
    alone = put(home / "alone.json", {**ANSWER, "receipt": cosigned(receipt, NORTH)})
    policy = home / "policy"
    lines = [
        f"log {KEY}",
        f"witness n {NORTH[0]}",
        f"witness s {SOUTH[0]}",
        "group both all n s",
        "quorum both",
    ]
    policy.write_text("\n".join([*lines, ""]))

    code, said = verify(answer, "--policy", policy)
    refused, why = verify(alone, "--policy", policy)
    by_key, _ = verify(alone)

    assert code == 0, said
    assert "cosigned    by n (north.example), 2026-11-28T04:00:00Z" in said
    assert "by s (south.example)" in said
    assert (refused, by_key) == (1, 0)
    assert "have not cosigned this checkpoint" in why


def test_forged_cosignature_is_noticed(verify: Any, home: Path) -> None:
    forged = cosigned(a_receipt(b"file"), (NORTH[0], SOUTH[1]))
    policy = home / "policy"
    policy.write_text(f"log {KEY}\nwitness n {NORTH[0]}\nquorum none\n")

    code, said = verify(put(home / "receipt.json", forged), "--policy", policy)

    assert code == 1
    assert "the cosignature of north.example is wrong" in said


@pytest.mark.parametrize(
    ("text", "code", "complaint"),
    [
        ("quorum none\n", 1, "the policy has no log onestop.example/ledger"),
        ("log nonsense\nquorum none\n", 2, "line 1 of the policy"),
        ("\udcff", 2, "is no policy"),
    ],
)
def test_policy_that_does_not_fit_is_told_of(
    verify: Any, home: Path, text: str, code: int, complaint: str
) -> None:
    policy = home / "policy"
    policy.write_bytes(text.encode(errors="surrogateescape"))

    answered, said = verify(put(home / "receipt.json", a_receipt(b"file")), "--policy", policy)

    assert answered == code
    assert complaint in said


def test_file_with_the_keys_of_a_rotation_verifies_what_either_has_signed(verify: Any, home: Path) -> None:
    receipt = put(home / "receipt.json", a_receipt(b"file"))
    newer = VerifierKey(KEY.name, b"\x09" * 32)

    (home / "keys" / "ledger.vkey").write_text(f"{newer}\n{KEY}\n")
    assert verify(receipt)[0] == 0

    (home / "keys" / "ledger.vkey").write_text(f"{newer}\n")
    code, said = verify(receipt)
    assert code == 1
    assert "no signature of" in said


def test_receipt_whose_opening_was_destroyed_says_so(verify: Any, home: Path) -> None:
    closed = {**a_receipt(b"file"), "answer_salt": "", "opening_destroyed": True}
    receipt, sealed = put(home / "receipt.json", closed), put(home / "sealed.pdf", b"file")

    code, said = verify(receipt)
    assert code == 0
    assert "can no longer be opened" in said

    code, said = verify(receipt, "--file", sealed)
    assert code == 1
    assert "NOT PROVED: the entry's commitments can no longer be opened" in said
