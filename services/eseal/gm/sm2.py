"""SM2 signatures with SM3 (GB/T 32918.2, GB/T 35276-2017): keys, signing and verifying through libcrypto.

A signature is DER of SEQUENCE {INTEGER r, INTEGER s}; the signer's id is always `1234567812345678`, without
which OpenSSL takes an empty one that no other program expects. A library is used only after it has passed the
standard's own example (GB/T 32918.5 annex A.2).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, byref, c_char_p, c_size_t, c_ubyte, c_void_p, create_string_buffer
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SM3, Hash

from services.eseal.gm.libcrypto import Library, find_library
from services.eseal.refusals import Sm2UnavailableError

SIGNER_ID = b"1234567812345678"
"""The user id of GM/T 0009-2012 where no other was agreed."""
SIGNATURE_BYTES = 72
"""The most that a signature takes."""
HALF = 32
"""Bytes of r, and of s."""
_ORDER = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
"""Order of the curve's group (GB/T 32918.5 clause 2)."""
_SPKI_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d03420004")
"""SubjectPublicKeyInfo before the point: id-ecPublicKey on the curve 1.2.156.10197.1.301, uncompressed."""


def sm3(data: bytes) -> bytes:
    """The SM3 digest (GB/T 32905), 32 bytes."""
    running = Hash(SM3())
    running.update(data)
    return running.finalize()


def der_of(raw: bytes) -> bytes:
    """A signature of r and s, 32 bytes each, as DER. Raises ValueError where they are out of range."""
    if len(raw) != 2 * HALF:
        raise ValueError("r and s take 32 bytes each")
    content = b"".join(_integer(raw[at : at + HALF]) for at in (0, HALF))
    return bytes((0x30, len(content))) + content


def raw_of(der: bytes) -> bytes:
    """A signature's r and s, 32 bytes each with leading noughts. Raises ValueError unless strict DER."""
    if len(der) < 2 or der[0] != 0x30 or der[1] != len(der) - 2:
        raise ValueError("a signature is one SEQUENCE")
    parts, rest = [], der[2:]
    while rest:
        if len(rest) < 2 or rest[0] != 0x02 or not 1 <= rest[1] <= HALF + 1 or len(rest) < 2 + rest[1]:
            raise ValueError("a signature holds two INTEGERs")
        parts.append(rest[2 : 2 + rest[1]])
        rest = rest[2 + rest[1] :]
    raw = b"".join(part.lstrip(b"\x00").rjust(HALF, b"\x00") for part in parts)
    if len(parts) != 2 or der_of(raw) != der:
        raise ValueError("a signature holds two positive INTEGERs, each in its shortest form")
    return raw


def _integer(value: bytes) -> bytes:
    if not 0 < int.from_bytes(value, "big") < _ORDER:
        raise ValueError("r and s lie between 0 and the order of the group")
    content = value.lstrip(b"\x00")
    if content[0] & 0x80:
        content = b"\x00" + content
    return bytes((0x02, len(content))) + content


class Sm2Key:
    """A key in the library's own memory: a private one, or a public half. Its repr shows nothing of it."""

    def __init__(self, sm2: Sm2, pointer: int, *, private: bool) -> None:
        self._sm2 = sm2
        self._pointer = pointer
        self.is_private = private

    def __del__(self) -> None:
        self._sm2.free(self._pointer)

    def __reduce__(self) -> str:
        raise TypeError("a key stays in its process")

    def sign(self, data: bytes) -> bytes:
        """The signature over the data, DER. Raises ValueError on a public half."""
        if not self.is_private:
            raise ValueError("a public key signs nothing")
        return self._sm2.sign(self._pointer, data)

    def is_signed(self, data: bytes, signature: bytes) -> bool:
        """Whether the signature, strict DER, is this key's over the data."""
        try:
            raw_of(signature)
        except ValueError:
            return False
        return self._sm2.verify(self._pointer, data, signature)

    def private_bytes(self) -> bytes:
        """PKCS #8, DER. Raises ValueError on a public half."""
        if not self.is_private:
            raise ValueError("a public key has no private bytes")
        return self._sm2.private_bytes(self._pointer)

    def public_bytes(self) -> bytes:
        """SubjectPublicKeyInfo, DER (RFC 5280; curve 1.2.156.10197.1.301)."""
        return self._sm2.public_bytes(self._pointer)

    def public_key(self) -> Sm2Key:
        """The public half."""
        return self._sm2.load_public(self.public_bytes())


