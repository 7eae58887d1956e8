"""Check digits and shapes of the official numbers: citizens, organisations, licences."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from operator import mul

from core.errors import FieldFault, Kind, ServiceError
from core.identity import CITIZEN_NUMBER, USCC, Subject

_CITIZEN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CITIZEN_CHECKS = "10X98765432"
_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_VALUES = {character: value for value, character in enumerate(_USCC_ALPHABET)}
_USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BASE36_VALUES = {character: value for value, character in enumerate(_BASE36)}
_CITIZEN_SHAPE = re.compile(r"[0-9]{17}[0-9X]")
_USCC_SHAPE = re.compile(rf"[{_USCC_ALPHABET}]{{18}}")
_LICENCE_ROOT = "1.2.156.3005.2"
_LICENCE_SHAPE = re.compile(
    rf"{re.escape(_LICENCE_ROOT)}\.([0-9A-Z]{{21}})\.([0-9A-Z]{{6,18}})\.([0-9A-Z]{{1,32}})\.([0-9]{{3}})\.([0-9A-Z])"
)


class NumberMalformedError(ServiceError):
    """A number does not have the shape that its kind prescribes."""

    kind = Kind.INVALID
    reason = "NUMBER_MALFORMED"


class CheckDigitError(ServiceError):
    """A number has the right shape and the wrong check digit: most likely a typing error."""

    kind = Kind.INVALID
    reason = "CHECK_DIGIT_WRONG"


def normalise_number(text: str) -> str:
    """The number as registers write it: half-width, upper-case, without spaces and direction marks."""
    if text.isascii():  # As nearly all are: there is nothing to fold, and no mark that is not white space.
        return "".join(text.split()).upper()
    folded = unicodedata.normalize("NFKC", text)
    return "".join(c for c in folded if not c.isspace() and unicodedata.category(c) != "Cf").upper()


def citizen_check_digit(body: str) -> str:
    """Check character of a citizen ID number over its first 17 digits (GB 11643, ISO 7064 MOD 11-2)."""
    total = sum(map(mul, _CITIZEN_WEIGHTS, map(int, body)))
    return _CITIZEN_CHECKS[total % 11]


def uscc_check_digit(body: str) -> str:
    """Check character of a USCC over its first 17 characters (GB 32100-2015)."""
    total = sum(weight * _USCC_VALUES[c] for weight, c in zip(_USCC_WEIGHTS, body, strict=True))
    return _USCC_ALPHABET[(31 - total % 31) % 31]


def organisation_check_digit(body: str) -> str:
    """Check character of an organisation code over its first 8 characters (GB 11714)."""
    total = sum(weight * _BASE36_VALUES[c] for weight, c in zip(_ORGANISATION_WEIGHTS, body, strict=True))
    return "0X987654321"[total % 11]


def licence_check_character(body: str) -> str:
    """Check character of a licence identifier (GB/T 36904, ISO/IEC 7064 MOD 37,36).

    `body` is type code, issuer code, serial and version joined, without dots and without the root.
    """
    product = 36
    for character in body:
        total = (product + _BASE36_VALUES[character]) % 36 or 36
        product = total * 2 % 37
    return _BASE36[(37 - product) % 36]


def check_citizen_number(text: str, field: str) -> str:
    """The normalised citizen ID number.

    Raises NumberMalformedError (shape, birth date) or CheckDigitError. Each names `field`, never the number.
    """
    number = normalise_number(text)
    if not _CITIZEN_SHAPE.fullmatch(number):
        raise _malformed(field, "gb11643", "a citizen ID number has 17 digits and a check character 0-9 or X")
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        message = "characters 7 to 14 of a citizen ID number are a date of birth, yyyymmdd"
        raise _malformed(field, "gb11643.birth_date", message) from None
    if citizen_check_digit(number[:17]) != number[17]:
        raise _check_digit(field, "gb11643.check_digit", "the check character (the 18th) is wrong")
    return number


@lru_cache(maxsize=4096)  # The same offices ask again and again.
def check_uscc(text: str, field: str) -> str:
    """The normalised unified social credit code. Raises as check_citizen_number does."""
    code = normalise_number(text)
    if not _USCC_SHAPE.fullmatch(code):
        raise _malformed(field, "gb32100", "a USCC has 18 characters of 0-9 and A-Z without I, O, S, V, Z")
    if uscc_check_digit(code[:17]) != code[17]:
        raise _check_digit(field, "gb32100.check_digit", "the check character (the 18th) is wrong")
    return code


def check_subject(subject: Subject, field: str) -> Subject:
    """The subject with its number normalised, its check digit verified where the kind has one."""
    if subject.code_type == CITIZEN_NUMBER:
        return Subject(CITIZEN_NUMBER, check_citizen_number(subject.code, f"{field}.code"))
    if subject.code_type == USCC:
        return Subject(USCC, check_uscc(subject.code, f"{field}.code"))
    return Subject(subject.code_type, normalise_number(subject.code))


@dataclass(frozen=True)
class LicenceIdentifier:
    """A licence identifier (电子证照标识, GB/T 36904) in its parts."""

    type_code: str
    issuer_code: str
    serial: str
    version: str

    @property
    def body(self) -> str:
        """What the check character is computed over."""
        return self.type_code + self.issuer_code + self.serial + self.version

    def __str__(self) -> str:
        parts = (_LICENCE_ROOT, self.type_code, self.issuer_code, self.serial, self.version)
        return ".".join((*parts, licence_check_character(self.body)))


def parse_licence_identifier(text: str) -> tuple[LicenceIdentifier, bool] | None:
    """The identifier and whether its check character agrees; None where the text has another shape.

    A differing check character is a warning, not forgery: some issuers compute it otherwise.
    """
    match = _LICENCE_SHAPE.fullmatch(normalise_number(text))
    if match is None:
        return None
    identifier = LicenceIdentifier(match[1], match[2], match[3], match[4])
    return identifier, licence_check_character(identifier.body) == match[5]


def _malformed(field: str, rule: str, message: str) -> NumberMalformedError:
    return NumberMalformedError(f"{field}: {message}", faults=[FieldFault(field, rule, message)])


def _check_digit(field: str, rule: str, message: str) -> CheckDigitError:
    return CheckDigitError(f"{field}: {message}", faults=[FieldFault(field, rule, message)])
