"""The official numbers of people who do not exist.

Citizen numbers begin with 440299 and USCCs carry 440299: no county has that code, so neither can be issued
to anybody. Their check digits are right. Mobile numbers begin with 154 and bank cards with 629999, which
are given to nobody either.
"""

from __future__ import annotations

from functools import cache

from core.identifiers import LicenceIdentifier, organisation_check_digit, uscc_check_digit
from deploy.town.calendar import REFERENCE_DAY, Day, iso, new_year

REGION = "440299"

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
_HEAD = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, REGION, strict=False))
_TAIL = [(f"{n:03}", 8 * (n // 100) + 4 * (n // 10 % 10) + 2 * (n % 10)) for n in range(1000)]
_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"

# A birth date has 500 serials for each sex. The last ten are kept for people who are made by hand.
_DAYS = 365
_SERIALS = 490
SLOTS = _DAYS * _SERIALS
"""Numbers for each year of birth and sex."""
_STRIDE = 104_729
"""A prime that does not divide SLOTS: neighbours get distant birthdays."""

_ISSUER = "629999"


def _luhn(digits: str) -> int:
    """The digits' sum, every second one doubled from the last on."""
    doubled = sum(2 * int(d) - 9 * (int(d) > 4) for d in digits[-1::-2])
    return doubled + sum(int(d) for d in digits[-2::-2])


_LUHN = [_luhn(f"{n:04}") for n in range(10_000)]
_ISSUER_SUM = _luhn(_ISSUER)

_heads: dict[Day, tuple[str, int]] = {}


def citizen_number(born: Day, serial: int, male: bool) -> str:
    """The number of a person born on a day; `serial` 0 to 499 within the day and sex (GB 11643)."""
    head = _heads.get(born)
    if head is None:
        text = iso(born).replace("-", "")
        total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS[6:14], text, strict=True))
        head = _heads[born] = (REGION + text, _HEAD + total)
    tail, weight = _TAIL[2 * serial + male]
    return head[0] + tail + _CHECKS[(head[1] + weight) % 11]


class NumberRange:
    """A village's own share of the numbers of every year of birth and sex.

    Villages are made independently of each other, so each draws from a range of its own: `first` and
    `size` are slots of SLOTS.
    """

    def __init__(self, first: int, size: int) -> None:
        self._first = first
        self._size = size
        self._used: dict[tuple[int, bool], int] = {}

    def take(self, year: int, male: bool) -> tuple[str, Day]:
        """A number that nobody has, and the birth date in it: in the year, or before it if that is full."""
        while True:
            used = self._used.get((year, male), 0)
            if used >= self._size:
                year -= 1
                continue
            self._used[year, male] = used + 1
            slot = ((self._first + used) * _STRIDE + year * 7_919 + male * 60_013) % SLOTS
            born = new_year(year) + slot % _DAYS
            if born <= REFERENCE_DAY:
                return citizen_number(born, slot // _DAYS, male), born


def uscc(department: str, category: str, serial: int) -> str:
    """The USCC of a made-up body: `serial` up to 31**6 makes its organisation code (GB 32100, GB 11714)."""
    scattered = serial * 500_000_003 % 31**6
    digits = ""
    for _ in range(6):
        scattered, digit = divmod(scattered, 31)
        digits += _USCC_ALPHABET[digit]
    organisation = "MA" + digits
    body = department + category + REGION + organisation + organisation_check_digit(organisation)
    return body + uscc_check_digit(body)


_CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _step(product: int, character: str) -> int:
    """One character's step of ISO/IEC 7064 MOD 37,36, from an intermediate product to the next."""
    return ((product + _CHARACTERS.index(character)) % 36 or 36) * 2 % 37


# Serials are digits, of which two are taken at a step; by the product before, then by the digits.
_PAIRS = [
    {f"{n:02}": _step(_step(product, str(n // 10)), str(n % 10)) for n in range(100)} for product in range(37)
]


@cache
def _identifier_head(type_code: str, issuer_code: str) -> tuple[str, int]:
    """What the identifiers of a type and issuer begin with, and the product that it leads to."""
    whole = str(LicenceIdentifier(type_code, issuer_code, "", ""))
    product = 36
    for character in type_code + issuer_code:
        product = _step(product, character)
    return whole[: whole.rindex(issuer_code) + len(issuer_code)], product


def licence_identifier(type_code: str, issuer_code: str, serial: str, version: int) -> str:
    """A licence identifier with its check character (GB/T 36904): an even number of digits for a serial."""
    head, product = _identifier_head(type_code, issuer_code)
    for place in range(0, len(serial), 2):
        product = _PAIRS[product][serial[place : place + 2]]
    last = f"{version:03}"
    product = _PAIRS[_step(product, last[0])][last[1:]]
    return f"{head}.{serial}.{last}.{_CHARACTERS[(37 - product) % 36]}"


def mobile_number(draw: int) -> str:
    """A mobile number of a series that no operator has."""
    return f"154{draw % 100_000_000:08}"


def bank_card(draw: int) -> str:
    """A 19-digit card number with its check digit (ISO/IEC 7812-1 annex B)."""
    low = draw % 10**12
    total = _ISSUER_SUM + _LUHN[low % 10_000] + _LUHN[low // 10_000 % 10_000] + _LUHN[low // 10**8]
    return f"{_ISSUER}{low:012}{-total % 10}"


def group_code(village_code: str, group: int) -> str:
    """FBFBM of a village group (GB/T 35958): 14 digits; group 0 is the village itself."""
    return f"{village_code}{group:02}"


def contractor_code(group: str, serial: int) -> str:
    """CBFBM: 18 digits, the household's serial within the group."""
    return f"{group}{serial:04}"


def parcel_code(group: str, serial: int) -> str:
    """DKBM: 19 digits, the parcel's serial within the group."""
    return f"{group}{serial:05}"


def contract_code(contractor: str, *, family: bool) -> str:
    """CBHTBM and CBJYQZBM: 19 characters; J for a family contract, Q for one acquired otherwise."""
    return contractor + ("J" if family else "Q")
