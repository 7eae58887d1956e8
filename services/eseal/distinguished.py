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


def seal_subject(*, seal_name: str, owner_code: str, owner_name: str) -> x509.Name:
    """The subject of a seal's certificate; `owner_code` is a USCC (EN 319 412-1 clause 5.1.4).

    Raises ValueError where a name is longer than 64 characters (RFC 5280 appendix A.1), or empty.
    """
    if not all(1 <= len(name) <= 64 for name in (seal_name, owner_name)):
        raise ValueError("a name in a certificate has 1 to 64 characters")
    return x509.Name.build(
        {
            "country_name": "CN",
            "organization_name": owner_name,
            "2.5.4.97": f"NTRCN-{owner_code}",
            "common_name": seal_name,
        }
    )


def distinguished_name(name: x509.Name) -> str:
    """The name as RFC 4514 writes it, most specific part first."""
    parts = []
    for relative in reversed(_Name.load(name.dump())):
        for attribute in relative:
            oid = attribute["type"].dotted
            value = re.sub(r'([,+"\\<>;=#])', r"\\\1", _text(attribute["value"]))
            value = "".join(letter if letter.isprintable() else _escaped(letter) for letter in value)
            parts.append(f"{_SHORT_NAMES.get(oid, oid)}={value}")
    return ",".join(parts)


def _escaped(letter: str) -> str:
    """Its bytes (RFC 4514 section 2.4), of what would break a line or turn the direction around."""
    return "".join(f"\\{byte:02X}" for byte in letter.encode("utf-8", "replace"))


def _text(value: core.Any) -> str:
    """A value's text; of one that is none its bytes in hexadecimal."""
    try:
        said = value.native
    except (ValueError, TypeError):
        said = None
    return said if isinstance(said, str) else str(value.dump().hex())
