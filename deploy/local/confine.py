"""Starts one program with less than its parent has: another user, few capabilities, and no life of its own.

Run as a script, never imported by the city: `python -I -S confine.py [options] -- program argument…`.

* `--uid N --gid N` becomes that user for good (PostgreSQL refuses to run as root);
* `--search` keeps the one capability that lets this user pass folders which are closed to it (Linux
  CAP_DAC_READ_SEARCH); needed when a checkout lies below a folder of mode 0700, such as root's home;
* `--death-signal N` has the kernel send that signal when the parent dies, however it dies (Linux).

It uses the standard library only, and ends by becoming the program, so no process stays in between.
Exit status 126 with one line on standard error when something was refused.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
PR_GET_SECUREBITS = 27
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_READ_SEARCH = 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAPABILITY_VERSION_3 = 0x20080522
REFUSED = 126


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _require(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _prctl(option: int, *arguments: int) -> None:
    words = [ctypes.c_ulong(word) for word in (*arguments, 0, 0, 0, 0)[:4]]
    _require(_libc().prctl(option, *words), f"prctl({option})")


def _keep_across_users() -> None:
    """Keeps capabilities when the user changes, and lets access(2) count them: `initdb` asks by it."""
    libc = _libc()
    bits = libc.prctl(PR_GET_SECUREBITS, *(ctypes.c_ulong(0),) * 4)
    _require(min(bits, 0), "prctl(PR_GET_SECUREBITS)")
    _prctl(PR_SET_SECUREBITS, bits | SECBIT_NO_SETUID_FIXUP)


def _keep_search_only() -> None:
    """Leaves exactly CAP_DAC_READ_SEARCH, and lets it survive the exec of an ordinary file."""
    bit = 1 << CAP_DAC_READ_SEARCH
    header = _CapHeader(CAPABILITY_VERSION_3, 0)
    data = (_CapData * 2)()
    data[0].effective = data[0].permitted = data[0].inheritable = bit
    _require(_libc().capset(ctypes.byref(header), ctypes.byref(data)), "capset")
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH)


def become(uid: int, gid: int, *, search: bool) -> None:
    """Turns this process into `uid`:`gid`; raises OSError when the system refuses."""
    if search:
        _keep_across_users()
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if search:
        _keep_search_only()


def die_with_parent(signal_number: int, parent: int) -> None:
    """Has the kernel signal this process when its parent dies; ends at once if it has died already."""
    if not sys.platform.startswith("linux"):
        return
    _prctl(PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent:
        sys.exit(REFUSED)


def main() -> int:
    parser = argparse.ArgumentParser(prog="confine")
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--death-signal", type=int, default=0)
    parser.add_argument("--parent", type=int, default=0)
    parser.add_argument("--umask", type=lambda text: int(text, 8), default=0o077)
    parser.add_argument("program", nargs="+")
    options = parser.parse_args()
    try:
        os.umask(options.umask)
        if options.uid is not None:
            become(options.uid, options.gid, search=options.search)
        if options.death_signal:
            # After the change of user: the kernel forgets the wish whenever credentials change.
            die_with_parent(options.death_signal, options.parent)
        os.execv(options.program[0], options.program)  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.stderr.write(f"confine: {error}\n")
    return REFUSED


if __name__ == "__main__":
    sys.exit(main())
