"""The life of a seal: which act follows where it stands, who may ask for it, what can be applied for.

Pure rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from core.errors import FieldFault, InvalidError
from services.eseal.domain import Algorithm, SealState
from services.eseal.refusals import SealActRefusedError

LONGEST_VALIDITY = timedelta(days=3660)
MAX_REASON = 500


class Action(StrEnum):
    """What is done with a seal."""

    APPLY = "apply"
    MAKE = "make"
    ENABLE = "enable"
    SUSPEND = "suspend"
    RESUME = "resume"
    REVOKE = "revoke"
    DESTROY = "destroy"
    PERMIT = "permit"
    WITHDRAW = "withdraw"


class Role(StrEnum):
    """Who asks; members of the database role `onestop_<value>`."""

    ADMINISTRATION = "administration"
    SECURITY = "security"


class SealKind(StrEnum):
    """What a seal is for."""

    OFFICIAL = "official"
    CONTRACT = "contract"
    INVOICE = "invoice"
    LEGAL_REPRESENTATIVE = "legal_representative"
    PERSONAL_SIGNATURE = "personal_signature"


class OwnerType(StrEnum):
    """Whose a seal is."""

    OFFICE = "office"
    COMPANY = "company"


class Shape(StrEnum):
    """What its picture looks like."""

    ROUND = "round"
    OVAL = "oval"
    SQUARE = "square"


USUAL_SHAPE = {
    SealKind.OFFICIAL: Shape.ROUND,
    SealKind.CONTRACT: Shape.ROUND,
    SealKind.INVOICE: Shape.OVAL,
    SealKind.LEGAL_REPRESENTATIVE: Shape.SQUARE,
    SealKind.PERSONAL_SIGNATURE: Shape.SQUARE,
}


@dataclass(frozen=True)
class Step:
    """One act, from where a seal stands to where it stands then."""

    to: SealState
    roles: frozenset[Role]
    apart_from: frozenset[Action] = frozenset()
    """Whoever did one of these on the seal may not ask for it."""


_ADMINISTRATION = frozenset({Role.ADMINISTRATION})
_SECURITY = frozenset({Role.SECURITY})
_EITHER = frozenset(Role)
_MAKERS = frozenset({Action.APPLY, Action.MAKE})
_LIVE = (SealState.MADE, SealState.IN_FORCE, SealState.SUSPENDED)

STEPS: dict[tuple[Action, SealState | None], Step] = {
    (Action.APPLY, None): Step(SealState.APPLIED, _ADMINISTRATION),
    (Action.MAKE, SealState.APPLIED): Step(SealState.MADE, _ADMINISTRATION),
    (Action.ENABLE, SealState.MADE): Step(SealState.IN_FORCE, _SECURITY, _MAKERS),
    (Action.SUSPEND, SealState.IN_FORCE): Step(SealState.SUSPENDED, _EITHER),
    (Action.RESUME, SealState.SUSPENDED): Step(SealState.IN_FORCE, _SECURITY, _MAKERS),
    **{(Action.REVOKE, state): Step(SealState.REVOKED, _SECURITY) for state in (SealState.APPLIED, *_LIVE)},
    (Action.DESTROY, SealState.REVOKED): Step(
        SealState.DESTROYED, _ADMINISTRATION, frozenset({Action.REVOKE})
    ),
    **{(Action.PERMIT, state): Step(state, _SECURITY, _MAKERS) for state in _LIVE},
    **{(Action.WITHDRAW, state): Step(state, _EITHER) for state in _LIVE},
}
"""Every step that there is; the database holds the history to the same table (`seal_step`)."""


@dataclass(frozen=True)
class Done:
    """An act of a seal's history."""

    action: Action
    actor: str


