"""The compose file: every part is in it, nobody runs as root, and only the gateway faces both ways."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml

from core.config import PARTS
from deploy.compose.handing import CITY, MOUNTED, OWN
from deploy.compose.operate import RELEASED
from deploy.local.migrate import ROOT
from deploy.local.settings import AUTHORITY, PORTS, PROCESSES, WITNESS

LONG_RUNNING = (*PARTS, WITNESS, AUTHORITY, "gateway", "idp", "postgres")
ONE_SHOT = ("keys", "setup", "operator", "outside")
PINNED = re.compile(r"[a-z0-9./-]+:[\w.-]+@sha256:[0-9a-f]{64}")
DEFAULT = re.compile(r"\$\{\w+:?-([^}]*)\}")

Service = dict[str, object]


@dataclass(frozen=True)
class ComposeFile:
    """The file as it is without any settings."""

    services: dict[str, Service]
    networks: dict[str, Service]
    volumes: dict[str, object]


@pytest.fixture(scope="module")
def compose() -> ComposeFile:
    document = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return ComposeFile(
        document["services"],
        {name: network or {} for name, network in document["networks"].items()},
        document["volumes"],
    )


def _listed(service: Service, name: str) -> list[str]:
    value = service.get(name, [])
    assert isinstance(value, list)
    return [str(entry) for entry in value]


def _mapped(service: Service, name: str) -> dict[str, object]:
    value = service.get(name, {})
    assert isinstance(value, dict)
    return value


def _plain(text: object) -> str:
    """The text without settings: each variable's default."""
    return DEFAULT.sub(r"\1", str(text))


def _images(compose: ComposeFile) -> Iterator[str]:
    """Every image that comes from elsewhere."""
    yield _plain(compose.services["postgres"]["image"])
    yield _plain(_mapped(_mapped(compose.services["keys"], "build"), "args")["PYTHON_IMAGE"])
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    yield from re.findall(r"^ARG PYTHON_IMAGE=(.+)$", dockerfile, re.MULTILINE)


def test_every_part_of_the_city_is_a_service(compose: ComposeFile) -> None:
    assert set(compose.services) == {*LONG_RUNNING, *ONE_SHOT}
    assert set(PROCESSES) < set(LONG_RUNNING)


def test_each_part_runs_what_make_run_runs(compose: ComposeFile) -> None:
    modules = {"gateway": "gateway", "idp": "deploy.idp", AUTHORITY: "deploy.authority"}

    for part in PROCESSES:
        module = modules.get(part, f"services.{part}")
        assert _listed(compose.services[part], "command") == ["python", "-m", module]


def test_only_the_gateway_is_on_both_networks(compose: ComposeFile) -> None:
    networks = {name: set(_listed(service, "networks")) for name, service in compose.services.items()}

    assert [name for name in networks if {"edge", "inner"} <= networks[name]] == ["gateway"]
    assert [name for name in networks if "edge" in networks[name]] == ["gateway"]
    assert sorted(name for name in networks if "sign_in" in networks[name]) == ["idp", "issuer"]
    assert [name for name in networks if "time" in networks[name]] == ["eseal"]
    assert compose.networks["inner"]["internal"] is True


def test_the_database_is_reached_from_inside_alone(compose: ComposeFile) -> None:
    assert _listed(compose.services["postgres"], "networks") == ["inner"]
    assert "ports" not in compose.services["postgres"]


def test_ports_are_published_on_loopback_and_operations_are_not(compose: ComposeFile) -> None:
    published = {
        name: [_plain(port) for port in _listed(service, "ports")]
        for name, service in compose.services.items()
        if "ports" in service
    }

    assert published == {
        "gateway": ["127.0.0.1:8443:8443", "127.0.0.1:8444:8444"],
        "idp": ["127.0.0.1:8480:8480"],
    }
    environment = _mapped(compose.services["gateway"], "environment")
    assert environment["ONESTOP_OPERATIONS_LISTEN"] == "127.0.0.1:8445"


def test_nobody_runs_as_root_or_can_become_more(compose: ComposeFile) -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    final = dockerfile.rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (.+)$", final, re.MULTILINE) == ["10001:10001"]
    assert compose.services["postgres"]["user"] == "postgres"
    assert [name for name, service in compose.services.items() if "user" in service] == ["postgres"]

    for service in compose.services.values():
        assert _listed(service, "cap_drop") == ["ALL"]
        assert _listed(service, "security_opt") == ["no-new-privileges:true"]
        assert service["read_only"] is True
        assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & service.keys()


