"""Reading request bodies: strict JSON and uploads, each within its size and in its time."""

from __future__ import annotations

import asyncio
import json
import re
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from aiohttp import (
    BadContentDispositionHeader,
    BadContentDispositionParam,
    BodyPartReader,
    ClientPayloadError,
    MultipartReader,
    web,
)
from aiohttp.http_exceptions import HttpProcessingError

from core.errors import FieldFault, InvalidError, fault_error
from gateway.problems import refused

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

# Their texts are the caller's own words, which would stand in the log.
warnings.filterwarnings("ignore", category=BadContentDispositionHeader)
warnings.filterwarnings("ignore", category=BadContentDispositionParam)

LARGEST_FORM = 16 * 1024
SLOW_BYTES = 256 * 1024
"""From here on JSON and base64 are read and written beside the event loop: a megabyte takes milliseconds."""
_HEADERS_OF_PARTS = 8 * 1024
_OUT_OF_FORM = (
    ValueError,
    ClientPayloadError,
    web.RequestPayloadError,
    HttpProcessingError,  # of lines and headers of parts without end
    RuntimeError,  # of a part `_charset_` that is too long
    AssertionError,  # of the same part, where the boundary is longer than what is read of it
    LookupError,  # of a part's name in an encoding that there is none of
)
"""What the library raises on multipart bodies. Its texts hold what was sent, so nobody is told them."""
_HALF_A_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")
"""What can be one: an escape from the surrogates' range."""
_MOST_DIGITS = 30


@dataclass(frozen=True)
class Upload:
    """An uploaded document, and what was said about it."""

    document: bytes = field(repr=False)
    request: Mapping[str, object] = field(repr=False)


