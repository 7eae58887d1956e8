"""The ASN.1 of seals and their signatures (GB/T 38540-2020, GM/T 0031-2014, GM/T 0031-2025), for reading."""

from __future__ import annotations

from asn1crypto import core, x509


class Header(core.Sequence):  # type: ignore[misc]  # the library has no types
    """SES_Header."""

    _fields = [("id", core.IA5String), ("version", core.Integer), ("vid", core.IA5String)]  # noqa: RUF012


class Certificates(core.SequenceOf):  # type: ignore[misc]
    """Those who may use a seal, by their certificates."""

    _child_spec = core.OctetString


class CertDigest(core.Sequence):  # type: ignore[misc]
    """CertDigestObj."""

    _fields = [("type", core.PrintableString), ("value", core.OctetString)]  # noqa: RUF012


class CertDigests(core.SequenceOf):  # type: ignore[misc]
    """Those who may use a seal, by digests of their certificates."""

    _child_spec = CertDigest


_DATES = [("create_date", x509.Time), ("valid_start", x509.Time), ("valid_end", x509.Time)]


class Property(core.Sequence):  # type: ignore[misc]
    """SES_ESPropertyInfo."""

    _fields = [  # noqa: RUF012
        ("type", core.Integer),
        ("name", core.UTF8String),
        ("cert_list_type", core.Integer),
        ("cert_list", core.Any),
        *_DATES,
    ]


class PropertyV1(core.Sequence):  # type: ignore[misc]
    """The same in version 1, which lists certificates alone."""

    _fields = [("type", core.Integer), ("name", core.UTF8String), ("cert_list", core.Any), *_DATES]  # noqa: RUF012


class Picture(core.Sequence):  # type: ignore[misc]
    """SES_ESPictrueInfo (so spelled in the standard)."""

    _fields = [  # noqa: RUF012
        ("type", core.IA5String),
        ("data", core.OctetString),
        ("width", core.Integer),
        ("height", core.Integer),
    ]


class SealInfo(core.Sequence):  # type: ignore[misc]
    """SES_SealInfo."""

    _fields = [  # noqa: RUF012
        ("header", Header),
        ("es_id", core.IA5String),
        ("property", Property),
        ("picture", Picture),
        ("ext_datas", core.Any, {"optional": True}),
    ]


class SealInfoV1(SealInfo):
    """The same in version 1."""

    _fields = [  # noqa: RUF012
        (name, PropertyV1 if name == "property" else kind, *rest) for name, kind, *rest in SealInfo._fields
    ]


class SesSeal(core.Sequence):  # type: ignore[misc]
    """SESeal."""

    _fields = [  # noqa: RUF012
        ("info", SealInfo),
        ("cert", core.OctetString),
        ("algorithm", core.ObjectIdentifier),
        ("signature", core.OctetBitString),
        ("timestamp", core.Any, {"optional": True}),
    ]


class SesSealV1(core.Sequence):  # type: ignore[misc]
    """The same in version 1."""

    class SignInfo(core.Sequence):  # type: ignore[misc]
        _fields = [  # noqa: RUF012
            ("cert", core.OctetString),
            ("algorithm", core.ObjectIdentifier),
            ("signature", core.OctetBitString),
        ]

    _fields = [("info", SealInfoV1), ("sign_info", SignInfo)]  # noqa: RUF012


class ToSign(core.Sequence):  # type: ignore[misc]
    """TBS_Sign."""

    _fields = [  # noqa: RUF012
        ("version", core.Integer),
        ("seal", core.Any),
        ("time", core.GeneralizedTime),
        ("data_hash", core.OctetBitString),
        ("property_info", core.IA5String),
        ("ext_datas", core.Any, {"optional": True}),
    ]


class Timestamp(core.Choice):  # type: ignore[misc]
    """A timestamp token over a signature value; some products leave the tag out."""

    _alternatives = [  # noqa: RUF012
        ("tagged", core.OctetBitString, {"explicit": 0}),
        ("plain", core.OctetBitString),
    ]


class SesSignature(core.Sequence):  # type: ignore[misc]
    """SES_Signature."""

    _fields = [  # noqa: RUF012
        ("to_sign", ToSign),
        ("cert", core.OctetString),
        ("algorithm", core.ObjectIdentifier),
        ("signature", core.OctetBitString),
        ("timestamp", Timestamp, {"optional": True}),
    ]


class ToSignV1(core.Sequence):  # type: ignore[misc]
    """TBS_Sign in version 1."""

    _fields = [  # noqa: RUF012
        ("version", core.Integer),
        ("seal", core.Any),
        ("time", core.OctetBitString),
        ("data_hash", core.OctetBitString),
        ("property_info", core.IA5String),
        ("cert", core.OctetString),
        ("algorithm", core.ObjectIdentifier),
    ]


class SesSignatureV1(core.Sequence):  # type: ignore[misc]
    """SES_Signature in version 1."""

    _fields = [("to_sign", ToSignV1), ("signature", core.OctetBitString)]  # noqa: RUF012
