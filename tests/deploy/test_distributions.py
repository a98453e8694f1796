"""The two distributions of this repository: `proofdesk` and `proofdesk-simulators`."""

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))


def _project(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]


def _locked(name: str) -> set[str]:
    return set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements" / name).read_text("utf-8"), re.M))


def test_the_distributions_require_each_other_in_their_own_version():
    product, simulators = _project(ROOT), _project(ROOT / "simulators")
    assert product["version"] == simulators["version"]
    assert product["optional-dependencies"]["demo"] == [f"proofdesk-simulators=={product['version']}"]
    assert f"proofdesk=={product['version']}" in simulators["dependencies"]


def test_a_production_install_has_nothing_that_only_simulators_need():
    only_simulators = _locked("demo.lock") - _locked("runtime.lock")
    assert "aiosmtpd" in only_simulators
    assert not _locked("runtime.lock") - _locked("demo.lock")
    assert only_simulators <= _locked("dev.lock")


def test_lock_files_hold_hashes_and_no_addresses():
    assert {"runtime.lock", "demo.lock", "dev.lock", "build.lock"} <= {lock.name for lock in LOCKS}
    for lock in LOCKS:
        text = lock.read_text("utf-8")
        assert "://" not in text, lock.name
        pins = re.findall(r"^[\w.-]+==.*$", text, re.M)
        assert pins and all(pin.endswith("\\") for pin in pins), lock.name
