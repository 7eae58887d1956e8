"""Receipts verify with the public key alone, and nothing that was altered does."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.merkle import VerificationError
from core.note import VerifierKey
from core.receipt import answer_bytes, read_json, verify_receipt
from tests.unit.ledger.receipts import KEY, SALT, a_receipt, encoded

ANSWER = {"name": "张三", "licences": [{"id": 1, "share": 0.5}], "receipt": {"id": "to be left out"}}

Receipt = dict[str, Any]


def test_receipt_proves_its_entry_and_its_answer() -> None:
    proved = verify_receipt(a_receipt(answer_bytes(ANSWER)), KEY, answered=answer_bytes(ANSWER))

    assert proved.entry["method"] == "licence.search"
    assert (proved.index, proved.checkpoint.size, proved.checkpoint.origin) == (5, 11, KEY.name)
    assert proved.answer_proved


def test_receipt_proves_its_entry_without_the_answer() -> None:
    assert not verify_receipt(a_receipt(None), KEY).answer_proved


def test_commitment_leaves_the_receipt_out_and_no_other_member() -> None:
    assert answer_bytes(ANSWER) == answer_bytes({**ANSWER, "receipt": {}})
    assert answer_bytes(ANSWER) != answer_bytes({**ANSWER, "name": "李四"})
    assert answer_bytes({"b": 1, "a": "é"}) == '{"a":"é","b":1}'.encode()


def altered(change: Callable[[Receipt], object]) -> Receipt:
    receipt = copy.deepcopy(a_receipt(b"file"))
    change(receipt)
    return receipt


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda r: r["entry"].update(caller="rural-bank"), "does not lead"),
        (lambda r: r["entry"].update(more=1), "does not lead"),
        (lambda r: r["entry"].update(id="another"), "entry's id"),
        (lambda r: r.update(id="another"), "entry's id"),
        (lambda r: r.update(index=4), "does not lead"),
        (lambda r: r.update(index=11), "cannot be in a tree"),
        (lambda r: r.update(tree_size=12), "not the checkpoint's size"),
        (lambda r: r["hashes"].pop(), "shorter"),
        (lambda r: r["hashes"].append(r["hashes"][0]), "longer"),
        (lambda r: r["hashes"].reverse(), "does not lead"),
        (lambda r: r["hashes"].__setitem__(0, "AAAA"), "not 32 bytes"),
        (lambda r: r["hashes"].__setitem__(0, "***"), "not base64"),
        (lambda r: r.update(hashes="none"), "not a list"),
        (lambda r: r.update(checkpoint=r["checkpoint"].replace("11", "12")), "wrong"),
        (lambda r: r.update(checkpoint="nothing"), "not a text, an empty line"),
        (lambda r: r.update(answer_salt=encoded(b"\x06" * 32)), "not the one"),
        (lambda r: r.update(answer_salt=encoded(SALT[:31])), "32 bytes"),
        (lambda r: r.update(answer_salt=7), "not a text"),
        (lambda r: r.update(index=True), "whole number"),
        (lambda r: r.update(index=5.0), "whole number"),
        (lambda r: r.update(index=-1), "whole number"),
        (lambda r: r.update(entry="text"), "not an object"),
        (lambda r: r.update(entry={**r["entry"], "x": float("nan")}), "canonical"),
        (lambda r: r["entry"].update(x=1 << 60), "canonical"),
        (lambda r: r.pop("entry"), "lacks entry"),
        (lambda r: r.pop("checkpoint"), "lacks checkpoint"),
    ],
)
def test_altered_receipt_is_not_proved(change: Callable[[Receipt], object], why: str) -> None:
    with pytest.raises(VerificationError, match=why):
        verify_receipt(altered(change), KEY, answered=b"file")


def test_other_answer_is_not_proved() -> None:
    with pytest.raises(VerificationError, match="not the one"):
        verify_receipt(a_receipt(b"file"), KEY, answered=b"another file")
    with pytest.raises(VerificationError, match="commits to no answer"):
        verify_receipt(a_receipt(None), KEY, answered=b"file")


def test_receipt_is_not_proved_by_another_key() -> None:
    other = VerifierKey(KEY.name, b"\x01" * 32)

    with pytest.raises(VerificationError, match="no signature"):
        verify_receipt(a_receipt(None), other)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.sampled_from(sorted(a_receipt(b""))), JSON)
def test_no_replaced_member_brings_down_the_verifier(name: str, value: object) -> None:
    receipt = {**a_receipt(b"file"), name: value}

    with pytest.raises(VerificationError):
        verify_receipt(receipt, KEY, answered=b"file")


@pytest.mark.parametrize(
    "text", ["", "[]", "7", '{"a":1,"a":2}', "{" * 100_000, b"\xff{}", '{"a":' + "9" * 5000 + "}"]
)
def test_what_is_no_json_object_is_said_to_be_none(text: str | bytes) -> None:
    with pytest.raises(VerificationError, match=r"^the answer "):
        read_json(text, "the answer")
