"""Fills templates: finds them, keeps what is laid out ready, and makes the data that is attached."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib.resources.abc import Traversable

import orjson

from services.eseal.domain import Format
from services.eseal.photo import Photo
from services.eseal.refusals import (
    DocumentError,
    TemplateNotFoundError,
    VerificationAddressMissingError,
)
from services.eseal.sealing.filling import Filled, FormOrder, FormWish, PhotoReader, Plates
from services.eseal.sealing.prepared import PreparedDocument, RunningDigest
from services.eseal.sealing.prepared_ofd import PreparedOfd
from services.eseal.template import Template, picture_fault
from services.eseal.templates.face import Face, serif
from services.eseal.templates.loading import Key, load_templates
from services.eseal.templates.ofd import OfdPlate, make_ofd_plate
from services.eseal.templates.pdf import make_plate
from services.eseal.templates.pdf_document import PdfPlate
from services.eseal.templates.qr import Codes, codes_for

_KEPT = 64
"""Plates kept in memory; one is 50 to 100 kB."""
_SET_AT_ONCE = 2000
"""The same of characters that are set: some pages."""
_DOTS_PER_MM = 12
"""How fine a picture is in a document: about 300 dots an inch."""
_DRAWN_AT_ONCE = 8
"""Glyphs that may be taken out of the font on the event loop; more of them hold it up."""


@dataclass(frozen=True)
class Ready:
    """A plate, SHA-256 that has taken it in, and what that says."""

    plate: PdfPlate | OfdPlate
    taken_in: RunningDigest
    sha256: bytes


class TemplateFiller:
    """Templates ready to be filled. `open` reads them; `address` is what verification links begin with."""

    def __init__(self, address: str, plates: Plates, folder: Traversable | None = None) -> None:
        self._address = address
        self._plates = plates
        self._folder = folder
        self._ready: OrderedDict[object, asyncio.Task[Ready]] = OrderedDict()
        self._face: Face
        self._codes: Codes | None = None
        self._templates: Mapping[Key, Template]

    async def open(self) -> None:
        """Reads font and templates, and makes the codes ready. Raises TemplateFileError, ValueError."""
        self._face = await asyncio.to_thread(serif)
        self._templates = await asyncio.to_thread(load_templates, self._face, self._folder)
        if self._address:
            self._codes = await asyncio.to_thread(codes_for, self._address)

    def templates(self, office: str) -> Sequence[Template]:
        """The templates that an office may use, by name and version."""
        found = (self._templates[key] for key in sorted(self._templates))
        return [template for template in found if template.office in {"", office}]

    async def fill(self, order: FormOrder, read_photo: PhotoReader) -> Filled:
        """The document. Errors: TEMPLATE_NOT_FOUND, TEMPLATE_FIELDS_INVALID,
        VERIFICATION_ADDRESS_MISSING, WORKSHOP_BUSY."""
        if self._codes is None:
            raise VerificationAddressMissingError(
                "this installation names no address for verification links (ONESTOP_VERIFICATION_ADDRESS)"
            )
        template = self._find(order.wish, order.office)
        number = order.number.hex
        wish = order.wish
        shown = template.shown(wish.fields, number, self._face.characters, wish.pictures)
        photos = await _photos(template, wish.pictures, read_photo) if wish.pictures else {}
        link = self._codes.link(number)
        ready = await self._made_ready(template, order, self._codes)
        # Before anything is sealed with it: an answer that is given again needs it.
        await self._plates.keep(ready.sha256, ready.plate.content)
        said: dict[str, object] = {
            "template": template.name,
            "version": template.version,
            "document_number": number,
            "verification_link": link,
            "fields": dict(wish.fields),
        }
        if photos:
            said["pictures"] = {
                name: sha256(file).hexdigest() for name, file in wish.pictures.items() if file
            }
        fill: Callable[[], PreparedDocument | PreparedOfd] = partial(
            ready.plate.fill, shown, number, order.moment, orjson.dumps(said), order.room, photos=photos
        )
        words = "".join(shown.values())
        slow = len(words) > _SET_AT_ONCE or len(self._face.undrawn(words)) > _DRAWN_AT_ONCE
        prepared = await asyncio.to_thread(fill) if slow else fill()
        return Filled(ready.plate.content, ready.taken_in, prepared, link)

    def _find(self, wish: FormWish, office: str) -> Template:
        usable = {"", office}
        versions = [
            one
            for one in self._templates.values()
            if one.name == wish.template and wish.version in {0, one.version} and one.office in usable
        ]
        if not versions:
            raise TemplateNotFoundError(
                "there is no such template, or not in this version; list those that the office may use"
            )
        return max(versions, key=lambda one: one.version)

    async def _made_ready(self, template: Template, order: FormOrder, codes: Codes) -> Ready:
        """The template laid out with the seal; once for all who ask at the same time."""
        seal = (order.signer_name, order.stamp.picture, order.stamp.structure)
        key = (template.name, template.version, order.format, *seal)
        task = self._ready.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = self._ready[key] = asyncio.create_task(self._make_ready(template, order, codes))
            if len(self._ready) > _KEPT:
                self._ready.popitem(last=False)
        self._ready.move_to_end(key)
        return task.result() if task.done() else await asyncio.shield(task)

    async def _make_ready(self, template: Template, order: FormOrder, codes: Codes) -> Ready:
        what = (template, self._face, codes)
        plate: PdfPlate | OfdPlate
        if order.format is Format.OFD:
            make = partial(make_ofd_plate, stamp=order.stamp)
            plate = await asyncio.to_thread(make, *what)
        else:
            draw = partial(make_plate, picture=order.stamp.picture, signer_name=order.signer_name)
            plate = await asyncio.to_thread(draw, *what)
        taken_in = sha256(plate.content)
        return Ready(plate, taken_in, taken_in.digest())


async def _photos(
    template: Template, pictures: Mapping[str, bytes], read_photo: PhotoReader
) -> Mapping[str, Photo]:
    """The pictures in their fields, each no finer than its place shows. Raises TemplateFieldsError."""
    photos = {}
    for name, file in pictures.items():
        if not file:
            continue
        wide, tall = (max(1, round(side * _DOTS_PER_MM)) for side in template.room_for(name))
        try:
            photos[name] = await read_photo(file, (wide, tall))
        except DocumentError as refusal:
            rule = next((fault.rule for fault in refusal.faults if fault.field == "picture"), "form")
            raise picture_fault(name, rule, refusal.message) from None
    return photos
