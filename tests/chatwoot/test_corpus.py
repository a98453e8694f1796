"""The whole support corpus through the real sync, where it lies beside the repository."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from proofdesk.projects.scope import Scope
from proofdesk.simulators.chatwoot import build, create_app
from proofdesk.simulators.serving import running
from tests.chatwoot.conftest import ours, theirs

CORPUS = Path(os.environ.get("PROOFDESK_CORPUS_DIR", Path(__file__).parents[3] / "shared" / "data" / "support"))
MEGABYTES = 200


@pytest.mark.skipif(not CORPUS.exists(), reason="the support corpus is not beside the repository")
async def test_the_whole_corpus_comes_in_within_the_memory_of_a_small_machine(
    project: Scope, database_url: str, owner_conn: psycopg.Connection, capsys: pytest.CaptureFixture[str]
):
    simulator = build(CORPUS / "conversations.jsonl.gz")
    with running(create_app(simulator)) as chatwoot_url:
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "DATABASE_URL": database_url,
            "CHATWOOT_BASE_URL": chatwoot_url,
            "CHATWOOT_API_TOKEN": simulator.admin_token,
            "CHATWOOT_ACCOUNT_ID": "1",
            "LOG_LEVEL": "error",
        }
        process = subprocess.Popen([sys.executable, "-m", "proofdesk", "sync", "--json"], env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert ours(owner_conn) == theirs(simulator)
    peak = usage.ru_maxrss // 1024
    with capsys.disabled():
        counts = simulator.truth(rows=False)["counts"]
        print(f"\ncorpus: {counts['conversations']} conversations, {counts['messages']} messages in; peak {peak} MB")
    assert peak < MEGABYTES
    simulator.close()
