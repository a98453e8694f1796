"""compose.yaml, env.example and the systemd units: valid, and about variables that exist."""

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
    """compose.yaml as it is read."""
    return yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))


def test_compose_is_valid_by_the_specifications_schema():
    command = [Path(sys.executable).parent / "check-jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, ROOT / "compose.yaml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_compose_asks_for_variables_that_the_example_names():
    asked = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "compose.yaml").read_text("utf-8")))
    assert asked == OF_COMPOSE
    example = (ROOT / "deploy" / "env.example").read_text("utf-8")
    assert set(re.findall(r"^#([A-Z_]+)=", example, re.M)) == KNOWN | OF_COMPOSE


def test_compose_sets_only_variables_that_proofdesk_reads():
    assert set(compose()["x-proofdesk"]["environment"]) <= KNOWN


def test_server_and_workers_wait_for_one_migration_and_have_time_to_stop():
    services = compose()["services"]
    for name in ("server", "worker"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
        assert int(services[name]["stop_grace_period"].removesuffix("s")) > 20
    published = [name for name, service in services.items() if service.get("ports")]
    assert published == ["caddy"], "only the proxy is reached from outside"


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_takes_the_unit(unit: Path, tmp_path: Path):
    analyze = shutil.which("systemd-analyze")
    assert analyze, "systemd-analyze comes with Debian's package systemd"
    # A program that exists here, since verify looks for it; everything else is the file as it is.
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text("utf-8").replace("/opt/proofdesk/bin/proofdesk", sys.executable), "utf-8")
    done = subprocess.run([analyze, "verify", "--man=no", copy], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and unit.name not in done.stderr, done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_the_unit_starts_what_there_is_and_not_as_root(unit: Path):
    text = unit.read_text("utf-8")
    assert re.search(r"^ExecStart=/opt/proofdesk/bin/proofdesk (serve|worker)$", text, re.M)
    assert re.search(r"^User=proofdesk$", text, re.M)
    assert set(re.findall(r"([A-Z_]+)=", re.search(r"^Environment=(.*)$", text, re.M)[1])) <= KNOWN  # type: ignore[index]


def test_what_is_started_is_a_command_that_there_is():
    load()
    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    started = [s["command"] for s in compose()["services"].values() if "command" in s]
    started += [json.loads(command) for command in re.findall(r"^CMD (\[.*\])$", dockerfile, re.M)]
    started += [re.findall(r"^ExecStart=(.*)$", unit.read_text("utf-8"), re.M)[0].split() for unit in UNITS]
    assert len(started) == 6
    for program, name, *options in started:
        assert program.rsplit("/", 1)[-1] == "proofdesk" and name in known
        known[name].make_context(name, list(options))  # raises for an option that there is not


def test_every_file_that_compose_mounts_or_reads_is_there():
    mounts = [m.split(":") for service in compose()["services"].values() for m in service.get("volumes", [])]
    files = [source for source, *_ in mounts if source.startswith("./")]
    assert files == ["./deploy/Caddyfile"] and all((ROOT / file).is_file() for file in files)
    assert {source for source, *_ in mounts if not source.startswith("./")} == set(compose()["volumes"])
    context = [service["build"] for service in compose()["services"].values() if "build" in service]
    assert [(ROOT / folder / "Dockerfile").is_file() for folder in context] == [True]


def test_health_is_asked_for_at_routes_that_there_are():
    there = {route.path for router in JSON_ROUTERS for route in router.routes if isinstance(route, APIRoute)}
    asked = re.findall(r"127\.0\.0\.1:8080(/\w+)", (ROOT / "Dockerfile").read_text("utf-8"))
    caddyfile = (ROOT / "deploy" / "Caddyfile").read_text("utf-8")
    asked += re.findall(r"health_uri (/\w+)", caddyfile)
    assert len(asked) == 2 and {f"/v1{path}" for path in asked} <= there
    hidden = re.findall(r"^\t@metrics path (.*)$", caddyfile, re.M)[0].split()
    assert hidden == [f"{prefix}/metrics" for prefix in ("", "/v1", "/api", "/api/v1")], "under every prefix"


def test_the_proxy_leads_to_the_server_and_is_believed():
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


def test_the_proxys_file_is_what_caddy_reads(tmp_path: Path):
    caddy = shutil.which("caddy")
    assert caddy, "Debian's package caddy"
    file = ROOT / "deploy" / "Caddyfile"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "SITE_ADDRESS": "desk.example.org"}
    command = [caddy, "adapt", "--validate", "--adapter", "caddyfile", "--config", file]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "desk.example.org" in done.stdout and "server:8080" in done.stdout
