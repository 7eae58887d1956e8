"""A network namespace for one part of the city, so that its way to another can really be cut (Linux, root).

The part that lives in it has a loopback of its own. A link leads to the machine, and is what can be cut: both
kernels then lose what is sent, without a word to either end. Everything else passes by relays, which are at
home on both sides, as sockets stay in the namespace that they were made in.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

NAMESPACES = Path("/run/netns")
CLONE_NEWNET = 0x40000000
BLOCK = 1 << 16


def missing() -> str:
    """Why a part cannot live in a namespace here; empty where it can."""
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    if not shutil.which("ip") or not shutil.which("nsenter"):
        return "there is no ip and nsenter (iproute2, util-linux)"
    try:
        with Namespace():
            return ""
    except (OSError, subprocess.CalledProcessError):
        return "network namespaces cannot be made here"


class Namespace:
    """A namespace and the link to it; both are gone afterwards."""

    def __init__(self) -> None:
        number = os.getpid()
        self.name = f"onestop-{number}"
        self._here, self._there = f"os{number}h", f"os{number}t"
        net = f"169.254.{number // 60 % 254 + 1}.{number % 60 * 4}"
        prefix, _, last = net.rpartition(".")
        self.here, self.there = f"{prefix}.{int(last) + 1}", f"{prefix}.{int(last) + 2}"
        """The two ends' addresses: the machine's, and the namespace's."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relays", daemon=True)
        self._servers: list[asyncio.Server] = []

    def __enter__(self) -> Namespace:
        self._thread.start()
        try:
            _ip("netns", "add", self.name)
            _ip("link", "add", self._here, "type", "veth", "peer", "name", self._there, "netns", self.name)
            _ip("addr", "add", f"{self.here}/30", "dev", self._here)
            _ip("-n", self.name, "addr", "add", f"{self.there}/30", "dev", self._there)
            _ip("-n", self.name, "link", "set", "lo", "up")
            _ip("-n", self.name, "link", "set", self._there, "up")
            self.mend()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._do(self._close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()
        for gone in (("link", "del", self._here), ("netns", "del", self.name)):
            with suppress(subprocess.CalledProcessError):
                _ip(*gone)

    @property
    def entering(self) -> list[str]:
        """What stands before a command so that it runs within; it becomes that command."""
        return [shutil.which("nsenter") or "nsenter", f"--net={NAMESPACES / self.name}", "--"]

    def cut(self) -> None:
        """From now on nothing passes the link, and nobody is told."""
        _ip("link", "set", self._here, "down")

    def mend(self) -> None:
        """The link carries again."""
        _ip("link", "set", self._here, "up")

    def let_out(self, ports: Iterable[int]) -> None:
        """Whoever lives within finds these ports of the machine's loopback on its own."""
        for port in ports:
            with self._within():
                listening = _listening(port)
            self._do(self._relay(listening, port, inwards=False))

    def let_in(self, ports: Iterable[int]) -> None:
        """The machine finds these ports of the namespace's loopback on its own."""
        for port in ports:
            self._do(self._relay(_listening(port), port, inwards=True))

    @contextmanager
    def _within(self) -> Iterator[None]:
        """What this thread makes meanwhile is made within the namespace."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(NAMESPACES / self.name, os.O_RDONLY)
        try:
            _enter(there)
            try:
                yield
            finally:
                _enter(home)
        finally:
            os.close(there)
            os.close(home)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10.0)

    async def _relay(self, listening: socket.socket, port: int, *, inwards: bool) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                there = await self._connect(port, inwards=inwards)
            except OSError:
                writer.transport.abort()
                return
            await _join((reader, writer), there)

        self._servers.append(await asyncio.start_server(serve, sock=listening))

    async def _connect(
        self, port: int, *, inwards: bool
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if inwards:
            with self._within():
                made = socket.socket()
        else:
            made = socket.socket()
        made.setblocking(False)
        try:
            await self._loop.sock_connect(made, ("127.0.0.1", port))
        except OSError:
            made.close()
            raise
        return await asyncio.open_connection(sock=made)

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def _join(*ends: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Carries both ways until either end is over."""
    (left, to_left), (right, to_right) = ends
    tasks = [asyncio.create_task(_carry(left, to_right)), asyncio.create_task(_carry(right, to_left))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        to_left.transport.abort()
        to_right.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(BLOCK):
            writer.write(data)
            await writer.drain()


def _listening(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(("127.0.0.1", port))
    except OSError:
        made.close()
        raise
    return made


def _enter(namespace: int) -> None:
    # os.setns came with Python 3.12.
    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "the namespace cannot be entered")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, stdin=subprocess.DEVNULL, capture_output=True)
