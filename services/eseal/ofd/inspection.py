"""Checks every seal in an OFD, whoever put it, against the configured authorities. Runs in a confined worker.

For each signature: each part's digest, what is not covered, the digest of Signature.xml, the signature value,
the signer's chain, and the seal itself: its maker's signature and chain, its validity, whom it is for, and
whether Seal.esl is the same. Nothing that the file names is fetched, run or trusted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from asn1crypto import x509

from services.eseal.digests import DIGESTS
from services.eseal.distinguished import distinguished_name
from services.eseal.gm.ses import (
    STANDARDS,
    SealSignature,
    SealStructure,
    SesError,
    Signed,
    read_seal,
    read_signature,
)
from services.eseal.gm.signed import STANDARD, PlainSignature, read_plain
from services.eseal.gm.sm2 import Sm2, der_of, sm3
from services.eseal.gm.sm2_certificate import SM2_WITH_SM3, Signer
from services.eseal.ofd.digests import altered_parts, covers_the_list, uncovered_parts
from services.eseal.ofd.document import SEAL, Body, Listed, Ofd, SignatureFile
from services.eseal.ofd.proofs import certificates_of, stamp_on, weaknesses
from services.eseal.refusals import DocumentError, DocumentMalformedError
from services.eseal.verifying.finding import Finding, Modification, may_be_true, unreadable


@dataclass(frozen=True)
class Belief:
    """Whom to believe, and when."""

    sm2: Sm2
    authorities: Sequence[Signer]
    moment: datetime
    time_authorities: Sequence[x509.Certificate] = ()


@dataclass(frozen=True)
class Put:
    """A signature of the file, read as far as it can be."""

    listed: Listed
    file: SignatureFile | None
    value: bytes
    said: SealSignature | PlainSignature | None


def inspect(
    document: bytes,
    *,
    sm2: Sm2,
    roots: Sequence[bytes],
    moment: datetime,
    time_roots: Sequence[bytes] = (),
) -> list[Finding]:
    """What the file shows of each seal in it, in the order of its list. Empty where it bears none.

    `roots` are DER certificates of SM2 authorities, `time_roots` of timestamp authorities.
    Errors: DOCUMENT_MALFORMED, DOCUMENT_TOO_LARGE.
    """
    ofd = Ofd(document)
    authorities = [Signer.load(sm2, root) for root in roots]
    belief = Belief(sm2, authorities, moment, [x509.Certificate.load(root) for root in time_roots])
    return [finding for body in ofd.bodies for finding in _of_body(ofd, body, belief)]


def _of_body(ofd: Ofd, body: Body, belief: Belief) -> list[Finding]:
    puts = [read_put(ofd, listed) for listed in ofd.listed(body)]
    return [_checked(ofd, body, put, puts, belief) for put in puts]


def _checked(ofd: Ofd, body: Body, put: Put, puts: Sequence[Put], belief: Belief) -> Finding:
    try:
        return _finding(ofd, body, put, puts, belief)
    except DocumentError:
        raise
    except Exception:  # a reader may raise anything at all on a file that lies about itself
        return _unread(put)


def read_put(ofd: Ofd, listed: Listed) -> Put:
    """A signature of the file. What cannot be read still shows: a seal that proves nothing."""
    try:
        file = ofd.signature(listed)
        value = ofd.read(file.value_path)
    except DocumentMalformedError:
        return Put(listed, None, b"", None)
    try:
        return Put(listed, file, value, read_signature(value) if listed.kind == SEAL else read_plain(value))
    except SesError:
        return Put(listed, file, value, None)


def _finding(ofd: Ofd, body: Body, put: Put, puts: Sequence[Put], belief: Belief) -> Finding:
    file, said = put.file, put.said
    try:
        signer = Signer.load(belief.sm2, said.signer.certificate) if said else None
    except ValueError:
        signer = None
    if file is None or said is None or signer is None:
        return _unread(put)
    altered = altered_parts(ofd, file)
    later = puts[puts.index(put) + 1 :]
    sealed = said if isinstance(said, SealSignature) else None
    same_seal = sealed is None or _same_seal(ofd, file, sealed.seal)
    uncovered = left_out(ofd, body, put, puts)
    locked = covers_the_list(file, body)
    claimed = sealed.moment if sealed else None
    then = claimed if claimed and claimed <= belief.moment else None
    authority = signer.vouched_by(belief.authorities, belief.moment)
    trusted_now = authority is not None
    authority_then = signer.vouched_by(belief.authorities, then) if then else None
    stamp = stamp_on(sealed, belief.time_authorities, belief.moment) if sealed else None
    authority_stamped = signer.vouched_by(belief.authorities, stamp.moment) if stamp else None
    vouching = authority or authority_stamped or authority_then
    genuine_now = sealed is None or _is_genuine(sealed, belief.moment, belief)
    return Finding(
        field_name=put.listed.path,
        signer=distinguished_name(signer.subject),
        certificate_sha256=hashlib.sha256(signer.der).hexdigest(),
        cms_sha256=hashlib.sha256(put.value).digest(),
        signed_at=claimed,
        intact=not altered and _is_over(ofd, file, said),
        valid=_is_by(signer, file, said),
        trusted_now=trusted_now,
        trusted_then=trusted_now or authority_then is not None,
        permitted=not uncovered and not (locked and later),
        covers_whole_document=not uncovered and not later,
        modification=_modification(uncovered, later),
        algorithm="sm3_sm2" if said.signer.algorithm == SM2_WITH_SM3 else said.signer.algorithm,
        structure=STANDARDS.get(sealed.seal.version, f"version {sealed.seal.version}")
        if sealed
        else STANDARD,
        bears_seal=sealed is not None,
        genuine_now=same_seal and genuine_now,
        genuine_then=same_seal
        and (genuine_now or (sealed is not None and then is not None and _is_genuine(sealed, then, belief))),
        altered_parts=tuple(altered),
        genuine_stamped=same_seal
        and sealed is not None
        and stamp is not None
        and _is_genuine(sealed, stamp.moment, belief),
        uncovered_parts=tuple(uncovered),
        stamped_at=stamp.moment if stamp else None,
        stamped_by=stamp.authority if stamp else "",
        trusted_stamped=authority_stamped is not None,
        chain=tuple(distinguished_name(one.subject) for one in (signer, vouching)) if vouching else (),
        certificates=certificates_of(signer.der, sealed),
        weaknesses=weaknesses(file, said),
        may_be_true=may_be_true(claimed, signer.certificate.not_valid_before, belief.moment),
    )


def _modification(uncovered: Sequence[str], later: Sequence[Put]) -> Modification:
    """What came after the seal, in the words that are said of a PDF: further seals are filled-in fields."""
    if uncovered:
        return Modification.OTHER
    return Modification.FORM_FILLING if later else Modification.NONE


def left_out(ofd: Ofd, body: Body, put: Put, puts: Sequence[Put]) -> list[str]:
    """The parts that a signature does not cover, but for the list and what signatures consist of."""
    if put.file is None:
        return []
    beside = {body.signatures, *_own_parts(ofd, [it for it in puts if it is not put])}
    if (
        isinstance(put.said, SealSignature)
        and put.file.seal_path
        and _same_seal(ofd, put.file, put.said.seal)
    ):
        beside.add(put.file.seal_path)
    return uncovered_parts(ofd, put.file, beside)


def _own_parts(ofd: Ofd, others: Sequence[Put]) -> set[str]:
    """The parts that other signatures consist of. Only what is such a part in truth: a page is none."""
    own: set[str] = set()
    for put in others:
        if put.file is None or put.said is None:
            continue
        own |= {put.file.path, put.file.value_path}
        if isinstance(put.said, PlainSignature):
            continue
        if put.file.seal_path and _same_seal(ofd, put.file, put.said.seal):
            own.add(put.file.seal_path)
    return own


def is_whole(ofd: Ofd, put: Put, sm2: Sm2) -> bool:
    """Whether what a signature covers is what was signed, and by the certificate in it; nothing of trust."""
    if put.file is None or put.said is None:
        return False
    try:
        signer = Signer.load(sm2, put.said.signer.certificate)
        return (
            not altered_parts(ofd, put.file)
            and _is_over(ofd, put.file, put.said)
            and _is_by(signer, put.file, put.said)
        )
    except ValueError:
        return False


def _is_over(ofd: Ofd, file: SignatureFile, said: SealSignature | PlainSignature) -> bool:
    """Whether a signature is over this Signature.xml, and that covers something."""
    return bool(file.references) and sm3(ofd.read(file.path)) == said.data_hash


def _is_by(signer: Signer, file: SignatureFile, said: SealSignature | PlainSignature) -> bool:
    """Whether a signature is its signer's, made for this Signature.xml."""
    return holds(said.signer, signer) and (isinstance(said, PlainSignature) or _names_its_file(said, file))


