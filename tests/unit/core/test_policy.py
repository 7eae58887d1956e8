"""Trust policies: C2SP tlog-policy."""

from __future__ import annotations

import pytest

from core.cosignature import WitnessKey
from core.merkle import VerificationError
from core.note import VerifierKey
from core.policy import Policy

KEYS = {
    name: WitnessKey(f"{name}.example", bytes([number]) * 32)
    for number, name in enumerate(("X1", "X2", "X3", "Y1", "Y2", "Y3"), 1)
}
LOG = VerifierKey("log.example", b"\x63" * 32)

TWO_LEVELS = f"""\
# The specification's own example.
log {LOG}

witness X1 {KEYS["X1"]}
witness X2 {KEYS["X2"]}  https://x2.example/
\twitness\tX3 {KEYS["X3"]}
group X-witnesses 2 X1 X2 X3

witness Y1 {KEYS["Y1"]}
witness Y2 {KEYS["Y2"]}
witness Y3 {KEYS["Y3"]}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


@pytest.mark.parametrize(
    ("cosigners", "enough"),
    [
        ((), False),
        (("X1", "X2"), False),
        (("X1", "Y1"), False),
        (("Y1", "Y2", "Y3"), False),
        (("X1", "X3", "Y2"), True),
        (("X1", "X2", "X3", "Y1", "Y2", "Y3"), True),
    ],
)
def test_quorum_over_groups(cosigners: tuple[str, ...], enough: bool) -> None:
    policy = Policy.parse(TWO_LEVELS)

    assert policy.satisfied([KEYS[name] for name in cosigners]) is enough
    assert policy.logs == (LOG,)
    assert [one.url for one in policy.witnesses] == ["", "https://x2.example", "", "", "", ""]


def test_one_witness_or_none() -> None:
    one = Policy.parse(f"witness w {KEYS['X1']}\nquorum w\n")
    nobody = Policy.parse(f"witness w {KEYS['X1']}\nquorum none")

    assert [one.satisfied([KEYS["X1"]]), one.satisfied([KEYS["X2"]]), one.satisfied([])] == [
        True,
        False,
        False,
    ]
    assert nobody.satisfied([])


def test_what_is_written_is_read_again_without_addresses() -> None:
    policy = Policy.parse(TWO_LEVELS)

    again = Policy.parse("\n".join(policy.lines()))

    assert again.groups == policy.groups
    assert again.quorum == policy.quorum
    assert [(one.name, one.key) for one in again.witnesses] == [
        (one.name, one.key) for one in policy.witnesses
    ]
    assert "https" not in "".join(policy.lines())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no line quorum"),
        ("quorum none\nquorum none\n", "line 2 .*a quorum already"),
        ("quorum w\n", "nothing before it is named w"),
        (f"quorum w\nwitness w {KEYS['X1']}\n", "line 1"),
        (f"log {LOG}\nlog {LOG}\nquorum none\n", "line 2 .*there already"),
        (f"witness w {KEYS['X1']}\nwitness v {KEYS['X1']}\nquorum none\n", "there already"),
        (f"witness w {KEYS['X1']}\nwitness w {KEYS['X2']}\nquorum none\n", "the name w is taken"),
        (f"witness none {KEYS['X1']}\nquorum none\n", "the name none is taken"),
        (f"witness w {KEYS['X1']}\ngroup g any\nquorum none\n", "none of log"),
        (f"witness w {KEYS['X1']}\ngroup g 2 w\nquorum none\n", "all, any or so many"),
        (f"witness w {KEYS['X1']}\ngroup g 0 w\nquorum none\n", "all, any or so many"),
        (f"witness w {KEYS['X1']}\ngroup g most w\nquorum none\n", "all, any or so many"),
        (f"witness w {KEYS['X1']}\ngroup g any w w\nquorum none\n", "counts once"),
        (f"witness w {KEYS['X1']}\ngroup g any w\ngroup h any w\nquorum g\n", "counts once"),
        (f"witness w {KEYS['X1']}\ngroup g any none\nquorum none\n", "named none"),
        (f"witness w {LOG}\nquorum none\n", "none for Ed25519 cosignatures"),
        (f"log {KEYS['X1']}\nquorum none\n", "not an Ed25519 key"),
        ("witnesses all\nquorum none\n", "none of log"),
        ("quorum none\r\n", "control characters"),
    ],
)
def test_malformed_policy_is_refused_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(VerificationError, match=complaint):
        Policy.parse(text)
