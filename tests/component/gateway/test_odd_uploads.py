"""Multipart bodies out of form: each is told as the caller's fault, and reaches nobody behind."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.component.gateway.conftest import Gateway
from tests.component.gateway.test_uploads import KEY, SEAL

_DOCUMENT = b'Content-Disposition: form-data; name="document"; filename="a.pdf"'
_CHARSET = b'Content-Disposition: form-data; name="_charset_"'
LONG = "b" * 60


def body(*parts: tuple[bytes, bytes], boundary: str = "x", end: bytes = b"--\r\n") -> bytes:
    """A multipart body of these parts, each with its head."""
    mark = b"--" + boundary.encode()
    made = b"".join(mark + b"\r\n" + head + b"\r\n\r\n" + content + b"\r\n" for head, content in parts)
    return made + mark + end


ODD: Mapping[str, tuple[str, bytes]] = {
    "a charset without end": ("x", body((_CHARSET, b"u" * 40), (_DOCUMENT, b"a"))),
    "a charset and a long boundary": (LONG, body((_CHARSET, b"utf-8"), (_DOCUMENT, b"a"), boundary=LONG)),
    "a charset that is none": ("x", body((_CHARSET, b"\xff\xfe"), (_DOCUMENT, b"a"))),
    "nothing but a charset": ("x", body((_CHARSET, b"utf-8"))),
    "a part without a name": ("x", body((b"Content-Disposition: form-data", b"a"))),
    "a part without a disposition": ("x", body((b"Content-Type: application/pdf", b"a"))),
    "a part with an odd name": ("x", body((b"Content-Disposition: form-data; name*=utf-9''%ff%zz", b"a"))),
    "a part in bytes that are no text": ("x", body((b"Content-Disposition: form-data; name=\xff", b"a"))),
    "a head without a colon": ("x", body((b"Content-Disposition form-data", b"a"))),
    "a head of many lines": ("x", body((_DOCUMENT + b"\r\nX: y" * 200, b"a"))),
    "a head of a long line": ("x", body((_DOCUMENT + b"\r\nX: " + b"y" * 9_000, b"a"))),
    "a part of parts": ("x", body((_DOCUMENT + b"\r\nContent-Type: multipart/mixed; boundary=y", b"a"))),
    "a part of parts without a boundary": (
        "x",
        body((_DOCUMENT + b"\r\nContent-Type: multipart/mixed", b"a")),
    ),
    "a document twice": ("x", body((_DOCUMENT, b"a"), (_DOCUMENT, b"b"))),
    "no part": ("x", body()),
    "no body": ("x", b""),
    "no end": ("x", body((_DOCUMENT, b"a"), end=b"")),
    "another boundary": ("y", body((_DOCUMENT, b"a"))),
    "a boundary that is too long": ("b" * 71, body((_DOCUMENT, b"a"), boundary="b" * 71)),
    "lines before the first part without end": ("x", b"preamble\r\n" * 20_000),
    "a line before the first part without end": ("x", b"y" * 200_000),
    "many parts": (
        "x",
        body(*[(b'Content-Disposition: form-data; name="p%d"' % n, b"a") for n in range(999)]),
    ),
}


@pytest.mark.filterwarnings("ignore::aiohttp.BadContentDispositionHeader")
@pytest.mark.filterwarnings("ignore::aiohttp.BadContentDispositionParam")
@pytest.mark.parametrize("name", ODD)
async def test_an_odd_upload_is_refused_and_reaches_nobody(gateway: Gateway, name: str) -> None:
    platform = await gateway.machine()
    boundary, content = ODD[name]
    said = {**KEY, "Content-Type": f"multipart/form-data; boundary={boundary}"}

    answer = await platform.post(SEAL, content=content, headers=said)

    assert answer.status_code == 400, answer.text
    assert answer.json()["reason"] == "REQUEST_INVALID"
    assert not gateway.behind.asked["sign"]
