"""Names of certificates' owners, as people read them."""

from __future__ import annotations

import re

from asn1crypto import x509

_SHORT_NAMES = {
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
}


def distinguished_name(name: x509.Name) -> str:
    """The name as RFC 4514 writes it, most specific part first."""
    parts = []
    for relative in reversed(name.chosen):
        for attribute in relative:
            oid = attribute["type"].dotted
            value = re.sub(r'([,+"\\<>;=#])', r"\\\1", str(attribute["value"].native))
            parts.append(f"{_SHORT_NAMES.get(oid, oid)}={value}")
    return ",".join(parts)
