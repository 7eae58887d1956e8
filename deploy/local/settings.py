"""What `make run` can be told by the environment, and what each part is told in turn."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.config import Mode
from deploy.local.errors import GroundError
from deploy.local.keeping import LEAST_DAYS, USUAL_DAYS, USUAL_WARNING_MIB
from deploy.local.migrate import PARTS, ROOT

DATABASE = "onestop"
WITNESS = "witness"
AUTHORITY = "authority"
"""The development authority: timestamps, and what became of seals' certificates."""
PROCESSES = (*PARTS, WITNESS, AUTHORITY)
"""Every part that `make run` starts: those with a schema in the database, the witness and the authority."""

# All below 32768: above, the kernel takes ports for outgoing connections. Each has a variable of its own,
# ONESTOP_<NAME>_PORT; ONESTOP_PORT_OFFSET moves those that are not set.
PORTS: Mapping[str, int] = {
    "postgres": 5544,
    "ledger": 7101,
    "issuer": 7102,
    "licence": 7103,
    "datanode": 7104,
    "autofill": 7105,
    "eseal": 7106,
    "agricredit": 7107,
    "witness": 7108,
    "authority": 7109,
    "ledger_standby": 7121,
    "idp": 8480,
    "machines": 8443,
    "people": 8444,
    "operations": 8445,
}
GATEWAY_LISTENERS = ("machines", "people", "operations")

STANDBY = "ledger_standby"
"""The second process of the ledger, of a city that was asked to have one."""

WAL_ARCHIVE = "ONESTOP_WAL_ARCHIVE"
WAL_ARCHIVE_SECONDS = "ONESTOP_WAL_ARCHIVE_SECONDS"
USUAL_ARCHIVE_SECONDS = 60
LOG_DAYS = "ONESTOP_LOG_DAYS"

# Who stops first: whoever calls stops before who is called.
STAGES = (
    ("gateway",),
    ("idp", "autofill", "agricredit"),
    ("licence", "datanode", "eseal"),
    ("ledger", "issuer"),
    ("witness", "authority"),
)


