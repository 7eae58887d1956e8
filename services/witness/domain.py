"""What a witness is asked (C2SP tlog-witness, add-checkpoint), and what it refuses. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from core.merkle import EMPTY_ROOT, HASH_LENGTH, VerificationError, verify_consistency
from core.note import Checkpoint, VerifierKey, decode_base64, split_note

MOST_HASHES = 63
LARGEST_SIZE = (1 << 63) - 1

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


class RefusedError(Exception):
    """The witness does not cosign. The message is for the log's operators."""

    status: ClassVar[int] = 400


class MalformedError(RefusedError):
    """The request is not as the protocol has it."""


class UnsignedError(RefusedError):
    """No key that is trusted for the origin signed the checkpoint, or a signature by one is wrong."""

    status = 403


class UnknownLogError(RefusedError):
    """The witness watches no log of this origin."""

    status = 404


class OtherSizeError(RefusedError):
    """The witness last cosigned another size than the one that the proof begins with."""

    status = 409

    def __init__(self, size: int) -> None:
        super().__init__(f"the last size that was cosigned is {size}")
        self.size = size


class InconsistentError(RefusedError):
    """The checkpoint is not proved to extend the one that was cosigned last."""

    status = 422


@dataclass(frozen=True, slots=True)
class Submission:
    """A request, read but not believed."""

    old_size: int
    proof: tuple[bytes, ...]
    note: str
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Seen:
    """The last checkpoint of a log that this witness cosigned; its note has the cosignature."""

    size: int
    root: bytes
    note: str


NOTHING = Seen(0, EMPTY_ROOT, "")
"""What was seen of a log that was never cosigned: the empty tree, with which every tree is consistent."""


def read_submission(body: bytes) -> Submission:
    """What a request's body says. Raises MalformedError."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise MalformedError("the request is not UTF-8") from None
    head, separator, note = text.partition("\n\n")
    old, *hashes = head.split("\n")
    size = _OLD.fullmatch(old)
    if not separator or size is None:
        raise MalformedError("the request is not an old size, a proof, an empty line and a checkpoint")
    if len(hashes) > MOST_HASHES:
        raise MalformedError(f"a proof has at most {MOST_HASHES} hashes")
    try:
        proof = tuple(decode_base64(one, "proof") for one in hashes)
        checkpoint = Checkpoint.parse(split_note(note)[0])
    except VerificationError as failure:
        raise MalformedError(str(failure)) from None
    if any(len(one) != HASH_LENGTH for one in proof):
        raise MalformedError(f"a hash of the proof is not {HASH_LENGTH} bytes long")
    if max(int(size[1]), checkpoint.size) > LARGEST_SIZE:
        raise MalformedError("a size is too large")
    return Submission(int(size[1]), proof, note, checkpoint)


def signed_by(note: str, keys: Sequence[VerifierKey]) -> str:
    """The note with its text and the signature lines of these keys alone, all of which are proved.

    Raises UnsignedError where there is none of them, or one is wrong.
    """
    text, signatures = split_note(note)
    known = {(key.name, key.key_id): key for key in keys}
    lines = note.rpartition("\n\n")[2].splitlines(keepends=True)
    ours = []
    for line, (name, key_id, _) in zip(lines, signatures, strict=True):
        key = known.get((name, key_id))
        if key is None:
            continue
        try:
            key.verify(f"{text}\n{line}")
        except VerificationError as failure:
            raise UnsignedError(str(failure)) from None
        ours.append(line)
    if not ours:
        raise UnsignedError("no key that is trusted for this log signed the checkpoint")
    return f"{text}\n{''.join(ours)}"


def check_growth(submission: Submission, seen: Seen) -> None:
    """Passes a checkpoint that extends what was seen.

    Raises MalformedError, OtherSizeError, InconsistentError, in the protocol's order.
    """
    new = submission.checkpoint
    if submission.old_size > new.size:
        raise MalformedError("the old size is larger than the checkpoint's")
    if submission.old_size != seen.size:
        raise OtherSizeError(seen.size)
    try:
        verify_consistency(seen.size, seen.root, new.size, new.root, submission.proof)
    except VerificationError as failure:
        raise InconsistentError(str(failure)) from None
    if new.size == 0 and new.root != EMPTY_ROOT:
        raise InconsistentError("an empty tree has the empty tree's root")
