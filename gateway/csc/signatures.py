"""Signatures over what was authorised, and timestamps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from aiohttp import web
from onestop.eseal.v1 import remote_pb2 as pb

from core.errors import fault_error
from core.identity import Scope
from gateway.call import Call
from gateway.csc.algorithms import DIGEST_BYTES, require_digests, suites_of
from gateway.csc.answering import (
    PART,
    RENAMES,
    SERVICE,
    TAG,
    beside_loop,
    key_of,
    own_context,
    released,
    told,
)
from gateway.csc.answers import Signatures, SignedDocuments, TimestampToken
from gateway.csc.forms import SignDocForm, SignHashForm, TimestampForm, read
from gateway.csc.refusing import REFUSED, refusal
from gateway.csc.rendering import texts
from gateway.limits import Limit
from gateway.routes import Route
from gateway.shapes import Answer, JsonBody, Key, Listener, Who

LARGEST_SIGN_DOC = 6 * 1024 * 1024
"""4 MiB of documents in base64, and what stands around them."""


async def sign_hash(call: Call) -> web.StreamResponse:
    """A signature over each hash."""
    form = read(call.body, SignHashForm)
    suites = suites_of(form.signAlgo, form.hashAlgorithmOID)
    require_digests(form.hashes, form.hashAlgorithmOID, "hashes")
    request = pb.SignHashesRequest(
        credential_id=form.credentialID, sad=form.SAD, digests=form.hashes, algorithms=suites
    )
    request.context.CopyFrom(own_context(call, key_of(call, request)))
    request.credential.CopyFrom(call.credential)
    signed = await call.ask(PART, call.parts.clients.remote.SignHashes, request)
    return released(call, Signatures(signatures=texts(signed.signatures)), signed.receipt)


async def sign_doc(call: Call) -> web.StreamResponse:
    """PDFs with a signature each, or CMS objects for PDFs that the client has laid out."""
    request = await beside_loop(call, partial(_asked, call))
    signed = await call.ask(PART, call.parts.clients.remote.SignDocuments, request)
    return await beside_loop(call, partial(_answered, call, signed))


def _asked(call: Call) -> pb.SignDocumentsRequest:
    """What the body asks the seal service for. Raises InvalidError."""
    form = read(call.body, SignDocForm)
    documents, prepared = form.documents or [], form.documentDigests or []
    if bool(documents) == bool(prepared):
        raise fault_error("documents", "either", "give documents, or documentDigests, and not both")
    meant = [suites_of(one.signAlgo, None, f"documents[{index}].") for index, one in enumerate(documents)] + [
        suites_of(one.signAlgo, one.hashAlgorithmOID, f"documentDigests[{index}].")
        for index, one in enumerate(prepared)
    ]
    for index, one in enumerate(prepared):
        require_digests(one.hashes, one.hashAlgorithmOID, f"documentDigests[{index}].hashes")
    request = pb.SignDocumentsRequest(
        credential_id=form.credentialID,
        sad=form.SAD,
        documents=[one.document for one in documents],
        digests=[digest for one in prepared for digest in one.hashes],
        algorithms=_common(meant),
    )
    request.context.CopyFrom(own_context(call, key_of(call, request)))
    request.credential.CopyFrom(call.credential)
    return request


def _answered(call: Call, signed: pb.SignDocumentsResponse) -> web.Response:
    answer = SignedDocuments(
        DocumentWithSignature=texts(signed.documents) or None,
        SignatureObject=texts(signed.signatures) or None,
    )
    return released(call, answer, signed.receipt)


async def timestamp(call: Call) -> web.StreamResponse:
    """A token of the timestamp authority over a hash."""
    form = read(call.body, TimestampForm)
    if form.hashAlgo not in DIGEST_BYTES:
        raise fault_error("hashAlgo", "unknown", f"must be one of {', '.join(DIGEST_BYTES)}")
    if len(form.hash) != DIGEST_BYTES[form.hashAlgo]:
        raise fault_error("hash", "length", f"must be a digest of {DIGEST_BYTES[form.hashAlgo]} bytes")
    request = pb.TimestampHashRequest(
        credential=call.credential, context=call.context(), digest=form.hash, nonce=form.nonce or ""
    )
    stamped = await call.ask(PART, call.parts.clients.remote.TimestampHash, request)
    (token,) = texts([stamped.token])
    return told(TimestampToken(timestamp=token))


def _common(meant: Sequence[Sequence[str]]) -> list[str]:
    """The suites that all of them can mean: one credential signs them all, by its own."""

    def fitting() -> Iterator[str]:
        first, *others = meant
        yield from (one for one in first if all(one in other for other in others))

    found = list(fitting())
    if not found:
        raise fault_error("signAlgo", "contradiction", "one credential signs by one algorithm")
    return found


ROUTES = (
    Route(
        listener=Listener.MACHINES,
        method="POST",
        path="/csc/v2/signatures/signHash",
        name="cscSignHash",
        summary="Sign hashes that the holder has authorised",
        handler=sign_hash,
        who=Who.MACHINE,
        answer=Answer(model=Signatures, receipt=True),
        rpc=f"{SERVICE}.SignHashes",
        scope=Scope.CSC_SERVICE,
        limit=Limit.COMPANY,
        key=Key.OPTIONAL,
        body=JsonBody(model=SignHashForm),
        renames={"algorithms": "signAlgo", **RENAMES},
        refusal=refusal,
        refused=REFUSED,
        tag=TAG,
    ),
    Route(
        listener=Listener.MACHINES,
        method="POST",
        path="/csc/v2/signatures/signDoc",
        name="cscSignDoc",
        summary="Sign PDFs that the holder has authorised",
        handler=sign_doc,
        who=Who.MACHINE,
        answer=Answer(model=SignedDocuments, receipt=True),
        rpc=f"{SERVICE}.SignDocuments",
        scope=Scope.CSC_SERVICE,
        limit=Limit.COMPANY,
        key=Key.OPTIONAL,
        body=JsonBody(model=SignDocForm, largest=LARGEST_SIGN_DOC),
        renames={"algorithms": "signAlgo", **RENAMES, "digests": "documentDigests"},
        refusal=refusal,
        refused=REFUSED,
        tag=TAG,
    ),
    Route(
        listener=Listener.MACHINES,
        method="POST",
        path="/csc/v2/signatures/timestamp",
        name="cscTimestamp",
        summary="A timestamp over a hash",
        handler=timestamp,
        who=Who.MACHINE,
        answer=Answer(model=TimestampToken),
        rpc=f"{SERVICE}.TimestampHash",
        scope=Scope.CSC_SERVICE,
        limit=Limit.COMPANY,
        body=JsonBody(model=TimestampForm),
        renames={"digest": "hash"},
        refusal=refusal,
        refused=REFUSED,
        tag=TAG,
    ),
)
