"""What of a template stands still and what differs from document to document, and how the latter is set."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from services.eseal.leaves import CLOSING, PAGE, PAGES, Leaf, Text
from services.eseal.refusals import TemplateFieldsError
from services.eseal.template import Template, does_not_fit
from services.eseal.templates.face import Face
from services.eseal.typesetting import DoesNotFitError, Line, run_over, set_text

_USUAL = "0123456789年月日　，。、；：（）《》“”·.,-/" + "abcdef"
"""Characters that nearly every document shows: figures, those of numbers of documents, punctuation."""
_NUMBERS = frozenset((PAGE, PAGES))

Set = tuple[Text, Sequence[Line]]


@dataclass(frozen=True)
class Standing:
    """What is the same in every document of a template."""

    lines: Sequence[Sequence[Set]]
    """Of each page, or of each kind of page (`Template.leaves`)."""
    texts: Sequence[Sequence[Text]]
    """What is not, of each: the texts with fields in them."""
    chars: frozenset[str]
    """The characters of the font that is made ready once."""


@dataclass(frozen=True)
class SetPage:
    """A page of one document, and the lines on it that are the document's own."""

    leaf: Leaf
    texts: Sequence[Set]
    lift: float = 0.0
    """By how many mm what is closing stands higher than the template says."""


def standing_of(template: Template, face: Face) -> Standing:
    """Sets what stands still, and tells which characters the font made ready holds."""
    still = [
        (text, set_text(text.paragraphs, text.area, text.setting, face.width))
        for text in template.texts
        if not _moves(text)
    ]
    lines = [[one for one in still if leaf.bears(one[0].on)] for leaf in template.leaves]
    own = "".join("".join(text.filled(dict.fromkeys(text.names, ""))) for text in template.all_texts)
    chars = (set(own) | set(template.common) | set(_USUAL)) & face.characters
    texts = [
        [text for text in template.texts if _moves(text) and leaf.bears(text.on)] for leaf in template.leaves
    ]
    return Standing(lines, texts, frozenset(chars))


def set_pages(
    template: Template, standing: Standing, shown: Mapping[str, str], face: Face
) -> Sequence[SetPage]:
    """The pages with the fields on them. Raises TemplateFieldsError where one has no room."""
    running = template.running
    if running is None:
        leaves, over = template.leaves, []
    else:
        text = running.text
        try:
            over = run_over(text.filled(shown), running.frames, text.setting, face.width)
        except DoesNotFitError as failure:
            raise _refusal(text, shown, failure) from None
        leaves = [Leaf(number + 1, len(over)) for number in range(len(over))]
    pages = []
    for leaf in leaves:
        said = {**shown, PAGE: str(leaf.number), PAGES: str(leaf.pages)}
        texts = [_set(text, said, face) for text in standing.texts[template.kind_of(leaf)]]
        lift = 0.0
        if running is not None:
            # Where it is read: what reads a page aloud goes by the order in which it is written.
            frame = running.frames.first if leaf.number == 1 else running.frames.further
            before = sum(text.area.y < frame.y for text, _ in texts)
            lines = over[leaf.number - 1]
            if leaf.number == leaf.pages and lines:
                lift = running.frames.left(lines)
                texts = [(text, _lifted(text, set_up, lift)) for text, set_up in texts]
            texts.insert(before, (running.text, lines))
        pages.append(SetPage(leaf, texts, lift))
    return pages


def runs_of(text: str, ready: frozenset[str]) -> list[str]:
    """A line cut where characters that are ready and others meet."""
    runs: list[str] = _splitter(ready).findall(text)
    return runs


@lru_cache(maxsize=64)
def _splitter(ready: frozenset[str]) -> re.Pattern[str]:
    chars = re.escape("".join(sorted(ready)))
    return re.compile(f"[{chars}]+|[^{chars}]+")


def _moves(text: Text) -> bool:
    """Whether a text is not the same at the same place in every document."""
    return bool(text.names) or text.on == CLOSING


def _lifted(text: Text, lines: Sequence[Line], lift: float) -> Sequence[Line]:
    if text.on != CLOSING:
        return lines
    return [line._replace(baseline=line.baseline - lift) for line in lines]


def _set(text: Text, shown: Mapping[str, str], face: Face) -> Set:
    try:
        return text, set_text(text.filled(shown), text.area, text.setting, face.width)
    except DoesNotFitError as failure:
        raise _refusal(text, shown, failure) from None


def _refusal(text: Text, shown: Mapping[str, str], failure: DoesNotFitError) -> TemplateFieldsError:
    longest = max(text.names - _NUMBERS, key=lambda name: len(shown[name]))
    return does_not_fit(longest, failure.most, sum(map(len, text.filled(shown))))
