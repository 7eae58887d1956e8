"""Checks a receipt against a policy: one of its logs signed, and its witnesses cosigned up to the quorum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.cosignature import Cosignature, cosignatures
from core.merkle import VerificationError
from core.policy import Policy
from core.receipt import Proved, verify_receipt


@dataclass(frozen=True, slots=True)
class Believed:
    """What a receipt proves to whoever trusts a policy."""

    proved: Proved
    cosigned: tuple[Cosignature, ...]


def verify_by_policy(
    receipt: Mapping[str, object], policy: Policy, *, answered: bytes | None = None
) -> Believed:
    """Proves a receipt in its public JSON form under a policy, and the answer too where its bytes are given.

    Raises VerificationError saying what is malformed or not proved.
    """
    note = receipt.get("checkpoint")
    if not isinstance(note, str):
        raise VerificationError("the receipt lacks checkpoint, or it is not a text")
    origin = note.partition("\n")[0]
    keys = [key for key in policy.logs if key.name == origin]
    if not keys:
        raise VerificationError(f"the policy has no log {origin}")
    failure: VerificationError | None = None
    for key in keys:
        try:
            proved = verify_receipt(receipt, key, answered=answered)
        except VerificationError as error:
            failure = error
        else:
            made = cosignatures(note, [one.key for one in policy.witnesses])
            if not policy.satisfied({one.key for one in made}):
                raise VerificationError(
                    "the policy's witnesses have not cosigned this checkpoint; ask for the receipt with"
                    " cosigned=true"
                )
            return Believed(proved, tuple(made))
    assert failure is not None
    raise failure
