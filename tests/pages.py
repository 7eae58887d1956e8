"""Reads the documentation's pages as their readers would: the examples in order, in one shell.

A page is Markdown. Its ```sh blocks run one after the other; the ```json or ```text block that follows one is
what it must print. A ```python block whose first line names it (`# letter.py`) is saved so in $WORK.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from deploy.local.migrate import ROOT

DOCS = ROOT / "docs"

BLOCK_SECONDS = 60.0
ANYTHING = "…"
"""In an expected answer: any value; inside a text, any characters; as a member or last element, any more."""
VOLATILE = frozenset({"index", "tree_size", "elapsed_ms", "expires_in"})
"""Members whose number differs from run to run; that it is one is checked all the same."""
REFUSED = 22
"""Exit code of `curl --fail-with-body` after a status of 400 or more."""

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"# (\w+\.py)\n")


class PageError(AssertionError):
    """An example that does not do what its page says."""


@dataclass(frozen=True)
class Example:
    """One block to run, or a file to save, with what must be printed (None where nothing may be)."""

    line: int
    code: str
    file: str = ""
    output: str | None = None
    is_json: bool = False

    @property
    def refused(self) -> bool:
        """Whether what must be printed is a problem document, or an error of remote signing."""
        if not self.is_json or self.output is None:
            return False
        document = json.loads(self.output)
        return (
            isinstance(document, dict)
            and "reason" in document
            and bool({"status", "error"} & document.keys())
        )


def read_examples(text: str) -> list[Example]:
    """The examples of a page. Raises PageError for an answer that no example stands before."""
    found: list[Example] = []
    end = 0
    for block in _BLOCK.finditer(text):
        kind, code = block[1], block[2]
        line = text.count("\n", 0, block.start()) + 1
        between = text[end : block.start()]
        end = block.end()
        if kind == "sh":
            found.append(Example(line, code))
        elif kind == "python" and (named := _NAMED.match(code)):
            found.append(Example(line, code, file=named[1]))
        elif kind in {"json", "text"}:
            if not found or found[-1].file or found[-1].output is not None or between.strip():
                if kind == "text":
                    continue  # A picture or a listing, no answer.
                raise PageError(f"line {line}: this answer does not follow an example")
            last = found.pop()
            found.append(Example(last.line, last.code, output=code, is_json=kind == "json"))
        else:
            raise PageError(f"line {line}: nobody knows what to do with a block of {kind}")
    return found


def differences(expected: object, actual: object, where: str = "") -> Iterator[str]:
    """How an answer is not the one that a page shows."""
    name = where or "the answer"
    if expected == ANYTHING:
        return
    if isinstance(expected, dict) and isinstance(actual, dict):
        named = expected.keys() - {ANYTHING}
        yield from (f"{name} lacks {one}" for one in sorted(named - actual.keys()))
        if ANYTHING not in expected:
            yield from (f"{name} has {one}, which is not shown" for one in sorted(actual.keys() - named))
        for one in sorted(named & actual.keys()):
            inner = f"{where}.{one}" if where else one
            if one in VOLATILE and type(expected[one]) is type(actual[one]):
                continue
            yield from differences(expected[one], actual[one], inner)
    elif isinstance(expected, list) and isinstance(actual, list):
        open_ended = bool(expected) and expected[-1] == ANYTHING
        shown = expected[:-1] if open_ended else expected
        if len(actual) < len(shown) or (len(actual) > len(shown) and not open_ended):
            yield f"{name} has {len(actual)} elements instead of {len(shown)}"
        for position, (left, right) in enumerate(zip(shown, actual, strict=False)):
            yield from differences(left, right, f"{where}[{position}]")
    elif isinstance(expected, str) and isinstance(actual, str):
        if not matches(expected, actual):
            yield f"{name} is {actual!r} instead of {expected!r}"
    elif type(expected) is not type(actual) or expected != actual:
        yield f"{name} is {actual!r} instead of {expected!r}"


def matches(expected: str, actual: str) -> bool:
    """Whether a text is the one shown, `…` standing for anything."""
    pattern = ".*".join(re.escape(piece) for piece in expected.split(ANYTHING))
    return re.fullmatch(pattern, actual, re.DOTALL) is not None


def page(name: str) -> str:
    """The text of a page of docs/."""
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(heading)}$(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"there is no heading {heading}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of the tables in a text, without their heads."""
    lines = [line.strip().strip("|") for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    heads = {place - 1 for place, row in enumerate(cells) if set("".join(row)) <= set("-: ")}
    return [row for place, row in enumerate(cells) if place not in heads and place - 1 not in heads]


def words(cell: str) -> list[str]:
    """What a cell has in code marks."""
    return re.findall(r"`([^`]+)`", cell)


class Reader:
    """Somebody who copies a page's examples into a shell, in the project's folder.

    `places` says what stands where a page has the usual city's folder and addresses; `folder` is for scratch
    files, `environment` for further variables. Use as a context manager.
    """

    def __init__(self, folder: Path, places: Mapping[str, str], environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._places = places
        self._environment = environment
        self._steps = 0
        self._shell: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ONESTOP_")}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self._shell = subprocess.Popen(
            ["sh"],
            stdin=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**kept, **self._environment, "PATH": path, "TMPDIR": str(self._folder)},
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._shell is not None
        assert self._shell.stdin is not None
        with suppress(BrokenPipeError):
            self._shell.stdin.close()
        self._shell.wait(BLOCK_SECONDS)

    def read(self, text: str) -> int:
        """Does what a page says; how many examples that were. Raises PageError that names the line."""
        examples = read_examples(text)
        for example in examples:
            if example.file:
                (Path(self._ask("$WORK")) / example.file).write_text(example.code, encoding="utf-8")
            else:
                self._check(example, *self._run(self._placed(example.code), refused=example.refused))
        return len(examples)

    def _placed(self, code: str) -> str:
        for usual, here in self._places.items():
            code = code.replace(usual, here)
        return code

    def _check(self, example: Example, code: int, out: str, err: str) -> None:
        told = f"line {example.line}:\n{example.code}\nprinted\n{out}{err}"
        if code != (REFUSED if example.refused else 0):
            raise PageError(f"exit code {code}; {told}")
        if err and not (example.refused and err.startswith(f"curl: ({REFUSED})") and err.count("\n") == 1):
            raise PageError(f"something went wrong; {told}")
        if example.output is None:
            if out:
                raise PageError(f"the page does not show what is printed; {told}")
        elif example.is_json:
            wrong = list(differences(json.loads(example.output), json.loads(out)))
            if wrong:
                raise PageError("; ".join(wrong) + f"; {told}")
        elif not matches(example.output.strip(), out.strip()):
            raise PageError(f"instead of\n{example.output}\n{told}")

    def _ask(self, expression: str) -> str:
        _, out, _ = self._run(f'printf %s "{expression}"', refused=False)
        return out

    def _run(self, code: str, *, refused: bool) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a block in the reader's shell."""
        assert self._shell is not None
        assert self._shell.stdin is not None
        self._steps += 1
        step = self._folder / f"step-{self._steps}"
        script, out, err, done = (step.with_suffix(end) for end in (".sh", ".out", ".err", ".done"))
        script.write_text(code, encoding="utf-8")
        # Every command of an example must succeed; of one that shows a refusal, the last one fails.
        self._shell.stdin.write(
            f"set {'+e' if refused else '-e'}\n. '{script}' >'{out}' 2>'{err}'\necho $? >'{done}.new'\n"
            f"mv '{done}.new' '{done}'\n"
        )
        self._shell.stdin.flush()
        deadline = time.monotonic() + BLOCK_SECONDS
        while not done.exists() and self._shell.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        if not done.exists() and self._shell.poll() is None:
            self._shell.kill()
            raise PageError(f"not done within {BLOCK_SECONDS:.0f} s:\n{code}")
        status = int(done.read_text()) if done.exists() else self._shell.wait()
        return status, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")
