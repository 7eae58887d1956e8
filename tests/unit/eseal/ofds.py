"""OFD documents, and a seal with SM2 to put on them, made up for the tests."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from cli.letter_ofd import make_letter_ofd
from services.eseal.domain import Algorithm, Place
from services.eseal.gm.ses_making import SealFace, seal_info, seal_of, seal_signature
from services.eseal.gm.sm2 import Sm2Key, load_sm2
from services.eseal.gm.sm2_certificate import Sm2Authority
from services.eseal.ofd import inspection as ofd_inspection
from services.eseal.ofd import sealing as ofd_sealing
from services.eseal.sealing.placing import Placing
from services.eseal.sealing.prepared_ofd import PreparedOfd
from services.eseal.verifying.finding import Finding
from tests.unit.eseal.documents import KIND, OFFICE, OFFICE_CODE

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
PNG = b"\x89PNG\r\n\x1a\n not much of a picture"
SPACE = 'xmlns:ofd="http://www.ofdspec.org/2016"'


def package(parts: Mapping[str, bytes | str], *, stored: bool = False) -> bytes:
    """A ZIP package of these parts."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as made:
        for name, content in parts.items():
            made.writestr(zipfile.ZipInfo(name), content, made.compression)
    return out.getvalue()


def unpacked(document: bytes) -> dict[str, bytes]:
    """The parts of a package, by another reader than ours."""
    with zipfile.ZipFile(BytesIO(document)) as read:
        assert read.testzip() is None
        return {name: read.read(name) for name in read.namelist()}


def plain_parts(pages: int = 1) -> dict[str, str]:
    """The parts of a plain document."""
    listed = "".join(
        f'<ofd:Page ID="{10 + index}" BaseLoc="Pages/Page_{index}/Content.xml"/>' for index in range(pages)
    )
    parts = {
        "OFD.xml": f'<ofd:OFD {SPACE} DocType="OFD" Version="1.0"><ofd:DocBody><ofd:DocInfo><ofd:DocID>1'
        "</ofd:DocID></ofd:DocInfo><ofd:DocRoot>Doc_0/Document.xml</ofd:DocRoot></ofd:DocBody></ofd:OFD>",
        "Doc_0/Document.xml": f"<ofd:Document {SPACE}><ofd:CommonData><ofd:MaxUnitID>99</ofd:MaxUnitID>"
        "<ofd:PageArea><ofd:PhysicalBox>0 0 210 297</ofd:PhysicalBox></ofd:PageArea></ofd:CommonData>"
        f"<ofd:Pages>{listed}</ofd:Pages></ofd:Document>",
    }
    for index in range(pages):
        parts[f"Doc_0/Pages/Page_{index}/Content.xml"] = (
            f'<ofd:Page {SPACE}><ofd:Content><ofd:Layer ID="{20 + index}"/></ofd:Content></ofd:Page>'
        )
    return parts


def plain_ofd(pages: int = 1) -> bytes:
    """A plain document."""
    return package(plain_parts(pages))


@lru_cache(maxsize=1)
def letter_ofd() -> bytes:
    """The demo's letter."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "letter.ofd"
        make_letter_ofd(path, OFFICE, "林小满", "武江区小满小吃店", "2026-0001", date(2026, 3, 2))
        return path.read_bytes()


@dataclass(frozen=True)
class Sealer:
    """A seal, the key that puts it, and the authority that vouches for both its certificates."""

    authority: Sm2Authority
    key: Sm2Key
    certificate: bytes
    maker_key: Sm2Key
    seal: bytes
    algorithm: Algorithm = Algorithm.SM2_SM3
    is_quick: bool = False
    in_device: bool = False
    chain: Sequence[bytes] = ()

    async def sign(self, data: bytes) -> bytes:
        return self.key.sign(data)

    async def put(
        self, document: bytes, place: Placing | None = None, *, moment: datetime = NOW, seal: bytes = b""
    ) -> bytes:
        """The document with the seal on it."""
        used = seal or self.seal
        laid_out = ofd_sealing.prepare(
            document, place or Place(), sm2=load_sm2(), seal=used, size_mm=(42, 42), moment=moment
        )
        value = await seal_signature(
            self, seal=used, data_hash=laid_out.data_hash, path=laid_out.path, moment=moment
        )
        return laid_out.filled(value).applied_to(document)

    async def finish(self, prepared: PreparedOfd) -> bytes:
        """The document that is laid out for the seal, with it."""
        value = await seal_signature(
            self, seal=self.seal, data_hash=prepared.data_hash, path=prepared.path, moment=prepared.moment
        )
        return prepared.filled(value).applied_to(prepared.original)


def sealer(
    authority: Sm2Authority | None = None,
    *,
    name: str = OFFICE + KIND,
    valid: tuple[datetime, datetime] = (NOW - DAY, NOW + 300 * DAY),
    authorised: bytes | None = None,
    certified: tuple[datetime, datetime] = (NOW - DAY, NOW + 300 * DAY),
) -> Sealer:
    """A seal of an authority; `authorised` is the certificate it names, if not its own signer's."""
    sm2 = load_sm2()
    own = authority or Sm2Authority.make(
        sm2, "a seal authority", valid_from=NOW - 100 * DAY, valid_until=NOW + 3650 * DAY
    )
    key, maker = sm2.generate(), sm2.generate()

    def issue(for_key: Sm2Key, said: str) -> bytes:
        return own.issue(
            for_key,
            seal_name=said,
            owner_code=OFFICE_CODE,
            owner_name=OFFICE,
            valid_from=certified[0],
            valid_until=certified[1],
        )

    certificate, maker_certificate = issue(key, name), issue(maker, "a maker of seals")
    info = seal_info(
        seal_id="4402990000001",
        name=name,
        certificate=authorised or certificate,
        face=SealFace("PNG", PNG, 42, 42),
        created_at=valid[0],
        valid_from=valid[0],
        valid_until=valid[1],
    )
    seal = seal_of(info, maker_certificate=maker_certificate, signature=maker.sign(info))
    return Sealer(own, key, certificate, maker, seal)


def inspected(document: bytes, believed: Sequence[Sealer], *, moment: datetime = NOW) -> list[Finding]:
    """What the check finds, where these sealers' authorities are believed."""
    roots = [one.authority.certificate for one in believed]
    return ofd_inspection.inspect(document, sm2=load_sm2(), roots=roots, moment=moment)
