"""Why a call is refused. None of these says what exists to whom it does not concern."""

from __future__ import annotations

from core.errors import InvalidError, Kind, ServiceError


class PartnerUnknownError(ServiceError):
    """The caller has no agreement with the city, or it is suspended."""

    kind = Kind.FORBIDDEN
    reason = "PARTNER_UNKNOWN"


class PurposeNotAgreedError(ServiceError):
    """The purpose is not one that the city has agreed with the partner."""

    kind = Kind.FORBIDDEN
    reason = "PURPOSE_NOT_AGREED"


class ItemNotAgreedError(ServiceError):
    """A kind of data is not agreed for the purpose."""

    kind = Kind.FORBIDDEN
    reason = "ITEM_NOT_AGREED"


class TooManyOpenRequestsError(ServiceError):
    """The partner has asked this farmer already, and she has not answered yet."""

    kind = Kind.EXHAUSTED
    reason = "CONSENT_REQUESTS_OPEN"


class FairUseExceededError(ServiceError):
    """The partner has had its answers for today."""

    kind = Kind.EXHAUSTED
    reason = "FAIR_USE_EXCEEDED"


class ConsentRequestNotFoundError(ServiceError):
    """No such request, or it is not the caller's business."""

    kind = Kind.NOT_FOUND
    reason = "CONSENT_REQUEST_NOT_FOUND"


class ConsentRequestClosedError(ServiceError):
    """The request was answered before, or not in time."""

    kind = Kind.PRECONDITION
    reason = "CONSENT_REQUEST_CLOSED"


class ConsentTextChangedError(ServiceError):
    """The text that was shown is not the one that the request carries."""

    kind = Kind.PRECONDITION
    reason = "CONSENT_TEXT_CHANGED"


class ItemNotRequestedError(InvalidError):
    """More was ticked than was asked for."""

    reason = "ITEM_NOT_REQUESTED"


class ConsentNotFoundError(ServiceError):
    """No such consent, or it is not the caller's business."""

    kind = Kind.NOT_FOUND
    reason = "CONSENT_NOT_FOUND"


class ConsentRevokedError(ServiceError):
    """The farmer has revoked the consent."""

    kind = Kind.FORBIDDEN
    reason = "CONSENT_REVOKED"


class ConsentExpiredError(ServiceError):
    """The consent's time is over."""

    kind = Kind.FORBIDDEN
    reason = "CONSENT_EXPIRED"


class ConsentUsedUpError(ServiceError):
    """The consent has been used as often as it permits."""

    kind = Kind.FORBIDDEN
    reason = "CONSENT_USED_UP"


class ItemNotConsentedError(ServiceError):
    """The farmer did not tick this kind of data."""

    kind = Kind.FORBIDDEN
    reason = "ITEM_NOT_CONSENTED"


class PurposeNotConsentedError(ServiceError):
    """The consent was given for another purpose."""

    kind = Kind.FORBIDDEN
    reason = "PURPOSE_NOT_CONSENTED"


class PageTokenError(InvalidError):
    """A page token that this list did not give out."""

    reason = "PAGE_TOKEN_INVALID"


class SourceDownError(ServiceError):
    """The data node is down or cannot be reached: neither "no data" nor "not allowed"."""

    kind = Kind.UNAVAILABLE
    reason = "SOURCE_DOWN"


class SourceLateError(ServiceError):
    """The data node did not answer in time."""

    kind = Kind.LATE
    reason = "SOURCE_DOWN"


def closed() -> ConsentRequestClosedError:
    """For a request that is no longer open."""
    return ConsentRequestClosedError("the request was answered before, or its time to answer is over")


def consent_not_found() -> ConsentNotFoundError:
    """One answer for what does not exist and for what is somebody else's."""
    return ConsentNotFoundError("there is no consent of this id for this caller")


def request_not_found() -> ConsentRequestNotFoundError:
    """One answer for what does not exist and for what is somebody else's."""
    return ConsentRequestNotFoundError("there is no consent request of this id for this caller")
