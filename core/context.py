"""From the contract's context and credential to a verified RequestContext."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol, cast

from google.protobuf.message import Message
from onestop.common.v1 import context_pb2

from core.clock import Clock
from core.entries import Basis, BasisKind, RequestContext
from core.errors import BasisMissingError, LateError, fault_error
from core.identifiers import check_uscc
from core.identity import Scope
from core.ledger import basis_from_pb
from core.tokens import TokenVerifier
from core.wire import instant_of

LONGEST_CALL = timedelta(seconds=60)
"""The deadline of a call that names none, or one further off."""


class _CarriesContext(Protocol):
    context: context_pb2.RequestContext


_EACH_TRY: tuple[Literal["credential_index", "received_at", "deadline", "trace_parent"], ...] = (
    "credential_index",
    "received_at",
    "deadline",
    "trace_parent",
)
"""What travels anew with every try of the same request."""


def request_body(request: Message) -> bytes:
    """What a request or a batch's item says, for comparing a repeated one with the first.

    Left out is what differs from try to try: credential, times and trace. Empty where there is no
    request_id, and so nothing can be repeated.
    """
    carrier = cast(_CarriesContext, request)
    if not carrier.context.request_id:
        return b""
    said = copy.deepcopy(request)
    if "credential" in said.DESCRIPTOR.fields_by_name:
        said.ClearField("credential")
    for name in _EACH_TRY:
        cast(_CarriesContext, said).context.ClearField(name)
    return said.SerializeToString(deterministic=True)


class ContextReader:
    """Proves who calls and on what ground; every method reads its context through this."""

    def __init__(self, verifier: TokenVerifier, clock: Clock) -> None:
        self._verifier = verifier
        self._clock = clock

    async def read(
        self,
        credentials: context_pb2.Credential | Sequence[context_pb2.Credential],
        context: context_pb2.RequestContext,
        *,
        scope: Scope | Sequence[Scope],
        basis: frozenset[BasisKind],
    ) -> RequestContext:
        """The verified context of a call, or of one item of a batch.

        `scope`: one of these must be in the token. `basis`: the kinds permitted; an empty set means that
        none is needed. Raises UnauthenticatedError, ScopeMissingError, BasisMissingError, LateError.
        """
        if isinstance(credentials, context_pb2.Credential):
            credentials = [credentials]
        if context.credential_index >= len(credentials):
            raise fault_error("context.credential_index", "range", "names no credential of this request")
        credential = credentials[context.credential_index]
        verdict = await self._verifier.verify(credential.token, credential.certificate_thumbprint)
        scopes = [scope] if isinstance(scope, Scope) else scope
        verdict.caller.require(*scopes)
        now = self._clock()
        deadline = self._deadline(context, now)
        office = check_uscc(context.office, "office") if context.office else ""
        return RequestContext(
            caller=verdict.caller,
            office=office,
            operator=context.operator,
            basis=_basis(context, basis),
            purpose=context.purpose,
            request_id=context.request_id,
            received_at=_instant(context, "received_at") or now,
            deadline=deadline,
            trace_parent=context.trace_parent,
        )

    def _deadline(self, context: context_pb2.RequestContext, now: datetime) -> datetime:
        asked = _instant(context, "deadline")
        if asked is not None and asked <= now:
            raise LateError("the deadline had passed before the work began")
        longest = now + LONGEST_CALL
        return min(asked, longest) if asked is not None else longest


def _instant(context: context_pb2.RequestContext, name: str) -> datetime | None:
    if not context.HasField(name):  # type: ignore[arg-type]  # one of two literal names
        return None
    return instant_of(getattr(context, name))


def _basis(context: context_pb2.RequestContext, permitted: frozenset[BasisKind]) -> Basis | None:
    basis = basis_from_pb(context.basis) if context.HasField("basis") else None
    if not permitted:
        return basis
    if basis is None or basis.kind not in permitted:
        kinds = " or ".join(sorted(kind.name.lower() for kind in permitted))
        raise BasisMissingError(f"this call needs a basis of kind {kinds}")
    return basis
