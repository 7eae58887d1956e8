"""What others say of the PDF/A-3 of every template, sealed: programs that are asked where they are there."""

from __future__ import annotations

import asyncio
import shutil
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest

from tests.component.eseal.harness import Desk
from tests.unit.eseal.forms_filled import DECISION, LICENCE, OPERATOR, long_penalty, photograph

SECONDS = 120


async def asked(*command: str | Path) -> tuple[int | None, str]:
    """What a program says of files, and how it ends."""
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=STDOUT)
    async with asyncio.timeout(SECONDS):
        said, _ = await process.communicate()
    return process.returncode, said.decode("utf-8", "replace")


async def documents(desk: Desk, tmp_path: Path) -> list[Path]:
    """A document of each template."""
    seal_id = await desk.make_seal()
    made = []
    for name, values in (
        ("permit_decision", DECISION),
        ("business_licence", LICENCE),
        ("equipment_operator", OPERATOR),
        ("penalty_decision", long_penalty()),
    ):
        pictures = {"photo": photograph()} if name == "equipment_operator" else {}
        signed = await desk.sign_template(seal_id, name, values, pictures=pictures)
        made.append(tmp_path / f"{name}.pdf")
        made[-1].write_bytes(signed.document)
    return made


@pytest.mark.skipif(not shutil.which("verapdf"), reason="veraPDF is not installed here")
async def test_verapdf_finds_each_template_to_be_pdf_a_3u(desk: Desk, tmp_path: Path) -> None:
    files = await documents(desk, tmp_path)

    ended, said = await asked("verapdf", "--flavour", "3u", "--format", "text", *files)

    assert ended == 0, said
    assert [line.split()[0] for line in said.splitlines() if line.strip()] == ["PASS"] * len(files)


@pytest.mark.skipif(not shutil.which("pdffonts"), reason="poppler is not installed here")
async def test_poppler_finds_every_font_embedded_a_subset_and_mapped_to_unicode(
    desk: Desk, tmp_path: Path
) -> None:
    for file in await documents(desk, tmp_path):
        ended, said = await asked("pdffonts", file)

        fonts = [line.split()[-5:-2] for line in said.splitlines()[2:]]
        assert (ended, fonts) == (0, [["yes", "yes", "yes"]] * 2), said
