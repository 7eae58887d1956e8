"""Timestamp tokens of the configured authority for whoever asks by remote signing (RFC 3161)."""

from __future__ import annotations

import asyncio

from asn1crypto import tsp
from pyhanko.sign.timestamps.aiohttp_client import HTTPTimeStamper

from core import log
from services.eseal.remote_rules import TimestampAuthorityAwayError, TimestampNotOfferedError
from services.eseal.trust.timestamps import ANSWER_SECONDS, FAILURES

_DIGESTS = {32: "sha256", 48: "sha384", 64: "sha512"}
_GRANTED = {"granted", "granted_with_mods"}

_logger = log.get_logger()


class Timestamps:
    """Asks one authority; none where the settings name none."""

    def __init__(self, url: str) -> None:
        self._stamper = HTTPTimeStamper(url, timeout=ANSWER_SECONDS) if url else None

    async def token(self, digest: bytes, nonce: int | None) -> bytes:
        """The token over a digest, DER; its length says by which function it was made.

        The nonce goes to the authority as it came, and an answer without it is refused.
        Errors: TIMESTAMP_NOT_OFFERED, TIMESTAMP_AUTHORITY_AWAY.
        """
        if self._stamper is None:
            raise TimestampNotOfferedError("this installation has no timestamp authority")
        imprint = tsp.MessageImprint(
            {"hash_algorithm": {"algorithm": _DIGESTS[len(digest)]}, "hashed_message": digest}
        )
        asked: dict[str, object] = {"version": 1, "message_imprint": imprint, "cert_req": True}
        if nonce is not None:
            asked["nonce"] = nonce
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._stamper.async_request_tsa_response(tsp.TimeStampReq(asked))
            return _token_of(answer, imprint, nonce)
        except FAILURES as failure:
            _logger.warning("timestamp_authority_away", error=type(failure).__name__)
            raise TimestampAuthorityAwayError(
                "the timestamp authority does not answer as it should", retry_after=5.0
            ) from None


def _token_of(answer: tsp.TimeStampResp, imprint: tsp.MessageImprint, nonce: int | None) -> bytes:
    """The token in an answer. Raises ValueError where it is not what was asked for."""
    if answer["status"]["status"].native not in _GRANTED:
        raise ValueError("the authority refuses")
    token = answer["time_stamp_token"]
    info = token["content"]["encap_content_info"]["content"].parsed
    if info["message_imprint"].dump() != imprint.dump() and info["message_imprint"].native != imprint.native:
        raise ValueError("the token is over something else")
    if info["nonce"].native != nonce:
        raise ValueError("the token is an answer to somebody else")
    token_der: bytes = token.dump()
    return token_der
