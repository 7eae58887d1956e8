"""One session on a token (PKCS #11), in a process of its own: a vendor's library may hang or crash at will.

Started by `token.py` as `python -m services.eseal.keys.token_worker`; speaks the frames of `children.py`. The
first one names the library, the token and the file with its PIN. It ends itself after anything that may have
broken the session: whoever starts it anew has a new session, also after the token was reset or pulled.

Keys are found by CKA_ID, and used only where the token says that they never leave it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pkcs11
from asn1crypto import core, keys
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11.util.ec import encode_ec_public_key, encode_ecdsa_signature, encode_named_curve_parameters
from pkcs11.util.rsa import encode_rsa_public_key

from services.eseal.domain import SUITES, Algorithm
from services.eseal.frames import Json, frame_lengths, write_frame
from services.eseal.keys.undumped import forbid_dumps

_CURVES = {Algorithm.ECDSA_P256_SHA256: "secp256r1", Algorithm.ECDSA_P384_SHA384: "secp384r1"}
_RSA_BITS = {Algorithm.RSA_2048_SHA256: 2048, Algorithm.RSA_3072_SHA256: 3072}
_EDWARDS = core.PrintableString("edwards25519").dump()
"""CKA_EC_PARAMS of Ed25519 (PKCS #11 3.0, curveName)."""
_KEY_TYPES = {
    **dict.fromkeys(_CURVES, KeyType.EC),
    **dict.fromkeys(_RSA_BITS, KeyType.RSA),
    Algorithm.ED25519: KeyType.EC_EDWARDS,
}
_NEVER_LEAVES = {Attribute.PRIVATE: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
_SIGNS = MechanismFlag.SIGN | MechanismFlag.VERIFY

_PIN_REFUSED = (
    pkcs11.PinIncorrect,
    pkcs11.PinLocked,
    pkcs11.PinExpired,
    pkcs11.PinInvalid,
    pkcs11.PinLenRange,
    pkcs11.UserPinNotInitialized,
)


class RefusedError(Exception):
    """Why a job is not done, while the session is as good as before."""


class Desk:
    """Signs, makes and destroys keys by one session."""

    def __init__(self, session: pkcs11.Session) -> None:
        self._session = session
        self._found: dict[bytes, Any] = {}

    def sign(self, key_id: bytes, algorithm: Algorithm, data: bytes) -> bytes:
        """The signature over the data; ECDSA as DER."""
        key = self._key(key_id, algorithm)
        if algorithm in _CURVES:
            digest = hashlib.new(SUITES[algorithm].digest, data).digest()
            return encode_ecdsa_signature(key.sign(digest, mechanism=Mechanism.ECDSA))
        if algorithm in _RSA_BITS:
            return bytes(key.sign(data, mechanism=Mechanism.SHA256_RSA_PKCS))
        return bytes(key.sign(data, mechanism=Mechanism.EDDSA))

    def generate(self, key_id: bytes, algorithm: Algorithm, _data: bytes) -> bytes:
        """The public half (SubjectPublicKeyInfo, DER) of a new key, made in the token."""
        if list(self._session.get_objects({Attribute.ID: key_id})):
            raise RefusedError("the token has a key of this id already")
        options: dict[str, Any] = {
            "id": key_id,
            "label": f"seal {key_id.hex()}",
            "store": True,
            "capabilities": _SIGNS,
            "private_template": _NEVER_LEAVES,
        }
        if algorithm in _RSA_BITS:
            public, _ = self._session.generate_keypair(KeyType.RSA, _RSA_BITS[algorithm], **options)
            whole = keys.PublicKeyInfo.wrap(keys.RSAPublicKey.load(encode_rsa_public_key(public)), "rsa")
            return bytes(whole.dump())
        if algorithm in _CURVES:
            curve = encode_named_curve_parameters(_CURVES[algorithm])
            public, _ = self._parameters(KeyType.EC, curve).generate_keypair(**options)
            return encode_ec_public_key(public)
        public, _ = self._parameters(KeyType.EC_EDWARDS, _EDWARDS).generate_keypair(
            mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN, **options
        )
        point = core.OctetString.load(public[Attribute.EC_POINT]).native
        info = keys.PublicKeyInfo({"algorithm": {"algorithm": "ed25519"}, "public_key": point})
        return bytes(info.dump())

    def destroy(self, key_id: bytes, _algorithm: Algorithm, _data: bytes) -> bytes:
        """Both halves are gone when this returns; it matters not whether they were there."""
        self._found.pop(key_id, None)
        for found in list(self._session.get_objects({Attribute.ID: key_id})):
            found.destroy()
        return b""

    def _parameters(self, kind: KeyType, value: bytes) -> pkcs11.DomainParameters:
        return self._session.create_domain_parameters(kind, {Attribute.EC_PARAMS: value}, local=True)

    def _key(self, key_id: bytes, algorithm: Algorithm) -> Any:
        key = self._found.get(key_id)
        if key is None:
            try:
                key = self._session.get_key(object_class=ObjectClass.PRIVATE_KEY, id=key_id)
            except pkcs11.NoSuchKey:
                raise RefusedError("the token holds no such key") from None
            except pkcs11.MultipleObjectsReturned:
                raise RefusedError("the token holds several keys of this id") from None
            if key[Attribute.EXTRACTABLE] or not key[Attribute.SENSITIVE]:
                raise RefusedError("the token would give the key away: it is extractable, or not sensitive")
            self._found[key_id] = key
        if key[Attribute.KEY_TYPE] != _KEY_TYPES[algorithm]:
            raise RefusedError("the token's key is of another kind than it is kept under")
        return key


def _open(head: Json) -> Desk:
    """Raises RefusedError, and PKCS11Error where the token does not do as it should."""
    try:
        pin = Path(str(head["pin_file"])).read_text(encoding="utf-8").strip()
    except OSError as failure:
        raise RefusedError(f"the file with the token's PIN cannot be read: {failure.strerror}") from None
    try:
        token = pkcs11.lib(str(head["module"])).get_token(token_label=str(head["label"]))
        return Desk(token.open(rw=bool(head["writing"]), user_pin=pin))
    except pkcs11.NoSuchToken:
        raise RefusedError("no token of this label is there") from None
    except pkcs11.MultipleTokensReturned:
        raise RefusedError("several tokens have this label") from None


def _do(desk: Desk, head: Json, blobs: list[bytes]) -> list[bytes]:
    jobs: dict[str, Callable[[bytes, Algorithm, bytes], bytes]] = {
        "sign": desk.sign,
        "generate": desk.generate,
        "destroy": desk.destroy,
    }
    algorithm = Algorithm(str(head["algorithm"]))
    if algorithm not in _KEY_TYPES:
        raise RefusedError("PKCS #11 names no mechanism for this algorithm")
    return [jobs[str(head["job"])](bytes.fromhex(str(head["key"])), algorithm, blobs[0])]


def _read(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise EOFError
    return data


def _job(stream: BinaryIO) -> tuple[Json, list[bytes]]:
    head: Json = json.loads(_read(stream, int.from_bytes(_read(stream, 4), "big")))
    return head, [_read(stream, length) for length in frame_lengths(head)]


def main() -> None:
    """Serves jobs until the parent closes the pipe, or until the session may be broken."""
    forbid_dumps()
    jobs = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # Nothing that a library prints may get between the frames.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def answer(head: Json, blobs: list[bytes]) -> None:
        answers.write(b"".join(write_frame(head, blobs)))
        answers.flush()

    try:
        desk = _open(_job(jobs)[0])
        answer({"ready": True}, [])
        while True:
            head, blobs = _job(jobs)
            try:
                answer({}, _do(desk, head, blobs))
            except RefusedError as refusal:
                answer({"refused": str(refusal)}, [])
    except EOFError:
        pass
    except RefusedError as refusal:
        answer({"refused": str(refusal)}, [])
    except _PIN_REFUSED as failure:
        answer({"pin": type(failure).__name__}, [])
    except (pkcs11.PKCS11Error, OSError) as failure:
        # By the kind alone: a library's own words may hold anything.
        answer({"broken": type(failure).__name__}, [])
    answers.close()
    # Not through the library's own end, which may wait for a token that is gone.
    os._exit(0)


if __name__ == "__main__":
    main()
