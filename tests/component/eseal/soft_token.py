"""A token in software (SoftHSM2) for a test: a real PKCS #11 library, and tokens in a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.eseal.keys.token import TokenPlace

LABEL = "seals"
PIN = "2f8c1d77"
_LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)


@dataclass(frozen=True)
class SoftToken:
    """Where it lies, and how a service reaches it."""

    folder: Path
    place: TokenPlace

    @property
    def tokens(self) -> Path:
        """The folder of the tokens' files."""
        return self.folder / "tokens"

    def make(self) -> None:
        """An empty token under the label, as an operator makes one."""
        _util("--init-token", "--free", "--label", LABEL, "--so-pin", "0" + PIN, "--pin", PIN)

    def write_pin(self, pin: str) -> None:
        """Puts a PIN into its file, in one step."""
        scratch = self.folder / "pin.new"
        scratch.write_text(pin + "\n")
        scratch.replace(self.place.pin_file)


def _util(*arguments: str) -> None:
    subprocess.run(["softhsm2-util", *arguments], check=True, capture_output=True)


@contextmanager
def soft_token(folder: Path) -> Iterator[SoftToken]:
    """A fresh token; skips where SoftHSM2 is not installed."""
    named = os.environ.get("SOFTHSM2_MODULE", "")
    library = next((Path(one) for one in (named, *_LIBRARIES) if one and Path(one).exists()), None)
    if library is None or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM2 is not on this machine (docs/seals.md says how it is installed)")
    made = SoftToken(folder, TokenPlace(library, LABEL, folder / "token.pin"))
    made.tokens.mkdir()
    (folder / "softhsm2.conf").write_text(
        f"directories.tokendir = {made.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    made.write_pin(PIN)
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    try:
        made.make()
        yield made
    finally:
        os.environ.pop("SOFTHSM2_CONF")
        if before is not None:
            os.environ["SOFTHSM2_CONF"] = before
