"""What clients send, field by field as the specification names it (version 2.0, section 11)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    field_validator,
)

from core.errors import FieldFault, InvalidError

MOST_FAULTS = 20
_NULL_PARAMETERS = frozenset({None, "", "BQA="})
"""Of `signAlgoParams`: absent, or the DER of NULL."""


def _decoded(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("must be a string, base64")
    try:
        return base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        raise ValueError("must be base64 (RFC 4648 section 4)") from None


Base64 = Annotated[
    bytes, BeforeValidator(_decoded), WithJsonSchema({"type": "string", "contentEncoding": "base64"})
]
Certificates = Literal["none", "single", "chain"]
CredentialId = Annotated[str, Field(description="Opaque id of a credential.", max_length=64)]
Sad = Annotated[str, Field(description="What `credentials/authorize` has answered.", max_length=128)]
Digests = Annotated[list[Base64], Field(min_length=1, max_length=100)]
DIGESTS = AliasChoices("hashes", "hash")
DIGEST_ALGORITHM = AliasChoices("hashAlgorithmOID", "hashAlgo")
"""Version 1 has the second names, and clients of it send them to version 2 too."""


class Form(BaseModel):
    """A request's body. Members that are not known are passed over, as the specification wants it."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, hide_input_in_errors=True)


class InfoForm(Form):
    """`info`: nothing has to be said."""

    lang: str | None = None


class CredentialsListForm(Form):
    """`credentials/list`."""

    userID: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_.@-]{0,64}$",
        description="The holder's account; the credentials of every holder where it is left out.",
    )
    credentialInfo: bool = False
    certificates: Certificates = "single"
    certInfo: bool = False
    authInfo: bool = False
    onlyValid: bool = Field(default=False, description="Only those that may sign now.")
    maxResults: int = Field(default=100, ge=1, le=100, description="As in version 1.")
    pageToken: str | None = Field(
        default=None, max_length=64, description="`nextPageToken` of the page before."
    )


class CredentialsInfoForm(Form):
    """`credentials/info`."""

    credentialID: CredentialId
    certificates: Certificates = "single"
    certInfo: bool = False
    authInfo: bool = False


class AuthObject(Form):
    """One factor."""

    id: str = Field(max_length=64, description="`PIN` or `DEVICE`.")
    value: str = Field(max_length=64, repr=False)


class AuthorizeForm(Form):
    """`credentials/authorize`: always for certain digests (SCAL 2)."""

    credentialID: CredentialId
    numSignatures: int = Field(ge=1, le=100, description="How many hashes there are.")
    hashes: Digests = Field(
        validation_alias=DIGESTS,
        description="What may be signed, each once for each time that it stands here: a digest to be"
        " signed, or the SHA-256 of a document.",
    )
    hashAlgorithmOID: str | None = Field(default=None, validation_alias=DIGEST_ALGORITHM)
    authData: list[AuthObject] = Field(
        max_length=8, description="Both factors: `PIN`, and `DEVICE`, the device's secret."
    )


class _Signing(Form):
    signAlgo: str = Field(description="One of `key/algo` of the credential.")
    signAlgoParams: str | None = Field(default=None, description="None of the algorithms has any.")

    @field_validator("signAlgoParams")
    @classmethod
    def _are_none(cls, value: str | None) -> str | None:
        if value not in _NULL_PARAMETERS:
            raise ValueError("none of the algorithms has parameters")
        return value


class SignHashForm(_Signing):
    """`signatures/signHash`."""

    credentialID: CredentialId
    SAD: Sad = Field(repr=False)
    hashes: Digests = Field(validation_alias=DIGESTS)
    hashAlgorithmOID: str | None = Field(default=None, validation_alias=DIGEST_ALGORITHM)
    operationMode: Literal["S"] = "S"


class _Sealing(_Signing):
    signature_format: Literal["P"] = Field(description="PAdES.")
    conformance_level: str = Field(default="AdES-B-B", description="`AdES-B-B`.")
    signed_envelope_property: Literal["Revision"] = Field(
        default="Revision", description="An approval signature, after which others may follow."
    )
    signed_props: list[object] = Field(default=[], max_length=0)

    @field_validator("conformance_level")
    @classmethod
    def _is_offered(cls, value: str) -> str:
        if value.lower() not in {"ades-b-b", "ades-b"}:
            raise ValueError("must be AdES-B-B")
        return value


class DocumentForm(_Sealing):
    """A PDF to be signed."""

    document: Base64 = Field(repr=False)


class DocumentDigestsForm(_Sealing):
    """Digests of PDFs that the client has laid out itself."""

    hashes: Digests = Field(validation_alias=DIGESTS)
    hashAlgorithmOID: str | None = Field(default=None, validation_alias=DIGEST_ALGORITHM)


class SignDocForm(Form):
    """`signatures/signDoc`: documents or digests of documents."""

    credentialID: CredentialId
    SAD: Sad = Field(repr=False)
    documents: list[DocumentForm] | None = Field(
        default=None, max_length=20, description="Of 4 MiB together at most."
    )
    documentDigests: list[DocumentDigestsForm] | None = Field(default=None, max_length=100)
    operationMode: Literal["S"] = "S"


class TimestampForm(Form):
    """`signatures/timestamp`."""

    hash: Base64
    hashAlgo: str
    nonce: str | None = Field(default=None, pattern=r"^[0-9A-Fa-f]{1,64}$", description="Hexadecimal.")


F = TypeVar("F", bound=Form)


def read(body: Mapping[str, object], form: type[F]) -> F:
    """What a body says. Raises InvalidError naming each field at fault; never what stands in it."""
    try:
        return form.model_validate(body)
    except ValidationError as failure:
        found = failure.errors(include_url=False, include_input=False, include_context=False)
        faults = [
            FieldFault(_place(one["loc"]), one["type"], _message(one["msg"])) for one in found[:MOST_FAULTS]
        ]
        raise InvalidError("the request is malformed", faults=faults) from None


def _place(loc: tuple[int | str, ...]) -> str:
    """Such as `documents[0].signAlgo`."""
    names = "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in loc)
    return names.removeprefix(".") or "body"


def _message(text: str) -> str:
    text = text.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]
