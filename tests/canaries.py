"""The canaries: what identifies the town's cast, and the search for it in whatever spelling bytes travel in.

The cast is in every town, always the same, with names, numbers, addresses and phones that nobody else has.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote

from deploy.town.cast import make_cast
from tests.story import nobody

NOBODY = nobody(417)
"""Whom nobody knows: her number comes in from outside alone."""

_WIDE = str.maketrans("0123456789X", "０１２３４５６７８９Ｘ")


def identities() -> list[str]:
    """What identifies the cast: names, ID numbers, addresses, phones, and numbers of papers and accounts."""
    town = make_cast()
    found = {NOBODY}
    for one in town.people:
        street = one.household.address.removeprefix(one.household.village.prefix)
        found |= {one.number, one.name, street if len(street) > 8 else one.household.address}
        if one.phone is not None:
            found.add(one.phone)
        if one.insurance is not None and one.insurance.bank_account is not None:
            found.add(one.insurance.bank_account)
        if one.marriage is not None:
            found.add(one.marriage.number)
        if one.real_estate is not None:
            found |= {one.real_estate.certificate_number, one.real_estate.unit_number}
    for company in town.companies:
        found |= {company.uscc, company.name}
    return sorted(found)


def spellings(text: str) -> Iterator[bytes]:
    """A text as it may lie in other bytes: as it is, in other cases, widths and encodings, hexadecimal,
    escaped for JSON, URLs, HTML and Python, and in base64 wherever it begins."""
    for form in dict.fromkeys((text, text.lower(), text.upper(), text.translate(_WIDE))):
        raw = form.encode()
        yield from (raw, form.encode("utf-16-le"), form.encode("utf-16-be"), raw.decode("latin-1").encode())
        yield from (raw.hex().encode(), raw.hex().upper().encode())
        escaped = json.dumps(form)[1:-1]
        yield from (escaped.encode(), _upper(escaped, "\\u"), json.dumps(escaped)[1:-1].encode())
        percent = quote(form, safe="")
        yield from (percent.encode(), percent.lower().encode(), quote(percent, safe="").encode())
        yield from ("".join(f"&#{ord(one)};" for one in form).encode(), repr(raw)[2:-1].encode())
        yield form.encode("gb18030")
        for shift in range(3):
            shifted = base64.b64encode(bytes(shift) + raw)
            whole = shifted[(0, 2, 3)[shift] : (shift + len(raw)) * 8 // 6]
            yield from (whole, whole.replace(b"+", b"-").replace(b"/", b"_"))


def sung(content: bytes) -> set[str]:
    """The canaries in it, in whatever spelling."""
    return {text for spelled, text in _CANARIES if spelled in content}


def _upper(escaped: str, mark: str) -> bytes:
    """Escapes with their hexadecimal digits in upper case."""
    first, *rest = escaped.split(mark)
    return (first + "".join(mark + one[:4].upper() + one[4:] for one in rest)).encode()


IDENTITIES = identities()
_CANARIES = list({(spelled, text): None for text in IDENTITIES for spelled in spellings(text)})
