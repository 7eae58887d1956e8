"""The long form: `python -m tests.fuzz [--seconds 60] [target…]`, each target in a process of its own.

Begins with the corpus in tests/fuzz/corpus/, writes what it finds new to .onestop/fuzz/, and what breaks a
reader to .onestop/fuzz/found/. Needs atheris, which lives in an environment of its own (docs/decisions/0021).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
WORK = Path(".onestop/fuzz")
MOST_BYTES = 65_536
SLOW_SECONDS = 20
MOST_MIB = 2_048


def main() -> int:
    """Runs each target in turn; ends with 1 where one was broken."""
    # By their folders: what is imported here already is not instrumented any more.
    names = sorted(folder.name for folder in CORPUS.iterdir())
    parser = argparse.ArgumentParser(prog="make fuzz-eseal")
    parser.add_argument("targets", nargs="*", choices=[*names, []], help="all, where none is named")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.one:
        _fuzz(said.targets[0], said.seconds)
    broken = []
    for name in said.targets or names:
        print(f"{name}: {said.seconds} s", flush=True)
        command = [sys.executable, "-m", "tests.fuzz", "--one", "--seconds", str(said.seconds), name]
        if subprocess.run(command, check=False).returncode:
            broken.append(name)
    print(f"broken: {', '.join(broken)}; see {WORK / 'found'}" if broken else "nothing was found")
    return 1 if broken else 0


def _fuzz(name: str, seconds: int) -> None:
    """Fuzzes one target. Does not return."""
    import atheris  # type: ignore[import-untyped]  # in an environment of its own

    with atheris.instrument_imports(include=["services.eseal", "asn1crypto", "pyhanko.pdf_utils"]):
        from tests.fuzz.targets import TARGETS

    grown, found = WORK / name, WORK / "found"
    for folder in (grown, found, CORPUS / name):
        folder.mkdir(parents=True, exist_ok=True)
    options = {
        "max_total_time": seconds,
        "max_len": MOST_BYTES,
        "timeout": SLOW_SECONDS,
        "rss_limit_mb": MOST_MIB,
        "artifact_prefix": f"{found}/{name}-",
        "verbosity": 0,
        "print_final_stats": 1,
    }
    atheris.Setup(
        [sys.argv[0], *(f"-{key}={value}" for key, value in options.items()), str(grown), str(CORPUS / name)],
        TARGETS[name],
    )
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
