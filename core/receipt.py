"""Checks a receipt with nothing but the ledger's public key: entry, inclusion, checkpoint, answer."""

import hmac
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

import rfc8785

from core.merkle import VerificationError, leaf_hash, verify_inclusion
from core.note import Checkpoint, VerifierKey, decode_base64, open_checkpoint, split_note

OPENING_DESTROYED = (
    "the entry's commitments can no longer be opened: what opened them was destroyed, as the rules of"
    " retention allow"
)

_SALT_LENGTH = 32
# RFC 7493: beyond this a JSON number is not exact.
_LARGEST_INTEGER = (1 << 53) - 1


class Stage(StrEnum):
    """The checks of a receipt; each failure says in which it came up."""

    FORM = "form"
    """It is not written as receipts are."""
    SIGNATURE = "signature"
    """The checkpoint is not signed with the given key."""
    INCLUSION = "inclusion"
    """The entry is not in the tree of the checkpoint."""
    ANSWER = "answer"
    """The answer is not what the entry commits to."""


@dataclass(frozen=True, slots=True)
class Proved:
    """What a receipt proves: this entry is leaf `index` of the log at this checkpoint."""

    entry: Mapping[str, object]
    index: int
    checkpoint: Checkpoint
    answer_proved: bool
    """Whether an answer or file was given, and is the one that the entry commits to."""


def commitment(salt: bytes, content: bytes) -> bytes:
    """HMAC-SHA-256 keyed with the salt: how an entry commits to what it does not show."""
    return hmac.digest(salt, content, sha256)


def read_json(text: str | bytes, what: str) -> dict[str, object]:
    """A JSON object without doubled names. Raises VerificationError otherwise."""

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise VerificationError(f"{what} names a member twice")
        return members

    try:
        document = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise VerificationError(f"{what} is not JSON") from None
    if not isinstance(document, dict):
        raise VerificationError(f"{what} is not a JSON object")
    return document


def canonical(document: Mapping[str, object], what: str) -> bytes:
    """The RFC 8785 form. Raises VerificationError where there is none."""
    try:
        return rfc8785.dumps(dict(document))  # type: ignore[arg-type]  # it refuses what is not JSON itself
    except (rfc8785.CanonicalizationError, RecursionError, UnicodeError):
        raise VerificationError(f"{what} has no canonical JSON form") from None


def answer_bytes(answer: Mapping[str, object]) -> bytes:
    """The bytes that an entry commits to for a JSON answer: its RFC 8785 form without its receipt."""
    return canonical({name: value for name, value in answer.items() if name != "receipt"}, "the answer")


def verify_receipt(
    receipt: Mapping[str, object], *keys: VerifierKey, answered: bytes | None = None
) -> Proved:
    """Proves a receipt in its public JSON form, and the answer too where its bytes are given.

    `keys` are the log's: one that signs now, and those that have signed before.

    `answered` is `answer_bytes` of a JSON answer, or a file's bytes. Raises VerificationError saying
    what is malformed or not proved, and its `stage`.
    """
    with _during(Stage.FORM):
        entry = _object(receipt, "entry")
        index, tree_size = _integer(receipt, "index"), _integer(receipt, "tree_size")
        note, hashes = _text(receipt, "checkpoint"), _hashes(receipt)
        if _text(receipt, "id") != entry.get("id"):
            raise VerificationError("the receipt's id is not its entry's id")
        leaf = leaf_hash(canonical(entry, "the entry"))
        split_note(note)
    with _during(Stage.SIGNATURE):
        checkpoint = open_checkpoint(note, *keys)
    with _during(Stage.INCLUSION):
        if tree_size != checkpoint.size:
            raise VerificationError("the receipt's tree_size is not the checkpoint's size")
        verify_inclusion(leaf, index, checkpoint.size, hashes, checkpoint.root)
    if answered is not None:
        with _during(Stage.ANSWER):
            _verify_answer(receipt, entry, answered)
    return Proved(entry, index, checkpoint, answered is not None)


@contextmanager
def _during(stage: Stage) -> Iterator[None]:
    try:
        yield
    except VerificationError as failure:
        failure.stage = stage
        raise


def _verify_answer(receipt: Mapping[str, object], entry: Mapping[str, object], answered: bytes) -> None:
    commitments = entry.get("commitments")
    given = commitments.get("answer") if isinstance(commitments, Mapping) else None
    if not isinstance(given, str):
        raise VerificationError("the entry commits to no answer")
    if receipt.get("opening_destroyed") is True:
        raise VerificationError(OPENING_DESTROYED)
    salt = decode_base64(_text(receipt, "answer_salt"), "answer_salt")
    if len(salt) != _SALT_LENGTH:
        raise VerificationError(f"the receipt's answer_salt is not {_SALT_LENGTH} bytes long")
    if not hmac.compare_digest(commitment(salt, answered), decode_base64(given, "answer commitment")):
        raise VerificationError("the answer is not the one that the entry commits to")


def _member(receipt: Mapping[str, object], name: str) -> object:
    if name not in receipt:
        raise VerificationError(f"the receipt lacks {name}")
    return receipt[name]


def _text(receipt: Mapping[str, object], name: str) -> str:
    value = _member(receipt, name)
    if not isinstance(value, str):
        raise VerificationError(f"the receipt's {name} is not a text")
    return value


def _integer(receipt: Mapping[str, object], name: str) -> int:
    value = _member(receipt, name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LARGEST_INTEGER:
        raise VerificationError(f"the receipt's {name} is not a whole number from 0")
    return value


def _object(receipt: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = _member(receipt, name)
    if not isinstance(value, Mapping):
        raise VerificationError(f"the receipt's {name} is not an object")
    return value


def _hashes(receipt: Mapping[str, object]) -> list[bytes]:
    value = _member(receipt, "hashes")
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise VerificationError("the receipt's hashes are not a list of texts")
    return [decode_base64(one, "proof hash") for one in value]
