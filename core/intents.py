"""Entries of the disclosure protocol: intents and outcomes, and the refusals of requests' keys."""

from __future__ import annotations

import hmac
import secrets
import uuid
from dataclasses import replace

from core.entries import Entry, EntryKind, Outcome, Presented, Produced, Receipt, ReplyKey, RequestContext
from core.errors import FieldFault, InvalidError, Kind, ServiceError


class IdempotencyKeyMissingError(InvalidError):
    """A call that changes state came without its key."""

    reason = "IDEMPOTENCY_KEY_MISSING"


class IdempotencyKeyReusedError(ServiceError):
    """The same key came with another body."""

    kind = Kind.CONFLICT
    reason = "IDEMPOTENCY_KEY_REUSED"


class RequestInProgressError(ServiceError):
    """The same request is under way."""

    kind = Kind.CONFLICT
    reason = "REQUEST_IN_PROGRESS"


class ActAbortedError(ServiceError):
    """The act came too late: its intent had been closed. Nothing was done."""

    kind = Kind.UNAVAILABLE
    reason = "ACT_ABORTED"


def entry_about(
    context: RequestContext,
    kind: EntryKind,
    method: str,
    about: Produced,
    *,
    item_id: uuid.UUID,
    intent_id: uuid.UUID | None = None,
    outcome: Outcome = Outcome.NONE,
    canonical: bytes | None = None,
) -> Entry:
    """An entry; with a fresh salt and the commitment that it opens, where there is an answer to commit to."""
    salt = secrets.token_bytes(32) if canonical is not None else b""
    return Entry(
        item_id=item_id,
        kind=kind,
        method=method,
        caller=context.caller.name,
        office=context.office,
        basis=context.basis,
        purpose=context.purpose,
        operator=context.operator,
        subject=about.subject or context.caller.subject,
        field_names=tuple(about.field_names),
        records=tuple(about.records),
        outcome=outcome,
        intent_id=intent_id,
        answer_commitment=hmac.digest(salt, canonical, "sha256") if canonical is not None else b"",
        answer_salt=salt,
        further_subjects=tuple(about.further_subjects),
        trace_parent=context.trace_parent,
    )


def beside(presented: Presented, receipt: Receipt) -> Receipt:
    """The receipt with the very bytes that it commits to."""
    return replace(receipt, answer_json=presented.canonical) if presented.is_json else receipt


def aborted(intent: Entry) -> Entry:
    """The outcome of an intent that nothing came of."""
    return replace(
        intent,
        item_id=outcome_id(intent),
        kind=EntryKind.OUTCOME,
        outcome=Outcome.ABORTED,
        intent_id=intent.item_id,
    )


def outcome_id(intent: Entry) -> uuid.UUID:
    """An intent has one outcome, so its id follows from the intent's."""
    return uuid.uuid5(intent.item_id, "outcome")


def reply_key(context: RequestContext, method: str) -> ReplyKey | None:
    """What names the request; None where it has no key."""
    if not context.request_id:
        return None
    subject = context.caller.subject
    code = subject.code if subject is not None else ""
    return ReplyKey(context.caller.name, context.operator, method, context.request_id, code)


def in_progress(seconds: float) -> RequestInProgressError:
    """What a request is refused with that is under way; asked again after so many seconds, it may be done."""
    return RequestInProgressError("the same request is under way; ask again shortly", retry_after=seconds)


def key_missing() -> IdempotencyKeyMissingError:
    """What an act without a key is refused with."""
    message = "a call that changes state needs an Idempotency-Key, 1 to 128 characters of A-Z a-z 0-9 _ . : -"
    return IdempotencyKeyMissingError(message, faults=[FieldFault("Idempotency-Key", "required", message)])


def key_reused() -> IdempotencyKeyReusedError:
    """What a key is refused with that came before with another body."""
    return IdempotencyKeyReusedError(
        "this Idempotency-Key came before with another body; take a new key for a new request"
    )