@dataclass(frozen=True)
class Settings:
    """One city on one machine. `home` holds everything it makes.

    `town_size` is in people; 0 is the town that is there, or the usual one. `town_licences` is in e-licences;
    0 is as many as are usual for the size. `wal_archive` is where the embedded database's write-ahead log is
    archived, the newest piece of it after `wal_archive_seconds` at the latest; None archives nothing. Logs
    are kept for `log_days`; above `log_warning_mib` of them the city says so.
    """

    home: Path
    ports: Mapping[str, int]
    town_size: int = 0
    town_licences: int = 0
    database_url: str = ""
    parts: tuple[str, ...] = PROCESSES
    with_standby: bool = False
    with_town: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    wal_archive: Path | None = None
    wal_archive_seconds: int = USUAL_ARCHIVE_SECONDS
    log_days: int = USUAL_DAYS
    log_warning_mib: int = USUAL_WARNING_MIB

    root: Path = ROOT

    @property
    def keys(self) -> Path:
        """Keyrings, signing keys and DSN files; 0700."""
        return self.home / "keys"

    @property
    def pki(self) -> Path:
        """Certificates and their keys; 0700."""
        return self.home / "pki"

    @property
    def logs(self) -> Path:
        """Each part's own lines, as it wrote them; 0700."""
        return self.home / "logs"

    @property
    def ledger(self) -> Path:
        """The ledger's last released checkpoint, which must not be restored with the database; 0700."""
        return self.home / "ledger"

    @property
    def witness(self) -> Path:
        """What the witness has cosigned, which must not be restored with the database; 0700."""
        return self.home / "witness"

    @property
    def run(self) -> Path:
        """Process ids, and `ready` while the city is up; 0700."""
        return self.home / "run"

    @property
    def processes(self) -> tuple[str, ...]:
        """What runs: the parts, and the ledger's standby where there is one."""
        return (*self.parts, STANDBY) if self.with_standby and "ledger" in self.parts else self.parts

    @property
    def restoring(self) -> Path:
        """There while a restore puts its pieces in their places: no city starts then."""
        return self.home / "restoring"

    def command(self, process: str) -> list[str]:
        """What starts a process."""
        part = part_of(process)
        elsewhere = {"gateway": "gateway", "idp": "deploy.idp", AUTHORITY: "deploy.authority"}
        module = elsewhere.get(part, f"services.{part}")
        return [sys.executable, "-m", module]

    def base_environment(self) -> dict[str, str]:
        """What every process of the city inherits: ours, without the administrator's database address."""
        kept = {name: value for name, value in self.environment.items() if name != "DATABASE_URL"}
        return {
            **kept,
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "gen"))),
            "PYTHONUNBUFFERED": "1",
            "ONESTOP_HOME": str(self.home),
            "ONESTOP_MODE": kept.get("ONESTOP_MODE", "development"),
        }

    def part_environment(self, process: str) -> dict[str, str]:
        """A process's settings (core/config.py): identity, database, keys, and where the others are."""
        part = part_of(process)
        environment = self.base_environment() | {
            "ONESTOP_TLS_CA": str(self.pki / "ca.crt"),
            "ONESTOP_TLS_CERT": str(self.pki / f"{part}.crt"),
            "ONESTOP_TLS_KEY": str(self.pki / f"{part}.key"),
        }
        if part not in (WITNESS, AUTHORITY):
            environment["ONESTOP_DATABASE_DSN_FILE"] = str(self.keys / f"{part}.dsn")
            environment["ONESTOP_KEYRING"] = str(self.keys / f"{part}-keyring.json")
        for name in PORTS:
            if name in PARTS and name != "idp":
                environment[f"ONESTOP_{name.upper()}"] = f"127.0.0.1:{self.ports[name]}"
        if self.with_standby:
            environment["ONESTOP_LEDGER"] += f",127.0.0.1:{self.ports[STANDBY]}"
        if part != "gateway":
            environment["ONESTOP_LISTEN"] = f"127.0.0.1:{self.ports[process]}"
        return self._choices(part) | environment | self._special(part) | self._standbys(process)

    def _special(self, part: str) -> dict[str, str]:
        """What one part alone needs."""
        provider = f"https://localhost:{self.ports['idp']}"
        people = f"https://localhost:{self.ports['people']}"
        sm2_roots = self.pki / "seal-ca-sm2.crt"
        special: dict[str, dict[str, str]] = {
            "ledger": {
                "ONESTOP_SIGNING_KEY": str(self.keys / "ledger-signing.key"),
                "ONESTOP_VERIFIER_KEY": str(self.keys / "ledger.vkey"),
                "ONESTOP_LAST_CHECKPOINT": str(self.ledger / "last-checkpoint"),
            },
            "witness": {
                "ONESTOP_SIGNING_KEY": str(self.keys / "witness-signing.key"),
                "ONESTOP_VERIFIER_KEY": str(self.keys / "witness.vkey"),
                "ONESTOP_LOG_KEYS": str(self.keys / "ledger.vkey"),
                "ONESTOP_MEMORY": str(self.witness / "memory.db"),
            },
            "issuer": {"ONESTOP_SIGNING_KEY": str(self.keys / "issuer-signing.key")},
            "agricredit": {"ONESTOP_ANSWER_KEY": str(self.keys / "answer-signing.key")},
            "eseal": {
                "ONESTOP_SEAL_ROOTS": str(self.pki / "seal-ca.crt"),
                "ONESTOP_SEAL_AUTHORITY": str(self.pki),
                "ONESTOP_VERIFICATION_ADDRESS": f"{people}/public/v1/sealed_documents/",
                **({"ONESTOP_SM2_SEAL_ROOTS": str(sm2_roots)} if sm2_roots.exists() else {}),
            },
            AUTHORITY: {"ONESTOP_AUTHORITY_PKI": str(self.pki)},
            "idp": {"ONESTOP_ISSUER_URL": provider, "ONESTOP_GATEWAY_URL": people},
            "gateway": {
                **{
                    f"ONESTOP_{name.upper()}_LISTEN": f"127.0.0.1:{self.ports[name]}"
                    for name in GATEWAY_LISTENERS
                },
                "ONESTOP_PEOPLE_URL": people,
            },
        }
        return special.get(part, {})

    def _standbys(self, process: str) -> dict[str, str]:
        """Each process of the ledger keeps what it released in a file of its own."""
        return (
            {"ONESTOP_LAST_CHECKPOINT": str(self.ledger / "last-checkpoint-standby")}
            if process == STANDBY
            else {}
        )

    def _choices(self, part: str) -> dict[str, str]:
        """What an operator's own variable replaces: the citizens' identity provider, the log's witnesses, who
        stamps the time of seals and tells what became of their certificates."""
        provider = f"https://localhost:{self.ports['idp']}"
        shared = {"ONESTOP_OIDC_ISSUER": provider, "ONESTOP_OIDC_CA": str(self.pki / "ca.crt")}
        choices: dict[str, dict[str, str]] = {
            "issuer": shared | {"ONESTOP_OIDC_AUDIENCES": "onestop-gateway,onestop-cli"},
            "gateway": shared,
            "ledger": {
                "ONESTOP_WITNESSES": str(self.keys / "witnesses.policy"),
                "ONESTOP_WITNESSES_CA": str(self.pki / "ca.crt"),
            },
        }
        if AUTHORITY in self.parts and (sources := self.pki / "revocation.toml").exists():
            choices["eseal"] = {
                "ONESTOP_TIMESTAMP_AUTHORITY": f"{self.authority_url}/tsa",
                "ONESTOP_TIMESTAMP_ROOTS": str(self.pki / "time-ca.crt"),
                "ONESTOP_REVOCATION_SOURCES": str(sources),
            }
        return choices.get(part, {})

    @property
    def authority_url(self) -> str:
        """Where the development authority is reached, without a slash at its end."""
        return f"http://127.0.0.1:{self.ports[AUTHORITY]}"

    def variable_of(self, port: str) -> str:
        """The variable that moves a port."""
        return f"ONESTOP_{port.upper()}_PORT"

    def refuse_taken_ports(self, *, database: bool = False) -> None:
        """Raises GroundError that names every port of ours that is taken; the database's too, if asked."""
        names = [*self._own_ports(), *(["postgres"] if database else [])]
        taken = [name for name in names if not _is_free(self.ports[name])]
        if taken:
            listed = ", ".join(f"{self.ports[name]} (for {name})" for name in taken)
            numbers = " or ".join(f"sport = :{self.ports[name]}" for name in taken)
            raise GroundError(
                f"Ports that the city needs are taken: {listed}.",
                f"stop what uses them (`ss -ltnp '{numbers}'` names it), or choose others with "
                + ", ".join(self.variable_of(name) for name in taken)
                + ", or move all with ONESTOP_PORT_OFFSET=100.",
            )

    def _own_ports(self) -> list[str]:
        names = [name for name in self.processes if name in PORTS]
        return [*names, *(GATEWAY_LISTENERS if "gateway" in self.parts else ())]


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings that an environment asks for; GroundError names what is no number or no port."""
    offset = _number(environment, "ONESTOP_PORT_OFFSET", 0)
    ports = {}
    for name, usual in PORTS.items():
        variable = f"ONESTOP_{name.upper()}_PORT"
        ports[name] = _number(environment, variable, usual + offset)
        if not 0 < ports[name] < 65536:
            raise GroundError(f"{variable} is {ports[name]}, which is no port.", "choose one below 32768.")
    archive, seconds = wal_archive(environment)
    if archive and environment.get("DATABASE_URL"):
        raise GroundError(
            f"{WAL_ARCHIVE} is for the embedded PostgreSQL, and DATABASE_URL names another one.",
            "let that server archive its log by its own settings, and leave the variable unset.",
        )
    return Settings(
        home=Path(environment.get("ONESTOP_HOME", ROOT / ".onestop")).absolute(),
        ports=ports,
        town_size=_number(environment, "TOWN_SIZE", 0),
        town_licences=_number(environment, "TOWN_LICENCES", 0),
        database_url=environment.get("DATABASE_URL", ""),
        with_standby=_number(environment, "LEDGER_STANDBY", 0) > 0,
        environment=dict(environment),
        wal_archive=archive,
        wal_archive_seconds=seconds,
        log_days=_log_days(environment),
        log_warning_mib=_number(environment, "ONESTOP_LOG_WARNING_MIB", USUAL_WARNING_MIB),
    )


def part_of(process: str) -> str:
    """The part that a process is of."""
    return "ledger" if process == STANDBY else process


def wal_archive(environment: Mapping[str, str]) -> tuple[Path | None, int]:
    """Where the write-ahead log is archived, if it is, and after how many seconds at the latest.

    Raises GroundError for a number of seconds below one.
    """
    folder = environment.get(WAL_ARCHIVE, "")
    seconds = _number(environment, WAL_ARCHIVE_SECONDS, USUAL_ARCHIVE_SECONDS)
    if seconds < 1:
        raise GroundError(f"{WAL_ARCHIVE_SECONDS} is {seconds}.", "write a number of seconds from 1 on.")
    return (Path(folder).absolute() if folder else None), seconds


def _log_days(environment: Mapping[str, str]) -> int:
    days = _number(environment, LOG_DAYS, USUAL_DAYS)
    if days < LEAST_DAYS:
        raise GroundError(
            f"{LOG_DAYS} is {days}, and the law asks for six months of network logs, {LEAST_DAYS} days.",
            f"write {LEAST_DAYS} or more, or leave it unset for {USUAL_DAYS}.",
        )
    return days


def refuse_production(settings: Settings) -> None:
    """Raises GroundError for a city in production: what is started here makes development keys and people."""
    if (mode := settings.base_environment()["ONESTOP_MODE"]) != Mode.DEVELOPMENT:
        raise GroundError(
            f"ONESTOP_MODE is {mode!r}, and this starts a development city: its keys, its identity provider "
            "and its people are made up.",
            "unset ONESTOP_MODE; docs/deploy-compose.md says how a pilot starts.",
        )


def _number(environment: Mapping[str, str], name: str, usual: int) -> int:
    text = environment.get(name, "")
    try:
        return int(text) if text else usual
    except ValueError:
        raise GroundError(
            f"{name} is {text!r}, which is no number.", "write a whole number, or leave it unset."
        ) from None


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
