"""Who is asking, and about whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from core.errors import ScopeMissingError


class Scope(StrEnum):
    """What a registered caller may use; the scopes of its access token (RFC 6749 section 3.3)."""

    LICENCE_READ = "licence.read"
    LICENCE_VERIFY = "licence.verify"
    MATTER_READ = "matter.read"
    AUTOFILL_FILL = "autofill.fill"
    AUTOFILL_VERIFY = "autofill.verify"
    SEAL_USE = "seal.use"
    DOCUMENT_VERIFY = "document.verify"
    CONSENT_REQUEST = "consent.request"
    CREDIT_FETCH = "credit.fetch"
    LEDGER_READ = "ledger.read"
    CSC_SERVICE = "service"
    """Remote signing (Cloud Signature Consortium): see credentials, sign what is authorised."""
    CSC_CREDENTIAL = "credential"
    """The same, and take credentials and change their factors."""
    CITIZEN = "citizen"


CITIZEN_NUMBER = "111"
"""Holder code type of a citizen ID number (GB/T 36903 appendix A)."""

USCC = "001"
"""Holder code type of a unified social credit code (GB/T 36903 appendix A)."""


@dataclass(frozen=True)
class Subject:
    """A person or organisation by official number. Its repr never shows the number."""

    code_type: str
    code: str = field(repr=False)


@dataclass(frozen=True)
class Caller:
    """An outside caller whose token has been verified. A citizen is her own subject."""

    name: str
    scopes: frozenset[str]
    subject: Subject | None = None

    def require(self, *scopes: Scope) -> None:
        """Passes when the caller holds one of the scopes, else raises ScopeMissingError."""
        if not any(scope in self.scopes for scope in scopes):
            wanted = " or ".join(scopes)
            raise ScopeMissingError(f"the access token lacks the scope {wanted}")
