"""`onestop verify`: checks a receipt offline, with nothing but the ledger's public key.

The page /verify of the people's listener does the same in a browser (gateway/public/pages/receipt.js).
"""

from __future__ import annotations

import argparse
import base64
import binascii
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from core.merkle import VerificationError
from core.note import VerifierKey, parse_keys
from core.policy import Policy
from core.receipt import OPENING_DESTROYED, Proved, Stage, answer_bytes, read_json, verify_receipt
from core.receipt_policy import Believed, verify_by_policy

PROVED, NOT_PROVED, UNUSABLE = 0, 1, 2

LARGEST_FILE = 64 * 1024 * 1024

_EPILOG = """\
A receipt is proved when its entry hashes to a leaf of the log whose checkpoint is signed with the given key.
With the answer or the sealed file itself, it is proved too that this is what the entry was written for.
Exit code: 0 proved, 1 not proved, 2 something could not be read.
"""


_NOT_PROVED: Mapping[str, str] = {
    Stage.FORM: "回执的格式不正确，无法核验",
    Stage.SIGNATURE: "检查点不是用所给公钥签名的：公钥不符，或者检查点被改动过",
    Stage.INCLUSION: "存证记录不在该检查点的日志之中：记录或者证明被改动过",
    Stage.ANSWER: "所给的答复（文件）不是这条存证记录所对应的那一份",
}
"""What failed, in Chinese; the English sentence is the failure's own."""

_POLICY = "信任策略没有满足：其中没有这个日志，或者见证方的签名不齐"


class UnusableError(Exception):
    """Something on the command line cannot be used."""


def main() -> int:
    """Reads the command line; answers 0, 1 or 2, and says in plain lines what was proved."""
    arguments = _parser().parse_args()
    try:
        keys = _keys(arguments.key) if arguments.policy is None else None
        policy = _policy(arguments.policy) if arguments.policy else Policy()
        document = _document(_read(arguments.receipt), arguments.receipt.name)
        receipt, answered = _parts(document, arguments)
    except (UnusableError, VerificationError) as failure:
        print(f"无法核验\ncannot check: {failure}", file=sys.stderr)
        return UNUSABLE
    try:
        if keys is not None:
            believed = Believed(verify_receipt(receipt, *keys, answered=answered), ())
        else:
            believed = verify_by_policy(receipt, policy, answered=answered)
    except VerificationError as failure:
        print(f"未能证实：{_NOT_PROVED.get(failure.stage, _POLICY)}\nNOT PROVED: {failure}", file=sys.stderr)
        return NOT_PROVED
    print(_report(believed, policy, "file" if arguments.file else "answer", receipt))
    return PROVED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="onestop verify",
        description="Checks a receipt of the ledger, offline.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "receipt",
        type=Path,
        help="file with the receipt: as JSON, as a whole answer that contains it, or as the Receipt header",
    )
    content = parser.add_mutually_exclusive_group()
    content.add_argument("--answer", type=Path, help="file with the JSON answer that the receipt came with")
    content.add_argument("--file", type=Path, help="the sealed file that the receipt came with")
    trust = parser.add_mutually_exclusive_group()
    trust.add_argument(
        "--policy",
        type=Path,
        help="a file as /ledger/v1/policy answers: the log's keys, and the witnesses that must have cosigned",
    )
    trust.add_argument(
        "--key",
        default=str(_home() / "keys" / "ledger.vkey"),
        help="the ledger's verifier key, or a file with those it has had, a line each (default: %(default)s)",
    )
    return parser


def _home() -> Path:
    """What the city keeps: beside this project, wherever the command is given."""
    return Path(os.environ.get("ONESTOP_HOME", Path(__file__).resolve().parents[1] / ".onestop"))


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UnusableError(f"{path} is larger than {LARGEST_FILE >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise UnusableError(f"{path} cannot be read: {error.strerror}") from None


def _keys(text: str) -> list[VerifierKey]:
    """The key itself, or those in the file that is named."""
    if text.count("+") >= 2 and not os.path.exists(text):  # A key is too long for some file systems.
        return [VerifierKey.parse(text)]
    try:
        return parse_keys(_read(Path(text)).decode())
    except UnicodeDecodeError:
        raise UnusableError(f"{text} is no verifier key") from None


def _policy(path: Path) -> Policy:
    try:
        return Policy.parse(_read(path).decode())
    except UnicodeDecodeError:
        raise UnusableError(f"{path} is no policy") from None


def _document(data: bytes, name: str) -> dict[str, object]:
    """JSON, or JSON in the base64url of the Receipt header."""
    text = data.strip()
    if not text.startswith(b"{"):
        try:
            text = base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise UnusableError(f"{name} is neither JSON nor base64url of it") from None
    return read_json(text, name)


def _parts(
    document: Mapping[str, object], arguments: argparse.Namespace
) -> tuple[Mapping[str, object], bytes | None]:
    """The receipt, and the bytes that it commits to where they are at hand."""
    receipt = document.get("receipt", document)
    if not isinstance(receipt, Mapping):
        raise UnusableError("the member receipt is not an object")
    if arguments.file:
        return receipt, _read(arguments.file)
    if arguments.answer:
        return receipt, answer_bytes(read_json(_read(arguments.answer), arguments.answer.name))
    return receipt, answer_bytes(document) if receipt is not document else None


def _report(believed: Believed, policy: Policy, content: str, receipt: Mapping[str, object]) -> str:
    proved, entry = believed.proved, believed.proved.entry
    who = f"{entry.get('caller')} by way of {entry.get('recorder')}"
    lines = [
        f"entry       {entry.get('id')}",
        f"            {entry.get('method')} ({entry.get('kind')}) for {who}, {entry.get('time')}",
        f"in the log  leaf {proved.index} of the {proved.checkpoint.size} of {proved.checkpoint.origin}",
        f"signed      checkpoint of size {proved.checkpoint.size} by {proved.checkpoint.origin}",
    ]
    names = {witness.key: witness.name for witness in policy.witnesses}
    for one in believed.cosigned:
        at = datetime.fromtimestamp(one.seconds, UTC)
        lines.append(f"cosigned    by {names[one.key]} ({one.key.name}), {at:%Y-%m-%dT%H:%M:%SZ}")
    lines.append(f"核验结果    {_proved_in_chinese(proved, content)}")
    if proved.answer_proved:
        lines.append(f"{content:<11} is the one that the entry was written for")
    elif receipt.get("opening_destroyed") is True:
        lines.append(f"answer      not checked: {OPENING_DESTROYED}")
    else:
        lines.append("answer      not given, so not checked (--answer or --file)")
    return "\n".join([*lines, "PROVED"])


def _proved_in_chinese(proved: Proved, content: str) -> str:
    entry = "已证实：这条存证记录在该日志之中，检查点由所给公钥签名"
    if not proved.answer_proved:
        return f"{entry}；没有提供答复或文件，未核对其内容"
    return f"{entry}；所给的{'文件' if content == 'file' else '答复'}正是它所对应的那一份"


if __name__ == "__main__":
    raise SystemExit(main())
