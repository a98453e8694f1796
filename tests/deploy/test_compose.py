"""compose.yaml, env.example and the systemd units are valid and name existing variables."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from fastapi.routing import APIRoute

from proofdesk.cli import app, load
from proofdesk.http.app import JSON_ROUTERS
from proofdesk.settings import Settings

ROOT = Path(__file__).parent.parent.parent
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
OF_COMPOSE = {"SITE_ADDRESS", "POSTGRES_PASSWORD"}
KNOWN = {name.upper() for name in Settings.model_fields}


def compose() -> dict[str, Any]:
    """Return the parsed compose.yaml."""
    return yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))


def test_compose_matches_the_compose_schema():
    command = [Path(sys.executable).parent / "check-jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, ROOT / "compose.yaml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_compose_needs_only_variables_of_the_example():
    asked = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "compose.yaml").read_text("utf-8")))
    assert asked == OF_COMPOSE
    example = (ROOT / "deploy" / "env.example").read_text("utf-8")
    assert set(re.findall(r"^#([A-Z_]+)=", example, re.M)) == KNOWN | OF_COMPOSE


def test_compose_sets_only_settings_of_proofdesk():
    assert set(compose()["x-proofdesk"]["environment"]) <= KNOWN


def test_server_and_workers_wait_for_the_migration_and_can_stop():
    services = compose()["services"]
    for name in ("server", "worker"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
        assert int(services[name]["stop_grace_period"].removesuffix("s")) > 20
    published = [name for name, service in services.items() if service.get("ports")]
    assert published == ["caddy"], "only the proxy is reached from outside"


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_accepts_the_unit(unit: Path, tmp_path: Path):
    analyze = shutil.which("systemd-analyze")
    assert analyze, "systemd-analyze comes with Debian's package systemd"
    # `verify` needs an existing program; everything else is unchanged.
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text("utf-8").replace("/opt/proofdesk/bin/proofdesk", sys.executable), "utf-8")
    done = subprocess.run([analyze, "verify", "--man=no", copy], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and unit.name not in done.stderr, done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_the_unit_starts_an_existing_command_as_its_own_user(unit: Path):
    text = unit.read_text("utf-8")
    assert re.search(r"^ExecStart=/opt/proofdesk/bin/proofdesk (serve|worker)$", text, re.M)
    assert re.search(r"^User=proofdesk$", text, re.M)
    assert set(re.findall(r"([A-Z_]+)=", re.search(r"^Environment=(.*)$", text, re.M)[1])) <= KNOWN  # type: ignore[index]


def test_every_started_command_exists():
    load()
    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    started = [s["command"] for s in compose()["services"].values() if "command" in s]
    started += [json.loads(command) for command in re.findall(r"^CMD (\[.*\])$", dockerfile, re.M)]
    started += [re.findall(r"^ExecStart=(.*)$", unit.read_text("utf-8"), re.M)[0].split() for unit in UNITS]
    assert len(started) == 6
    for program, name, *options in started:
        assert program.rsplit("/", 1)[-1] == "proofdesk" and name in known
        known[name].make_context(name, list(options))  # raises for an unknown option


def test_every_file_that_compose_mounts_or_reads_exists():
    mounts = [m.split(":") for service in compose()["services"].values() for m in service.get("volumes", [])]
    files = [source for source, *_ in mounts if source.startswith("./")]
    assert files == ["./deploy/Caddyfile"] and all((ROOT / file).is_file() for file in files)
    assert {source for source, *_ in mounts if not source.startswith("./")} == set(compose()["volumes"])
    context = [service["build"] for service in compose()["services"].values() if "build" in service]
    assert [(ROOT / folder / "Dockerfile").is_file() for folder in context] == [True]


def test_health_checks_use_existing_routes():
    there = {route.path for router in JSON_ROUTERS for route in router.routes if isinstance(route, APIRoute)}
    asked = re.findall(r"127\.0\.0\.1:8080(/\w+)", (ROOT / "Dockerfile").read_text("utf-8"))
    caddyfile = (ROOT / "deploy" / "Caddyfile").read_text("utf-8")
    asked += re.findall(r"health_uri (/\w+)", caddyfile)
    assert len(asked) == 2 and {f"/v1{path}" for path in asked} <= there
    hidden = re.findall(r"^\t@metrics path (.*)$", caddyfile, re.M)[0].split()
    assert hidden == [f"{prefix}/metrics" for prefix in ("", "/v1", "/api", "/api/v1")], "under every prefix"


def test_the_proxy_reaches_the_server_and_is_trusted():
    services = compose()["services"]
    caddyfile = (ROOT / "deploy" / "Caddyfile").read_text("utf-8")
    name, _, port = re.findall(r"reverse_proxy (\S+)", caddyfile)[0].partition(":")
    assert port in services[name]["expose"]
    (subnet,) = compose()["networks"]["inside"]["ipam"]["config"]
    given = {**compose()["x-proofdesk"]["environment"], "PORT": port}
    values: dict[str, Any] = {
        name.lower(): re.sub(r"\$\{\w+:\?[^}]*\}", "desk.example.org", value) for name, value in given.items()
    }
    settings = Settings(**values)
    assert [str(network) for network in settings.proxies] == [subnet["subnet"]]
    assert settings.secure_cookies is True, "PUBLIC_URL is https"


def test_caddy_accepts_the_caddyfile(tmp_path: Path):
    caddy = shutil.which("caddy")
    assert caddy, "Debian's package caddy"
    file = ROOT / "deploy" / "Caddyfile"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "SITE_ADDRESS": "desk.example.org"}
    command = [caddy, "adapt", "--validate", "--adapter", "caddyfile", "--config", file]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "desk.example.org" in done.stdout and "server:8080" in done.stdout
