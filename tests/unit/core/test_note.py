"""Signed notes and checkpoints (C2SP)."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from core.merkle import EMPTY_ROOT, VerificationError
from core.note import (
    Checkpoint,
    VerifierKey,
    open_checkpoint,
    parse_keys,
    signature_line,
    signers,
    split_note,
)

# The example key and note of golang.org/x/mod/sumdb/note, from which the format comes.
EXAMPLE_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
EXAMPLE_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
EXAMPLE_TEXT = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
)
EXAMPLE_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6Ryy"
    "BwJnAM=\n"
)
EXAMPLE = f"{EXAMPLE_TEXT}\n{EXAMPLE_LINE}"

# The example of C2SP tlog-checkpoint; its key is not published.
EXAMPLE_CHECKPOINT = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"


def a_key(name: str = "example.com/log", seed: bytes = b"\x07" * 32) -> tuple[VerifierKey, Ed25519PrivateKey]:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    return VerifierKey(name, private.public_key().public_bytes_raw()), private


def signed(text: str, key: VerifierKey, private: Ed25519PrivateKey) -> str:
    return f"{text}\n{signature_line(key, private.sign(text.encode()))}"


def test_published_note_verifies_with_the_published_key() -> None:
    key = VerifierKey.parse(EXAMPLE_KEY)

    assert key.verify(EXAMPLE) == EXAMPLE_TEXT
    assert key.key_id.hex() == "c74f20a3"
    assert str(key) == EXAMPLE_KEY


def test_signing_the_published_text_gives_the_published_note() -> None:
    key, private = a_key("PeterNeumann", EXAMPLE_SEED)

    assert str(key) == EXAMPLE_KEY
    assert signed(EXAMPLE_TEXT, key, private) == EXAMPLE


def test_published_checkpoint_parses_and_prints_the_same() -> None:
    checkpoint = Checkpoint.parse(EXAMPLE_CHECKPOINT)

    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text == EXAMPLE_CHECKPOINT


def test_unknown_signatures_are_ignored_and_known_ones_are_not() -> None:
    key, private = a_key()
    other, other_private = a_key("witness.example/w1", b"\x08" * 32)
    text = "hello\n"
    note = signed(text, key, private) + signature_line(other, other_private.sign(text.encode()))

    assert key.verify(note) == text
    assert other.verify(note) == text
    with pytest.raises(VerificationError, match="no signature of stranger"):
        a_key("stranger", b"\x09" * 32)[0].verify(note)


def test_second_wrong_signature_of_a_known_key_spoils_the_note() -> None:
    key, private = a_key()
    note = signed("hello\n", key, private) + signature_line(key, b"\x00" * 64)

    with pytest.raises(VerificationError, match="wrong"):
        key.verify(note)


def test_text_may_hold_empty_lines() -> None:
    key, private = a_key()

    assert key.verify(signed("one\n\ntwo\n", key, private)) == "one\n\ntwo\n"


@given(st.integers(0, len(EXAMPLE) - 1), st.characters(codec="utf-8"))
def test_note_with_one_character_changed_does_not_verify(place: int, character: str) -> None:
    altered = EXAMPLE[:place] + character + EXAMPLE[place + 1 :]
    if altered == EXAMPLE:
        return

    with pytest.raises(VerificationError):
        VerifierKey.parse(EXAMPLE_KEY).verify(altered)


@pytest.mark.parametrize(
    "note",
    [
        "",
        EXAMPLE_TEXT,
        EXAMPLE.removesuffix("\n"),
        EXAMPLE.replace("\n\n", "\n"),
        EXAMPLE.replace("—", "-"),
        EXAMPLE + "\n",
        EXAMPLE + "— PeterNeumann\n",
        EXAMPLE + "—  x08go/ZJ\n",
        EXAMPLE + "— other x08g\n",
        EXAMPLE.replace("If", "\x00If"),
        EXAMPLE.replace("If", "\tIf"),
        EXAMPLE.replace("\n", "\r\n"),
        EXAMPLE + EXAMPLE_LINE * 100,
        "x" * (1 << 20) + EXAMPLE,
        f"\n{EXAMPLE_LINE}",
    ],
)
def test_malformed_note_is_refused(note: str) -> None:
    with pytest.raises(VerificationError):
        VerifierKey.parse(EXAMPLE_KEY).verify(note)


def test_sixteen_large_signatures_are_accepted() -> None:
    key, private = a_key()
    line = "— witness.example " + base64.b64encode(b"\x01" * 5000).decode() + "\n"

    assert key.verify(signed("hello\n", key, private) + line * 15) == "hello\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        EXAMPLE_KEY.replace("c74f20a3", "c74f20a4"),
        EXAMPLE_KEY.replace("Peter", "Paul"),
        EXAMPLE_KEY[:-4],
        EXAMPLE_KEY.replace("+AR", "+AB"),
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ],
)
def test_malformed_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(VerificationError):
        VerifierKey.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n5\n",
        "origin\n5\nAAAA\n",
        "\n5\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "origin\n05\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "origin\n-5\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "origin\n٥\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "origin\n5\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=",
        "origin\n5\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=\n",
        "origin\n5\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n",
    ],
)
def test_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(VerificationError):
        Checkpoint.parse(text)


def test_extension_lines_of_a_checkpoint_are_let_pass() -> None:
    assert Checkpoint.parse(EXAMPLE_CHECKPOINT + "extension\n").size == 20852163


def test_checkpoint_of_another_log_under_our_key_is_refused() -> None:
    key, private = a_key("example.com/log")
    text = Checkpoint("example.com/another", 0, EMPTY_ROOT).text

    with pytest.raises(VerificationError, match=r"of example\.com/another"):
        open_checkpoint(signed(text, key, private), key)


def test_note_is_split_at_its_last_empty_line() -> None:
    text, signatures = split_note(f"one\n\ntwo\n\n{EXAMPLE_LINE}")

    assert text == "one\n\ntwo\n"
    assert [(name, key_id.hex()) for name, key_id, _ in signatures] == [("PeterNeumann", "c74f20a3")]


def test_any_key_of_the_log_opens_a_checkpoint_and_a_wrong_signature_by_one_spoils_it() -> None:
    (old, old_private), (new, new_private) = a_key(), a_key(seed=b"\x08" * 32)
    text = Checkpoint(old.name, 0, EMPTY_ROOT).text
    line = signature_line(new, new_private.sign(text.encode()))
    both = signed(text, old, old_private) + line
    spoiled = signed(text, old, old_private) + signature_line(new, new_private.sign(b"another text"))

    assert open_checkpoint(both, new, old) == open_checkpoint(both, new) == open_checkpoint(both, old)
    assert open_checkpoint(signed(text, old, old_private), new, old).size == 0
    assert signers(both) == {(old.name, old.key_id), (new.name, new.key_id)}
    with pytest.raises(VerificationError, match="is wrong"):
        open_checkpoint(spoiled, old, new)
    with pytest.raises(VerificationError, match="no signature"):
        open_checkpoint(signed(text, old, old_private), new)
    with pytest.raises(VerificationError, match="no key"):
        open_checkpoint(both)


def test_keys_of_a_log_are_a_line_each() -> None:
    (one, _), (other, _) = a_key(), a_key(seed=b"\x08" * 32)

    assert parse_keys(f"{one}\n{other}\n") == [one, other]
    with pytest.raises(VerificationError):
        parse_keys("\n")
