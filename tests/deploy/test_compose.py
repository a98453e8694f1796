"""compose.yaml, env.example and the systemd units: valid, and about variables that exist."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

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
