"""Every third conversation of the support corpus through the real sync, if it lies beside the repository."""

import asyncio
import gzip
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from proofdesk.projects.scope import Scope
from proofdesk_simulators.chatwoot import build, create_app
from proofdesk_simulators.serving import running
from tests.support.chatwoot import chatwoot_content, stored_content

CORPUS = Path(os.environ.get("PROOFDESK_CORPUS_DIR", Path(__file__).parents[3] / "shared" / "data" / "support"))
# A third of the corpus costs a third of the time. The limit is lower in return: 230 MB for all of it, and a leak of
# half a kilobyte per message exceeds both.
SHARE, MEGABYTES = 3, 170


def peak_of(command: list[str], environment: dict[str, str]) -> int:
    """Run a command and return its peak memory in megabytes.

    It is read from the process itself: the resource usage of a child includes the parent's memory at the fork.
    """
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        if found := re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text()):
            peak = max(peak, int(found[1]) // 1024)
        time.sleep(0.05)
    assert process.returncode == 0
    return peak


@pytest.mark.long
@pytest.mark.skipif(not CORPUS.exists(), reason="the support corpus is not beside the repository")
async def test_corpus_is_imported_within_170_megabytes(
    project: Scope,
    database_url: str,
    owner_conn: psycopg.Connection,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
):
    simulator = build(_write_share(tmp_path / "share.jsonl"))
    with running(create_app(simulator)) as chatwoot_url:
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "DATABASE_URL": database_url,
            "CHATWOOT_BASE_URL": chatwoot_url,
            "CHATWOOT_API_TOKEN": simulator.admin_token,
            "CHATWOOT_ACCOUNT_ID": "1",
            "LOG_LEVEL": "error",
        }
        peak = await asyncio.to_thread(peak_of, [sys.executable, "-m", "proofdesk", "sync", "--json"], environment)
    assert stored_content(owner_conn) == chatwoot_content(simulator)
    counts = simulator.truth(rows=False)["counts"]
    with capsys.disabled():
        sys.stdout.write(f"\n{counts['conversations']} conversations, {counts['messages']} messages in; {peak} MB\n")
    assert peak < MEGABYTES
    simulator.close()


def _write_share(path: Path) -> Path:
    with gzip.open(CORPUS / "conversations.jsonl.gz", "rt", encoding="utf-8") as lines:
        path.write_text("".join(line for number, line in enumerate(lines) if number % SHARE == 0), "utf-8")
    return path
