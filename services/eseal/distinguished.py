"""Names of certificates' owners, as people read them."""

from __future__ import annotations

import re

from asn1crypto import core, x509

_SHORT_NAMES = {
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
}


class _Attribute(core.Sequence):  # type: ignore[misc]  # the library has no types
    """An attribute of a name, its value of any type: some authorities' are not of the one that belongs."""

    _fields = [("type", core.ObjectIdentifier), ("value", core.Any)]  # noqa: RUF012


class _Relative(core.SetOf):  # type: ignore[misc]
    _child_spec = _Attribute


class _Name(core.SequenceOf):  # type: ignore[misc]
    _child_spec = _Relative


def distinguished_name(name: x509.Name) -> str:
    """The name as RFC 4514 writes it, most specific part first."""
    parts = []
    for relative in reversed(_Name.load(name.dump())):
        for attribute in relative:
            oid = attribute["type"].dotted
            value = re.sub(r'([,+"\\<>;=#])', r"\\\1", _text(attribute["value"]))
            parts.append(f"{_SHORT_NAMES.get(oid, oid)}={value}")
    return ",".join(parts)


def _text(value: core.Any) -> str:
    """A value's text; of one that is none its bytes in hexadecimal."""
    try:
        said = value.native
    except (ValueError, TypeError):
        said = None
    return said if isinstance(said, str) else str(value.dump().hex())