def step_of(action: Action, standing: SealState | None, *, actor: str, history: Sequence[Done]) -> Step:
    """The step that this actor may take with a seal that stands there, None being no seal yet.

    Raises SealActRefusedError where the act does not follow, or the actor did what it must be apart from.
    """
    step = STEPS.get((action, standing))
    if step is None:
        stands = "that does not exist" if standing is None else f"that is {standing.name.lower()}"
        can = sorted({other.value for other, state in STEPS if state is standing})
        told = f"one can {', '.join(can)}" if can else "nothing can be done with it any more"
        raise SealActRefusedError(f"a seal {stands} cannot be given the act {action}: {told}")
    for done in history:
        if done.actor == actor and done.action in step.apart_from:
            raise SealActRefusedError(f"whoever asked to {done.action} a seal does not {action} it")
    return step


@dataclass(frozen=True)
class Request:
    """What an operator has asked for."""

    id: UUID
    seal_id: UUID
    action: Action
    reason: str
    details: str
    """JSON text."""
    asked_by: str
    asked_at: datetime
    standing: SealState | None
    owner_code: str
    history: Sequence[Done] = ()

    def body(self) -> bytes:
        """What the request says, for comparing it with itself."""
        return "\n".join((str(self.seal_id), self.action, self.reason, self.details)).encode()


USUAL_WIDTH = {Shape.ROUND: 42.0, Shape.OVAL: 40.0, Shape.SQUARE: 20.0}
"""Millimetres."""
MAX_PICTURE = 256 * 1024
"""The largest file of a picture, in bytes."""
LEAST_WIDTH, MOST_WIDTH = 10.0, 60.0


@dataclass(frozen=True)
class Upload:
    """A picture that the owner brings, PNG or SVG, and how wide it is put, in millimetres."""

    file: bytes = field(repr=False)
    width_mm: float


@dataclass(frozen=True)
class Application:
    """A seal that is applied for."""

    owner_code: str
    """USCC (GB 32100-2015)."""
    owner_name: str
    title: str
    """What the seal is called beside its owner, such as 行政审批专用章; may be empty."""
    division: str
    """6 digits that begin its anti-forgery code."""
    valid_from: datetime
    valid_until: datetime
    kind: SealKind = SealKind.OFFICIAL
    owner_type: OwnerType = OwnerType.OFFICE
    shape: Shape = Shape.ROUND
    algorithm: Algorithm = Algorithm.ECDSA_P256_SHA256
    upload: Upload | None = None
    """None where the picture is drawn here."""

    @property
    def name(self) -> str:
        """The seal's full name."""
        return self.owner_name + (self.title or "印章")

    def require_sound(self) -> None:
        """Raises InvalidError naming every field at fault."""
        faults = list(self._faults())
        if faults:
            raise InvalidError("; ".join(f"{it.field}: {it.message}" for it in faults), faults=faults)

    def _faults(self) -> Iterator[FieldFault]:
        if not 2 <= len(self.owner_name) <= 64 or self.owner_name != self.owner_name.strip():
            yield FieldFault("owner_name", "length", "2 to 64 characters, without spaces at the ends")
        if len(self.name) > 64:
            yield FieldFault("title", "length", "with the owner's name at most 64 characters")
        if not (len(self.division) == 6 and self.division.isascii() and self.division.isdigit()):
            yield FieldFault("division", "form", "the 6 digits of an administrative division (GB/T 2260)")
        if not timedelta(0) < self.valid_until - self.valid_from <= LONGEST_VALIDITY:
            yield FieldFault("valid_until", "range", "after the first day, and at most ten years after it")
        if self.upload is not None:
            if not 1 <= len(self.upload.file) <= MAX_PICTURE:
                yield FieldFault("picture", "size", f"1 to {MAX_PICTURE} bytes (256 KiB)")
            if not LEAST_WIDTH <= self.upload.width_mm <= MOST_WIDTH:
                message = f"{LEAST_WIDTH:.0f} to {MOST_WIDTH:.0f} millimetres"
                yield FieldFault("picture_width", "range", message)