class Sm2:
    """SM2 by one library, which has passed the standard's example when this is made."""

    def __init__(self, library: Library) -> None:
        """Raises Sm2UnavailableError where the library does not give what the standard says."""
        self._call = library.call
        self.version = library.version
        self._prove(library)

    def generate(self) -> Sm2Key:
        """A new key."""
        context = self._need(self._call.EVP_PKEY_CTX_new_from_name(None, b"SM2", None))
        made = c_void_p()
        try:
            self._need(self._call.EVP_PKEY_keygen_init(context) > 0)
            self._need(self._call.EVP_PKEY_generate(context, byref(made)) > 0)
        finally:
            self._call.EVP_PKEY_CTX_free(context)
        return Sm2Key(self, made.value or 0, private=True)

    def load_private(self, pkcs8: bytes) -> Sm2Key:
        """A private key from PKCS #8, DER. Raises ValueError where it is none of SM2."""
        return self._load(self._call.d2i_AutoPrivateKey, pkcs8, private=True)

    def load_public(self, spki: bytes) -> Sm2Key:
        """A public key from SubjectPublicKeyInfo, DER. Raises ValueError where it is none of SM2."""
        return self._load(self._call.d2i_PUBKEY, spki, private=False)

    def sign(self, pointer: int, data: bytes) -> bytes:
        """The signature over the data, DER."""
        size, out = c_size_t(SIGNATURE_BYTES), create_string_buffer(SIGNATURE_BYTES)
        with self._digesting(pointer) as context:
            self._need(
                self._call.EVP_DigestSignInit_ex(context, None, b"SM3", None, None, pointer, None) == 1
            )
            self._need(self._call.EVP_DigestSign(context, out, byref(size), data, len(data)) == 1)
        return out.raw[: size.value]

    def verify(self, pointer: int, data: bytes, signature: bytes) -> bool:
        """Whether the signature is right."""
        with self._digesting(pointer) as context:
            self._need(
                self._call.EVP_DigestVerifyInit_ex(context, None, b"SM3", None, None, pointer, None) == 1
            )
            right: bool = (
                self._call.EVP_DigestVerify(context, signature, len(signature), data, len(data)) == 1
            )
        self._call.ERR_clear_error()
        return right

    def private_bytes(self, pointer: int) -> bytes:
        """PKCS #8, DER."""
        info = self._need(self._call.EVP_PKEY2PKCS8(pointer))
        try:
            return self._encoded(self._call.i2d_PKCS8_PRIV_KEY_INFO, info)
        finally:
            self._call.PKCS8_PRIV_KEY_INFO_free(info)

    def public_bytes(self, pointer: int) -> bytes:
        """SubjectPublicKeyInfo, DER."""
        return self._encoded(self._call.i2d_PUBKEY, pointer)

    def free(self, pointer: int) -> None:
        """Gives the key's memory back, wiped."""
        self._call.EVP_PKEY_free(pointer)

    def _load(self, read: ctypes._NamedFuncPointer, der: bytes, *, private: bool) -> Sm2Key:
        buffer = create_string_buffer(der, len(der))
        at = c_void_p(ctypes.addressof(buffer))
        pointer = read(None, byref(at), len(der))
        ctypes.memset(buffer, 0, len(der))
        self._call.ERR_clear_error()
        if not pointer:
            raise ValueError("this is no key in DER")
        key = Sm2Key(self, pointer, private=private)
        whole = at.value == ctypes.addressof(buffer) + len(der)
        if not whole or not self._call.EVP_PKEY_is_a(pointer, b"SM2"):
            raise ValueError("this is no key on the curve of SM2")
        return key

    @contextmanager
    def _digesting(self, pointer: int) -> Iterator[int]:
        """A digest context for the key, with the signer's id."""
        context = self._need(self._call.EVP_MD_CTX_new())
        of_key = self._call.EVP_PKEY_CTX_new_from_pkey(None, pointer, None)
        try:
            self._need(of_key)
            self._need(self._call.EVP_PKEY_CTX_set1_id(of_key, SIGNER_ID, len(SIGNER_ID)) > 0)
            self._call.EVP_MD_CTX_set_pkey_ctx(context, of_key)
            yield context
        finally:
            self._call.EVP_MD_CTX_free(context)
            self._call.EVP_PKEY_CTX_free(of_key)

    def _encoded(self, write: ctypes._NamedFuncPointer, pointer: int) -> bytes:
        out = POINTER(c_ubyte)()
        size = write(pointer, byref(out))
        self._need(size > 0)
        try:
            return ctypes.string_at(out, size)
        finally:
            ctypes.memset(out, 0, size)
            self._call.CRYPTO_free(out, c_char_p(b""), 0)

    def _need(self, given: int) -> int:
        """Passes what a call gave, unless that is nothing."""
        if not given:
            self._call.ERR_clear_error()
            raise Sm2UnavailableError("libcrypto refused an SM2 operation")
        return given

    def _prove(self, library: Library) -> None:
        """The standard's example holds, an altered one does not, and what is signed here verifies here."""
        message, signature = b"message digest", der_of(_EXAMPLE_SIGNATURE)
        try:
            known, own = self.load_public(_SPKI_HEAD + _EXAMPLE_POINT), self.generate()
            passed = (
                sm3(b"abc") == _EXAMPLE_DIGEST
                and known.is_signed(message, signature)
                and not known.is_signed(message + b"s", signature)
                and own.is_signed(message, own.sign(message))
                and not known.is_signed(message, own.sign(message))
            )
        except ValueError:
            passed = False
        if not passed:
            raise Sm2UnavailableError(f"{library.version} fails the SM2 standard's own example")


_EXAMPLE_DIGEST = bytes.fromhex("66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0")
"""SM3 of `abc` (GB/T 32905 annex A.1)."""
_EXAMPLE_POINT = bytes.fromhex(
    "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
_EXAMPLE_SIGNATURE = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)


@lru_cache(maxsize=4)
def load_sm2(chosen: Path | None = None) -> Sm2:
    """SM2 by the library named, or by the first one found. Raises Sm2UnavailableError."""
    return Sm2(find_library(chosen))
