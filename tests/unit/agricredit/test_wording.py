"""The text says everything that PIPL articles 17, 23 and 30 ask for, and names no farmer."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest

from services.agricredit.domain import Item
from services.agricredit.registers import RESOURCES, SOURCE_FIELDS
from services.agricredit.wording import KINDS, consent_text, text_digest
from tests.unit.agricredit.samples import BANK, BOTH, LOAN, NOW

UNTIL = NOW + timedelta(days=90)


def _text(*items: Item, max_uses: int = 10) -> str:
    return consent_text(BANK, LOAN, items or BOTH, max_uses=max_uses, requested_at=NOW, valid_until=UNTIL)


@pytest.mark.parametrize(
    "said",
    [
        BANK.name,
        BANK.contact,
        LOAN.purpose_text,
        LOAN.keeping,
        "处理方式",
        "撤回授权",
        "查阅、复制、更正、删除",
        "最多提供10次",
        "2026年05月31日10时00分",
        "不提供您的家庭成员的任何信息",
    ],
)
def test_the_text_says(said: str) -> None:
    assert said in _text()


def test_only_the_kinds_asked_for_are_named() -> None:
    assert KINDS[Item.SUBSIDIES] in _text(Item.SUBSIDIES)
    assert KINDS[Item.LAND_RIGHTS] not in _text(Item.SUBSIDIES)


def test_every_kind_of_data_has_words_and_sources() -> None:
    assert set(KINDS) == set(RESOURCES) == set(Item)
    assert {resource for names in RESOURCES.values() for resource in names} == set(SOURCE_FIELDS)


def test_the_digest_changes_with_anything_that_the_farmer_agrees_to() -> None:
    other_bank = replace(BANK, name="另一家银行")
    texts = {
        _text(),
        _text(Item.SUBSIDIES),
        _text(max_uses=11),
        consent_text(other_bank, LOAN, BOTH, max_uses=10, requested_at=NOW, valid_until=UNTIL),
        consent_text(
            BANK, replace(LOAN, keeping="永久"), BOTH, max_uses=10, requested_at=NOW, valid_until=UNTIL
        ),
        consent_text(BANK, LOAN, BOTH, max_uses=10, requested_at=NOW, valid_until=UNTIL + timedelta(days=1)),
    }

    assert len({text_digest(text) for text in texts}) == 6
    assert text_digest(_text()) == hashlib.sha256(_text().encode("utf-8")).hexdigest()