def holds(signed: Signed, by: Signer) -> bool:
    """Whether a signature is this signer's over what it covers.

    GM/T 0009 asks for DER; some products write r and s alone, which says the same.
    """
    value = signed.value
    if len(value) == 64:
        try:
            value = der_of(value)
        except ValueError:
            return False
    return signed.algorithm == SM2_WITH_SM3 and by.key.is_signed(signed.content, value)


def _names_its_file(said: SealSignature, file: SignatureFile) -> bool:
    """Whether the signature was made for this very Signature.xml; its path may begin with a slash or not."""
    return said.property_info.lstrip("/") == file.path and file.check_method.upper() in DIGESTS


def _is_genuine(said: SealSignature, moment: datetime, belief: Belief) -> bool:
    """Whether the seal was then its maker's, vouched for, in its validity, and this signer's."""
    seal = said.seal
    try:
        maker = Signer.load(belief.sm2, seal.maker.certificate)
    except ValueError:
        return False
    return (
        said.version == seal.version
        and seal.version in STANDARDS
        and seal.is_for(said.signer.certificate)
        and seal.valid_from <= moment <= seal.valid_until
        and holds(seal.maker, maker)
        and maker.is_trusted(belief.authorities, moment)
    )


def _same_seal(ofd: Ofd, file: SignatureFile, seal: SealStructure) -> bool:
    """Whether Seal.esl, where the signature names one, is the seal that was signed with."""
    if not file.seal_path:
        return True
    if ofd.package.name_of(file.seal_path) is None:
        return False
    content = ofd.read(file.seal_path)
    try:
        return content == seal.der and read_seal(content) == seal
    except (SesError, DocumentError):
        return False


def _unread(put: Put) -> Finding:
    is_seal = put.listed.kind == SEAL
    return unreadable(put.listed.path, structure="" if is_seal else STANDARD, bears_seal=is_seal)
