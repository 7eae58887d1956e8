"""What of a template stands still and what differs from document to document, and how the latter is set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.eseal.template import Template, Text, does_not_fit
from services.eseal.templates.face import Face
from services.eseal.typesetting import DoesNotFitError, Line, Runs, run_of, set_text

_USUAL = "0123456789年月日　，。、；：（）《》“”·.,-/" + "abcdef"
"""Characters that nearly every document shows: figures, those of numbers of documents, punctuation."""


@dataclass(frozen=True)
class Standing:
    """What is the same in every document of a template."""

    lines: Sequence[tuple[Text, Sequence[Line]]]
    texts: Sequence[Text]
    """What is not: the texts with fields in them."""
    chars: frozenset[str]
    """The characters of the font that is made ready once."""
    runs: Runs
    """Of paragraphs without fields in those texts, which are measured once."""


def standing_of(template: Template, face: Face) -> Standing:
    """Sets what stands still, and tells which characters the font made ready holds."""
    still = [text for text in template.texts if not text.names]
    moving = [text for text in template.texts if text.names]
    lines = [(text, set_text(text.paragraphs, text.area, text.setting, face.width)) for text in still]
    own = "".join("".join(text.filled(dict.fromkeys(text.names, ""))) for text in template.texts)
    chars = (set(own) | set(template.common) | set(_USUAL)) & face.characters
    runs = {
        paragraph: run_of(paragraph, face.width)
        for text in moving
        for paragraph in text.paragraphs
        if "{" not in paragraph
    }
    return Standing(lines, moving, frozenset(chars), runs)


def set_fields(
    standing: Standing, shown: Mapping[str, str], face: Face
) -> Iterator[tuple[Text, Sequence[Line]]]:
    """The lines of each text with the fields in it. Raises TemplateFieldsError where one has no room."""
    for text in standing.texts:
        filled = text.filled(shown)
        try:
            yield text, set_text(filled, text.area, text.setting, face.width, standing.runs)
        except DoesNotFitError as failure:
            longest = max(text.names, key=lambda name: len(shown[name]))
            raise does_not_fit(longest, failure.most, sum(map(len, filled))) from None
