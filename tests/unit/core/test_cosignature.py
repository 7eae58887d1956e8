"""Cosignatures of witnesses: C2SP tlog-cosignature, Ed25519."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.cosignature import Cosignature, WitnessKey, cosignatures, signed_message
from core.merkle import VerificationError
from core.note import VerifierKey, open_checkpoint, signature_line

PRIVATE = Ed25519PrivateKey.from_private_bytes(b"\x21" * 32)
PUBLIC = PRIVATE.public_key().public_bytes_raw()
KEY = WitnessKey("witness.example/w1", PUBLIC)
SECONDS = 1_679_315_147
TEXT = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"


def line(key: WitnessKey = KEY, seconds: int = SECONDS, text: str = TEXT) -> str:
    return key.line(seconds, PRIVATE.sign(signed_message(seconds, text)))


def test_what_is_signed_is_what_the_specification_shows() -> None:
    assert signed_message(SECONDS, TEXT).decode() == (
        "cosignature/v1\n"
        "time 1679315147\n"
        "example.com/behind-the-sofa\n"
        "20852163\n"
        "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )


def test_line_is_key_id_time_and_signature() -> None:
    dash, name, encoded = line().rstrip("\n").split(" ")
    blob = base64.b64decode(encoded)

    assert (dash, name, len(blob)) == ("—", "witness.example/w1", 4 + 8 + 64)
    assert blob[:4] == hashlib.sha256(b"witness.example/w1\n\x04" + PUBLIC).digest()[:4]
    assert int.from_bytes(blob[4:12], "big") == SECONDS
    PRIVATE.public_key().verify(blob[12:], signed_message(SECONDS, TEXT))


def test_key_is_read_as_it_is_written() -> None:
    assert WitnessKey.parse(f"{KEY}\n") == KEY
    # The same bytes are another key for notes: neither is taken for the other.
    note_key = VerifierKey(KEY.name, PUBLIC)
    assert note_key.key_id != KEY.key_id
    with pytest.raises(VerificationError, match="none for Ed25519 cosignatures"):
        WitnessKey.parse(str(note_key))
    with pytest.raises(VerificationError, match="not an Ed25519 key"):
        VerifierKey.parse(str(KEY))
    for wrong in ("", "a+b", f"other{KEY}", str(KEY)[:-8]):
        with pytest.raises(VerificationError):
            WitnessKey.parse(wrong)


def test_known_witnesses_are_proved_and_others_passed_over() -> None:
    stranger = WitnessKey("witness.example/w2", PUBLIC)
    note = f"{TEXT}\n{line(stranger)}{line()}"

    assert cosignatures(note, [KEY]) == [Cosignature(KEY, SECONDS)]
    assert cosignatures(note, []) == []


def test_newest_of_one_witness_counts() -> None:
    note = f"{TEXT}\n{line(seconds=SECONDS)}{line(seconds=SECONDS + 60)}{line(seconds=SECONDS + 5)}"

    assert cosignatures(note, [KEY]) == [Cosignature(KEY, SECONDS + 60)]


@pytest.mark.parametrize(
    "wrong",
    [
        line(text=TEXT.replace("20852163", "20852164")),
        KEY.line(SECONDS + 1, PRIVATE.sign(signed_message(SECONDS, TEXT))),
        KEY.line(SECONDS, PRIVATE.sign(TEXT.encode())),
        KEY.line(0, PRIVATE.sign(signed_message(0, TEXT))),
        KEY.line(1 << 63, PRIVATE.sign(signed_message(1 << 63, TEXT))),
        KEY.line(SECONDS, b""),
    ],
)
def test_cosignature_that_does_not_hold_is_refused(wrong: str) -> None:
    with pytest.raises(VerificationError):
        cosignatures(f"{TEXT}\n{wrong}", [KEY])


def test_cosignatures_do_not_disturb_who_does_not_know_them() -> None:
    log = Ed25519PrivateKey.generate()
    key = VerifierKey("example.com/behind-the-sofa", log.public_key().public_bytes_raw())
    note = f"{TEXT}\n{signature_line(key, log.sign(TEXT.encode()))}{line()}"

    assert open_checkpoint(note, key).size == 20852163
