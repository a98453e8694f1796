"""The examples of docs/reference/api.md, run one after the other by a shell."""

import asyncio
import json
import subprocess
from pathlib import Path

from proofdesk.audit.events import system_actor
from proofdesk.database.pool import Database
from proofdesk.projects import scope
from tests.support import samples
from tests.support.search_desk import Desk
from tests.support.server import PASSWORD, Cast


async def test_every_example_of_the_reference_succeeds(server: str, cast: Cast, db: Database, tmp_path: Path):
    blocks = samples.runnable_samples("docs/reference/api.md")
    assert cast.member.project_id is not None
    desk = Desk(db, await scope.enter(db, system_actor(), cast.member.project_id))
    await desk.talk("My parcel is two weeks late now", "> Sorry! I will ask the courier today")
    await desk.ready(embed=False)
    conversation = f"cw:{cast.member.project_id}:1:1"
    draft = {"channel": "email", "recipient_ref": "eve@example.com", "idempotency_key": "e"}
    created = await cast.member.client.post(
        "/outbound/draft", json=draft | {"payload": {"subject": "Hi", "text": "Hi"}}
    )
    values = {"AUTH_PASSWORD": PASSWORD, "PROJECT": str(cast.member.project_id), "CONVERSATION": conversation}
    values["OUTBOUND"] = created.json()["outbound"]["id"]
    script = "; echo;\n".join(block.strip() for block in blocks).replace("http://127.0.0.1:8080", server)
    done = await asyncio.to_thread(_run, script, tmp_path, values)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines() if line]
    assert len(answers) == len(blocks) - 1 >= 15
    assert [a for a in answers if not a["ok"]] == []
    search = next(a for a in answers if "results" in a)
    assert search["results"][0]["conversation_global_id"] == conversation
    assert next(a for a in answers if "gates" in a)["gates"]


def _run(script: str, home: Path, values: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "NO_PROXY": "127.0.0.1"} | values
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
