"""Whether the parts of an OFD are still those that a signature covers, and which it does not cover."""

from __future__ import annotations

import hmac
from collections.abc import Collection

from services.eseal.digests import DIGESTS
from services.eseal.ofd.document import Body, Ofd, SignatureFile


def altered_parts(ofd: Ofd, signature: SignatureFile) -> list[str]:
    """The parts that are missing or not what the signature says; all, where its digest proves nothing."""
    digest = DIGESTS.get(signature.check_method.upper())
    return [
        path
        for path, said in signature.references
        if digest is None
        or ofd.package.name_of(path) is None
        or not hmac.compare_digest(digest(ofd.read(path)), said)
    ]


def covers_the_list(signature: SignatureFile, body: Body) -> bool:
    """Whether the signature covers the list of signatures, so that none may follow."""
    return any(path == body.signatures for path, _ in signature.references)


def uncovered_parts(ofd: Ofd, signature: SignatureFile, beside: Collection[str]) -> list[str]:
    """The parts that the signature does not cover, but for its own and those named in `beside`."""
    covered = {path for path, _ in signature.references}
    own = {signature.path, signature.value_path, *beside}
    return [name for name in ofd.package.parts if name not in covered and name not in own]
