"""What the seal service refuses, and why."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import FieldFault, Kind, ServiceError, UnavailableError


class SealNotFoundError(ServiceError):
    """No seal has this id. Which seals exist is public: verification reports name them."""

    kind = Kind.NOT_FOUND
    reason = "SEAL_NOT_FOUND"


class SealNotAllowedError(ServiceError):
    """The office may not use this seal, or not for this matter."""

    kind = Kind.FORBIDDEN
    reason = "SEAL_NOT_ALLOWED"


class SealQuotaSpentError(ServiceError):
    """The permission to use the seal is used up, for the day or for good."""

    kind = Kind.EXHAUSTED
    reason = "SEAL_QUOTA_SPENT"


class SealActRefusedError(ServiceError):
    """What an operator asks for does not follow where the seal stands, or is not for that operator."""

    kind = Kind.PRECONDITION
    reason = "SEAL_ACT_REFUSED"


class SealAuthorityMissingError(ServiceError):
    """This installation has no authority that issues the certificate of such a seal."""

    kind = Kind.PRECONDITION
    reason = "SEAL_AUTHORITY_MISSING"


class SealNotInForceError(ServiceError):
    """The seal is not enabled yet, suspended, revoked, destroyed, expired or not yet valid."""

    kind = Kind.PRECONDITION
    reason = "SEAL_NOT_IN_FORCE"


class SealNotForFormatError(ServiceError):
    """The seal's algorithm does not belong to the document's format."""

    kind = Kind.PRECONDITION
    reason = "SEAL_NOT_FOR_FORMAT"


class Sm2UnavailableError(ServiceError):
    """This installation has no libcrypto that knows SM2: it neither makes nor believes such signatures."""

    kind = Kind.UNSUPPORTED
    reason = "ALGORITHM_UNAVAILABLE"


class DocumentError(ServiceError):
    """The document cannot be sealed or checked; nothing was done."""


class DocumentMalformedError(DocumentError):
    """Not a well-formed PDF or OFD, or one built to exhaust a reader."""

    kind = Kind.INVALID
    reason = "DOCUMENT_MALFORMED"

    def __init__(self, message: str, *, faults: Sequence[FieldFault] = ()) -> None:
        super().__init__(message, faults=faults or [FieldFault("document", "pdf", message)])


class SealPictureInvalidError(DocumentError):
    """An uploaded picture that no seal can have; the rule says what is wrong with it."""

    kind = Kind.INVALID
    reason = "SEAL_PICTURE_INVALID"

    @classmethod
    def by(cls, rule: str, message: str) -> SealPictureInvalidError:
        """The error by a rule, such as `bit_depth` or `element`."""
        return cls(message, faults=[FieldFault("picture", rule, message)])


class DocumentEncryptedError(DocumentError):
    """An encrypted PDF."""

    kind = Kind.PRECONDITION
    reason = "DOCUMENT_ENCRYPTED"


class DocumentTooLargeError(DocumentError):
    """More than MAX_DOCUMENT bytes."""

    kind = Kind.TOO_LARGE
    reason = "DOCUMENT_TOO_LARGE"


class DocumentLockedError(DocumentError):
    """An earlier signature allows no further seal; adding one would break it."""

    kind = Kind.PRECONDITION
    reason = "DOCUMENT_LOCKED"


class PageNotFoundError(DocumentError):
    """The document has no such page, or the place lies outside it."""

    kind = Kind.INVALID
    reason = "PAGE_NOT_FOUND"


class KeywordNotFoundError(DocumentError):
    """The text at which the seal is to stand is nowhere in the document."""

    kind = Kind.PRECONDITION
    reason = "KEYWORD_NOT_FOUND"


class FieldNotFoundError(DocumentError):
    """The document has no signature field of this name that could be sealed."""

    kind = Kind.PRECONDITION
    reason = "FIELD_NOT_FOUND"


class TooManyPlacesError(DocumentError):
    """The seal would stand in more places than one seal may."""

    kind = Kind.PRECONDITION
    reason = "TOO_MANY_PLACES"


class PlaceNotForFormatError(DocumentError):
    """A way of placing the picture that this format does not have here."""

    kind = Kind.INVALID
    reason = "PLACE_NOT_FOR_FORMAT"


class LevelNotForFormatError(ServiceError):
    """The document's format does not have this level, or no certification."""

    kind = Kind.INVALID
    reason = "LEVEL_NOT_FOR_FORMAT"

    def __init__(self, message: str, field: str = "level") -> None:
        super().__init__(message, faults=[FieldFault(field, "format", message)])


