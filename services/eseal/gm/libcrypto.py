"""Finds a libcrypto 3 that knows SM2, and speaks to it through its C interface.

What Python brings (`hashlib`, `ssl`, `cryptography`) has no SM2, and a bare machine may have no libcrypto of
its own. So the one that the locked database driver's wheel carries is asked first, the system's after it.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
from collections.abc import Iterator
from ctypes import POINTER, c_char_p, c_int, c_long, c_size_t, c_ubyte, c_ulong, c_void_p
from pathlib import Path

from services.eseal.refusals import Sm2UnavailableError

_BYTES = c_char_p
_SIZE = POINTER(c_size_t)
_OUT = POINTER(POINTER(c_ubyte))

_FUNCTIONS: dict[str, tuple[object, list[object]]] = {
    "OpenSSL_version": (c_char_p, [c_int]),
    "OpenSSL_version_num": (c_ulong, []),
    "ERR_clear_error": (None, []),
    "EVP_PKEY_CTX_new_from_name": (c_void_p, [c_void_p, c_char_p, c_char_p]),
    "EVP_PKEY_CTX_new_from_pkey": (c_void_p, [c_void_p, c_void_p, c_char_p]),
    "EVP_PKEY_CTX_free": (None, [c_void_p]),
    "EVP_PKEY_CTX_set1_id": (c_int, [c_void_p, c_char_p, c_int]),
    "EVP_PKEY_keygen_init": (c_int, [c_void_p]),
    "EVP_PKEY_generate": (c_int, [c_void_p, POINTER(c_void_p)]),
    "EVP_PKEY_is_a": (c_int, [c_void_p, c_char_p]),
    "EVP_PKEY_free": (None, [c_void_p]),
    "EVP_PKEY2PKCS8": (c_void_p, [c_void_p]),
    "i2d_PKCS8_PRIV_KEY_INFO": (c_int, [c_void_p, _OUT]),
    "PKCS8_PRIV_KEY_INFO_free": (None, [c_void_p]),
    "d2i_AutoPrivateKey": (c_void_p, [c_void_p, POINTER(c_void_p), c_long]),
    "i2d_PUBKEY": (c_int, [c_void_p, _OUT]),
    "d2i_PUBKEY": (c_void_p, [c_void_p, POINTER(c_void_p), c_long]),
    "EVP_MD_CTX_new": (c_void_p, []),
    "EVP_MD_CTX_free": (None, [c_void_p]),
    "EVP_MD_CTX_set_pkey_ctx": (None, [c_void_p, c_void_p]),
    "EVP_DigestSignInit_ex": (c_int, [c_void_p, c_void_p, c_char_p, c_void_p, c_char_p, c_void_p, c_void_p]),
    "EVP_DigestSign": (c_int, [c_void_p, c_char_p, _SIZE, _BYTES, c_size_t]),
    "EVP_DigestVerifyInit_ex": (
        c_int,
        [c_void_p, c_void_p, c_char_p, c_void_p, c_char_p, c_void_p, c_void_p],
    ),
    "EVP_DigestVerify": (c_int, [c_void_p, _BYTES, c_size_t, _BYTES, c_size_t]),
    "CRYPTO_free": (None, [c_void_p, c_char_p, c_int]),
}
"""What is used of OpenSSL 3 (its manual's section 3): results and arguments."""


class Library:
    """A loaded libcrypto. A call that fails leaves no error behind for others of the thread."""

    def __init__(self, path: str) -> None:
        """Raises OSError where the file is no library, AttributeError where it is none of OpenSSL 3."""
        library = ctypes.CDLL(path)
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
        self.call = library
        self.path = path

    @property
    def version(self) -> str:
        """Such as `OpenSSL 3.0.19 27 Jan 2026`."""
        return bytes(self.call.OpenSSL_version(0)).decode("ascii", "replace")

    @property
    def knows_sm2(self) -> bool:
        """Whether it is of version 3 or later and was built with SM2."""
        if self.call.OpenSSL_version_num() >> 28 < 3:
            return False
        context = self.call.EVP_PKEY_CTX_new_from_name(None, b"SM2", None)
        self.call.EVP_PKEY_CTX_free(context)
        self.call.ERR_clear_error()
        return bool(context)


def find_library(chosen: Path | None = None) -> Library:
    """The library that `chosen` names, and no other; else the first one found that knows SM2.

    Raises Sm2UnavailableError, which names what was looked at.
    """
    looked_at = []
    for path in [str(chosen)] if chosen else list(_candidates()):
        try:
            library = Library(path)
        except (OSError, AttributeError):
            looked_at.append(f"{Path(path).name} (no libcrypto 3)")
            continue
        if library.knows_sm2:
            return library
        looked_at.append(f"{Path(path).name} ({library.version}, built without SM2)")
    seen = ", ".join(looked_at) or "none was found"
    raise Sm2UnavailableError(f"SM2 needs a libcrypto 3 built with it; looked at: {seen}")


def _candidates() -> Iterator[str]:
    """Where a libcrypto may lie: beside the database driver, then where the system keeps its own."""
    driver = importlib.util.find_spec("psycopg_binary")
    if driver is not None and driver.origin is not None:
        package = Path(driver.origin).parent
        for folder in (package.parent / f"{package.name}.libs", package / ".dylibs"):
            yield from sorted(map(str, folder.glob("libcrypto*")))
    named = ctypes.util.find_library("crypto")
    yield from dict.fromkeys(name for name in ("libcrypto.so.3", "libcrypto.3.dylib", named) if name)
