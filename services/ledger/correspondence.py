"""The way to witnesses: C2SP tlog-witness over HTTPS."""

from __future__ import annotations

import base64
import hashlib
import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

import aiohttp

from core.policy import Witness
from services.ledger.feeding import Answer, SilentError

SECONDS = 5.0
LARGEST_ANSWER = 64 * 1024
SIZE_TYPE = "text/x.tlog.size"
LARGEST_SIZE = (1 << 63) - 1


class HttpCorrespondent:
    """One witness at its submission prefix, which is its monitoring prefix too."""

    def __init__(self, witness: Witness, tls: ssl.SSLContext) -> None:
        self.witness = witness
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def add_checkpoint(self, old_size: int, proof: Sequence[bytes], note: str) -> Answer:
        """Asks for a cosignature. Raises SilentError."""
        lines = [f"old {old_size}", *(base64.b64encode(one).decode() for one in proof), "", note]
        status, kind, text = await self._ask("POST", "add-checkpoint", "\n".join(lines))
        if status == 200:
            return Answer(status, lines=text)
        if status == 409:
            size = text.removesuffix("\n")
            if kind != SIZE_TYPE or not (size.isascii() and size.isdigit()) or int(size) > LARGEST_SIZE:
                raise SilentError("its answer 409 does not say a size")
            return Answer(status, size=int(size))
        if status in {400, 403, 404, 422}:
            return Answer(status, reason=_plain(text))
        raise SilentError(f"it answers {status}")

    async def newest(self, origin: str) -> str | None:
        """The newest checkpoint of a log that it has cosigned. Raises SilentError."""
        digest = hashlib.sha256(origin.encode()).hexdigest()
        status, _, text = await self._ask("GET", f"{digest}/checkpoint", None)
        if status == 404:
            return None
        if status != 200:
            raise SilentError(f"it answers {status} to who asks for its newest checkpoint")
        return text

    async def close(self) -> None:
        """Closes the connection."""
        if self._session is not None:
            await self._session.close()

    async def _ask(self, method: str, path: str, body: str | None) -> tuple[int, str, str]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=SECONDS), trust_env=False, auto_decompress=True
            )
        data = body.encode() if body is not None else None
        headers = {"Content-Type": "text/plain; charset=utf-8"} if body is not None else {}
        try:
            async with self._session.request(
                method,
                f"{self.witness.url}/{path}",
                data=data,
                headers=headers,
                ssl=self._tls,
                allow_redirects=False,
            ) as answer:
                text = await answer.content.read(LARGEST_ANSWER + 1)
                while len(text) <= LARGEST_ANSWER and (more := await answer.content.read(LARGEST_ANSWER)):
                    text += more
                if len(text) > LARGEST_ANSWER:
                    raise SilentError("its answer is too long")
                return answer.status, answer.content_type, text.decode()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise SilentError(f"it cannot be reached: {type(error).__name__}") from None
        except UnicodeDecodeError:
            raise SilentError("its answer is not UTF-8") from None


def is_address(url: str) -> bool:
    """Whether a witness's address is one that can be asked: https, without query or fragment."""
    parts = urlsplit(url)
    return parts.scheme == "https" and bool(parts.hostname) and not parts.query and not parts.fragment


def _plain(text: str) -> str:
    """A witness's words, short and on one line."""
    return " ".join(text.split())[:200]