def test_images_are_pinned(compose: ComposeFile) -> None:
    images = list(_images(compose))

    assert len(images) == 3
    assert all(PINNED.fullmatch(image) for image in images), images
    assert images[1] == images[2]
    built = {_plain(compose.services[name]["image"]) for name in compose.services if name != "postgres"}
    assert built == {"localhost/onestop:local"}


def test_long_running_services_have_health_checks_and_come_back(compose: ComposeFile) -> None:
    for name in LONG_RUNNING:
        service = compose.services[name]
        assert _listed(_mapped(service, "healthcheck"), "test"), name
        assert service["restart"] == "unless-stopped", name
    for part in PROCESSES:
        check = _listed(_mapped(compose.services[part], "healthcheck"), "test")
        assert check == ["CMD", "python", "-m", "deploy.compose.health", part]


def test_who_needs_something_waits_until_it_is_well(compose: ComposeFile) -> None:
    done, well = {"condition": "service_completed_successfully"}, {"condition": "service_healthy"}
    waits = {name: _mapped(service, "depends_on") for name, service in compose.services.items()}

    assert waits["postgres"] == {"keys": done}
    assert waits["setup"] == {"keys": done, "postgres": well}
    assert all(waits[part]["setup"] == done for part in PROCESSES)
    assert {name for name, how in waits["gateway"].items() if how == well} == set(PARTS)
    assert waits["outside"] == {"gateway": well, "idp": well}


def test_each_part_sees_its_own_secrets_alone_and_cannot_change_them(compose: ComposeFile) -> None:
    state = {
        "ledger": ["ledger:/state"],
        "witness": ["witness:/state"],
        "postgres": ["database:/var/lib/postgresql/data"],
    }

    for name in LONG_RUNNING:
        own = f"own-{name}:{MOUNTED}:ro"
        assert _listed(compose.services[name], "volumes") == [own, *state.get(name, [])]


def test_one_shots_fill_every_volume_of_a_part(compose: ComposeFile) -> None:
    filled = {f"own-{name}:{OWN}/{name}" for name in LONG_RUNNING}

    for name in ("keys", "setup"):
        mounted = {_plain(volume) for volume in _listed(compose.services[name], "volumes")}
        assert mounted == filled | {"city:/city"}
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    made = re.search(r"for part in ([a-z ]+); do", dockerfile)
    assert made is not None
    assert set(made[1].split()) == set(LONG_RUNNING)
    assert {volume.partition(":")[0] for volume in filled} < set(compose.volumes)


def test_an_operator_sees_the_city_and_hands_the_ledger_its_keys(compose: ComposeFile) -> None:
    operator = compose.services["operator"]

    assert _listed(operator, "entrypoint") == ["python", "-m", "deploy.compose.operate"]
    assert _listed(operator, "profiles") == ["operator"]  # It starts with nothing, and never by itself.
    assert _listed(operator, "networks") == ["inner"]
    mounted = {_plain(volume) for volume in _listed(operator, "volumes")}
    handed = {f"own-{name}:{OWN}/{name}" for name in ("postgres", "ledger", "witness", AUTHORITY)}
    assert mounted == handed | {f"city:{CITY}", f"ledger:{RELEASED}", "out:/out"}
    assert {"ledger", "out"} < set(compose.volumes)
    address = _mapped(operator, "environment")["ONESTOP_LEDGER"]
    assert address == _mapped(compose.services["licence"], "environment")["ONESTOP_LEDGER"]


def test_addresses_and_ports_are_those_of_one_machine(compose: ComposeFile) -> None:
    for part in PROCESSES:
        environment = _mapped(compose.services[part], "environment")
        for peer in PARTS:
            assert environment[f"ONESTOP_{peer.upper()}"] == f"{peer}:{PORTS[peer]}"
        if part != "gateway":
            assert environment["ONESTOP_LISTEN"] == f"0.0.0.0:{PORTS[part]}"


def test_no_secret_stands_in_the_file(compose: ComposeFile) -> None:
    for service in compose.services.values():
        for name, value in _mapped(service, "environment").items():
            if re.search(r"PASSWORD|SECRET|KEY|DSN", name):
                assert str(value).startswith((f"{MOUNTED}/", "/state/")), name
