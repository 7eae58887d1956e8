"""What makes a partition real: a link that loses everything, beside relays that go on."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.faults.apart import Namespace, missing

ECHO = """
import socket, sys, threading
def echo(one):
    with one:
        while data := one.recv(4096):
            one.sendall(data)
with socket.create_server((sys.argv[1], int(sys.argv[2]))) as server:
    print(server.getsockname()[1], flush=True)
    while True:
        threading.Thread(target=echo, args=(server.accept()[0],), daemon=True).start()
"""


@pytest.fixture
def space() -> Iterator[Namespace]:
    if why := missing():
        pytest.skip(why)
    with Namespace() as made:
        yield made


def say(connection: socket.socket, text: bytes) -> bytes:
    """Sends something to an echo; what comes back."""
    connection.sendall(text)
    return connection.recv(4096)


def test_a_cut_link_loses_everything_and_relays_go_on(space: Namespace) -> None:
    command = [sys.executable, "-I", "-c", ECHO]
    within = subprocess.Popen([*space.entering, *command, "0.0.0.0", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert within.stdout is not None
        port = int(within.stdout.readline())
        space.let_in([port])
        with (
            closing(socket.create_connection((space.there, port), 5.0)) as direct,
            closing(socket.create_connection(("127.0.0.1", port), 5.0)) as relayed,
        ):
            before = say(direct, b"before")
            direct.settimeout(0.3)
            space.cut()
            with pytest.raises(TimeoutError):  # Neither refused nor reset.
                say(direct, b"lost")
            beside = say(relayed, b"beside")
            direct.settimeout(5.0)
            space.mend()
            after = direct.recv(4096)  # The kernel sends again what was lost.
    finally:
        within.kill()
        within.communicate()

    assert (before, beside, after) == (b"before", b"beside", b"lost")


def test_whoever_lives_within_reaches_the_machine_by_relays_alone(space: Namespace) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as here:
        port = here.getsockname()[1]
        script = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2.0).sendall(b'there')"
        command = [*space.entering, sys.executable, "-I", "-c", script]

        alone = subprocess.run(command, check=False, capture_output=True, text=True)
        space.let_out([port])
        subprocess.run(command, check=True)
        arrived, _ = here.accept()
        with closing(arrived):
            heard = arrived.recv(4096)

    assert "Connection refused" in alone.stderr
    assert heard == b"there"