def require_type(request: web.Request, wanted: str) -> None:
    """Raises 415 unless the body is of this type, not compressed, and in UTF-8 where it is text."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise refused(
            415, "CONTENT_ENCODING_UNSUPPORTED", "send the body uncompressed", Accept_Encoding="identity"
        )
    if "Content-Type" not in request.headers or request.content_type != wanted:
        raise refused(
            415, "CONTENT_TYPE_UNSUPPORTED", f"this path takes a body of type {wanted}", Accept=wanted
        )
    if wanted == JSON and (request.charset or "utf-8").lower() not in {"utf-8", "utf8"}:
        raise refused(415, "CHARSET_UNSUPPORTED", "JSON is UTF-8 (RFC 8259 section 8.1)")


async def read_json(request: web.Request, *, largest: int, seconds: float) -> dict[str, object]:
    """The body as a JSON object: UTF-8, no doubled names, no numbers that JSON lacks."""
    require_type(request, JSON)
    body = await _read(request, largest, seconds)
    if len(body) >= SLOW_BYTES:
        return await asyncio.to_thread(parse_json, body, "body")
    return parse_json(body, "body")


async def read_form(request: web.Request, *, seconds: float) -> dict[str, list[str]]:
    """The fields of a form, with all values of each."""
    require_type(request, FORM)
    body = await _read(request, LARGEST_FORM, seconds)
    fields: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=50)
    except ValueError:
        raise fault_error("body", "form", "must be a form of at most 50 fields, UTF-8") from None
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


async def read_upload(
    request: web.Request,
    *,
    largest_document: int,
    largest_json: int,
    seconds: float,
    names: Collection[str] = ("document", "request"),
) -> Upload:
    """The parts `document` (a file) and `request` (JSON) of a multipart body, read as they arrive.

    `names` are the parts that may come.
    """
    require_type(request, MULTIPART)
    limit = largest_document + largest_json + _HEADERS_OF_PARTS
    if request.content_length is not None and request.content_length > limit:
        raise _too_large(largest_document)
    try:
        async with asyncio.timeout(seconds):
            return await _read_parts(await request.multipart(), largest_document, largest_json, names)
    except TimeoutError:
        raise _slow(seconds) from None
    except _OUT_OF_FORM:
        raise fault_error("body", "multipart", "must be a well-formed multipart body") from None


def parse_json(text: bytes, where: str) -> dict[str, object]:
    """A JSON object. Raises InvalidError that says where and what, never showing the text."""
    try:
        document = _STRICT.decode(text.decode("utf-8"))
        if _HALF_A_PAIR.search(text):
            json.dumps(document, ensure_ascii=False).encode()
    except _DoubledNameError as doubled:
        raise fault_error(f"{where}", "json", f"names the member {doubled.name!r} twice") from None
    except UnicodeDecodeError:
        raise fault_error(where, "json", "must be UTF-8") from None
    except UnicodeEncodeError:
        raise fault_error(where, "json", "holds half a surrogate pair (RFC 7493 section 2.1)") from None
    except RecursionError:
        raise fault_error(where, "json", "is nested too deeply") from None
    except ValueError as error:
        place = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise fault_error(where, "json", f"must be JSON{place}") from None
    if not isinstance(document, dict):
        raise fault_error(where, "type", "must be a JSON object")
    return document


class _DoubledNameError(ValueError):
    def __init__(self, name: str) -> None:
        super().__init__("a doubled name")
        self.name = name[:64]


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members: dict[str, object] = {}
    for name, value in pairs:
        if name in members:
            raise _DoubledNameError(name)
        members[name] = value
    return members


def _no_constant(_name: str) -> float:
    raise ValueError("JSON knows neither NaN nor Infinity")


def _finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise ValueError("a number is too large")
    return number


def _bounded(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError("a number is too large")
    return int(text)


_STRICT = json.JSONDecoder(
    object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_finite, parse_int=_bounded
)


async def _read(request: web.Request, largest: int, seconds: float) -> bytes:
    """The whole body, given up as soon as it is too large or too late."""
    if request.content_length is not None and request.content_length > largest:
        raise _too_large(largest)
    body = bytearray()
    if request.content.is_eof():  # It came together with the headers, as short ones do.
        body += request.content.read_nowait()
        if len(body) > largest:
            raise _too_large(largest)
        return bytes(body)
    try:
        async with asyncio.timeout(seconds):
            while piece := await request.content.readany():
                body += piece
                if len(body) > largest:
                    raise _too_large(largest)
    except TimeoutError:
        raise _slow(seconds) from None
    except web.RequestPayloadError:
        raise refused(400, "HTTP_MALFORMED", "the body is not what its headers say") from None
    return bytes(body)


async def _read_parts(
    reader: MultipartReader, largest_document: int, largest_json: int, names: Collection[str]
) -> Upload:
    document: bytes | None = None
    said: Mapping[str, object] = {}
    seen: set[str] = set()
    async for part in reader:
        name = part.name if isinstance(part, BodyPartReader) else None
        if not isinstance(part, BodyPartReader) or name is None or name not in names or name in seen:
            raise InvalidError(
                f"the upload has of {' and '.join(names)} each once",
                faults=[
                    FieldFault(str(name)[:64], "unknown", "is not a part of this upload, or comes twice")
                ],
            )
        seen.add(name)
        if name == "document":
            document = await _read_part(part, largest_document)
        else:
            said = parse_json(await _read_part(part, largest_json), "request")
    if not document:
        raise fault_error("document", "required", "is required and must not be empty")
    return Upload(document, said)


async def _read_part(part: BodyPartReader, largest: int) -> bytes:
    plain = part.headers.get("Content-Transfer-Encoding", "binary").lower() in {"binary", "8bit", "7bit"}
    if not plain or "Content-Encoding" in part.headers:
        raise refused(415, "CONTENT_ENCODING_UNSUPPORTED", "send the parts as they are, not encoded")
    pieces = bytearray()
    while piece := await part.read_chunk(256 * 1024):
        pieces += piece
        if len(pieces) > largest:
            raise _too_large(largest)
    return bytes(pieces)


def _too_large(largest: int) -> Exception:
    return refused(413, "BODY_TOO_LARGE", f"the body, or a part of it, is larger than {largest} bytes")


def _slow(seconds: float) -> Exception:
    return refused(408, "BODY_LATE", f"the body did not arrive within {seconds:g} seconds")
