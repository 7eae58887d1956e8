"""What clients are answered, member by member as the specification names it (version 2.0, section 11)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Told(BaseModel):
    """An answer, or a part of one. Members that do not apply are left out."""

    model_config = ConfigDict(frozen=True)

    def document(self) -> dict[str, Any]:
        """The JSON object."""
        return self.model_dump(mode="json", exclude_none=True)


class SignAlgorithms(Told):
    """Signature algorithms of the service."""

    algos: list[str]


class SignatureFormats(Told):
    """Forms of signed documents, and for each how its signature stands in it."""

    formats: list[str]
    envelope_properties: list[list[str]]


class ServiceInfo(Told):
    """`info`."""

    specs: str
    name: str
    logo: str
    region: str
    lang: str
    description: str
    authType: list[str]
    oauth2: str
    methods: list[str]
    asynchronousOperationMode: bool = False
    validationInfo: bool = False
    signAlgorithms: SignAlgorithms
    signature_formats: SignatureFormats
    conformance_levels: list[str]


class KeyInfo(Told):
    """The key of a credential."""

    status: Literal["enabled", "disabled"]
    algo: list[str] = Field(description="Object identifiers.")
    len: int = Field(description="Bits.")
    curve: str | None = None


class CertificateInfo(Told):
    """The certificate of a credential, which has none before it is issued."""

    status: Literal["valid", "expired", "revoked", "suspended"] | None = None
    certificates: list[str] | None = Field(
        default=None, description="DER, base64; the credential's own first."
    )
    issuerDN: str | None = None
    serialNumber: str | None = Field(default=None, description="Hexadecimal.")
    subjectDN: str | None = None
    validFrom: str | None = Field(default=None, description="GeneralizedTime, `YYYYMMDDHHmmssZ`.")
    validTo: str | None = None


class Factor(Told):
    """A factor that the holder gives."""

    type: str
    id: str
    format: str
    label: str
    description: str


class AuthInfo(Told):
    """How use of a credential is authorised."""

    mode: Literal["explicit"] = "explicit"
    expression: str | None = None
    objects: list[Factor] | None = None


class CredentialInfo(Told):
    """`credentials/info`."""

    credentialID: str | None = None
    description: str
    key: KeyInfo
    cert: CertificateInfo
    auth: AuthInfo
    SCAL: Literal["2"] = "2"
    multisign: int
    lang: str = "zh-CN"


class CredentialList(Told):
    """`credentials/list`."""

    credentialIDs: list[str]
    credentialInfos: list[CredentialInfo] | None = None
    onlyValid: bool | None = None
    nextPageToken: str | None = Field(default=None, description="As in version 1; left out on the last page.")


class Authorised(Told):
    """`credentials/authorize`."""

    SAD: str
    expiresIn: int = Field(description="Seconds.")


class Signatures(Told):
    """`signatures/signHash`."""

    signatures: list[str] = Field(
        description="In the order of the hashes: ECDSA as DER, RSA by PKCS #1 v1.5."
    )


class SignedDocuments(Told):
    """`signatures/signDoc`."""

    DocumentWithSignature: list[str] | None = Field(
        default=None, description="PDFs, in the order of the documents."
    )
    SignatureObject: list[str] | None = Field(
        default=None, description="CMS, DER, in the order of the digests."
    )


class TimestampToken(Told):
    """`signatures/timestamp`."""

    timestamp: str = Field(description="RFC 3161, DER, base64.")