class LevelUnavailableError(ServiceError):
    """This installation lacks what the level needs."""

    kind = Kind.PRECONDITION
    reason = "LEVEL_UNAVAILABLE"


class CertificationNotFirstError(DocumentError):
    """A document is certified before anybody else has signed it, or not at all (ISO 32000-2 12.8.2.2)."""

    kind = Kind.PRECONDITION
    reason = "CERTIFICATION_NOT_FIRST"


class TimestampUnavailableError(UnavailableError):
    """The timestamp authority has not answered in time, or not with a timestamp that can be believed."""

    reason = "TIMESTAMP_UNAVAILABLE"


class RevocationUnknownError(UnavailableError):
    """Nobody has said in time whether the certificate was revoked."""

    reason = "REVOCATION_UNKNOWN"


class CertificateRevokedError(ServiceError):
    """The seal's certificate, or one above it, has been revoked by its authority."""

    kind = Kind.PRECONDITION
    reason = "CERTIFICATE_REVOKED"


class WorkshopBusyError(ServiceError):
    """Every worker is taken; the call may be tried again."""

    kind = Kind.UNAVAILABLE
    reason = "WORKSHOP_BUSY"


class KeyUnknownError(ServiceError):
    """The keystore holds no such key. A fault of the installation, not of the caller."""

    kind = Kind.INTERNAL
    reason = "SEAL_KEY_UNKNOWN"


class KeystoreUnavailableError(ServiceError):
    """The token that holds the seal's key does not answer; the call may be tried again."""

    kind = Kind.UNAVAILABLE
    reason = "KEYSTORE_UNAVAILABLE"


class BulkBusyError(ServiceError):
    """As many streams as there is room for are being sealed."""

    kind = Kind.UNAVAILABLE
    reason = "BULK_BUSY"


class TemplateNotFoundError(ServiceError):
    """There is no such template in this version, or it is another office's."""

    kind = Kind.NOT_FOUND
    reason = "TEMPLATE_NOT_FOUND"


class TemplateFieldsError(ServiceError):
    """What is to go into a template's fields is not what they take. Every fault is told at once."""

    kind = Kind.INVALID
    reason = "TEMPLATE_FIELDS_INVALID"

    def __init__(self, faults: Sequence[FieldFault]) -> None:
        super().__init__("the fields are not what the template takes", faults=faults)


class VerificationAddressMissingError(ServiceError):
    """This installation names no address at which documents made of templates can be verified."""

    kind = Kind.PRECONDITION
    reason = "VERIFICATION_ADDRESS_MISSING"


class DocumentNotRecordedError(ServiceError):
    """No record answers for a file of this digest. Whether the file is valid is not said by that."""

    kind = Kind.NOT_FOUND
    reason = "DOCUMENT_NOT_RECORDED"


class SealedDocumentNotFoundError(ServiceError):
    """No document of this number was sealed here."""

    kind = Kind.NOT_FOUND
    reason = "DOCUMENT_NOT_FOUND"


class PlateLostError(ServiceError):
    """What a document shares with others is gone, and its answer cannot be given again. A fault of ours."""

    kind = Kind.INTERNAL
    reason = "PLATE_LOST"


class TimestampNotOfferedError(ServiceError):
    """This installation has no timestamp authority."""

    kind = Kind.UNSUPPORTED
    reason = "TIMESTAMP_NOT_OFFERED"


class TimestampAuthorityAwayError(UnavailableError):
    """The timestamp authority does not answer, or not as it should."""

    reason = "TIMESTAMP_AUTHORITY_AWAY"
