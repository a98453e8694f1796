"""When the embedding provider fails, people see the cause and what to do, and the next run completes."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.faults.desk import EMBED, SYNC, FaultDesk

LATER = "Nothing is lost"


@dataclass
class Fault:
    """A fault of the simulator, and the error that people see."""

    kind: str | None
    status: int | None
    error_parts: tuple[str, ...]
    retried: bool = True
    request_id: bool = True
    options: dict[str, Any] = field(default_factory=dict)
    switches: dict[str, Any] = field(default_factory=dict)
    worker: dict[str, Any] = field(default_factory=dict)


SHORT_TIMEOUT = {"response_timeout": 0.5}
RETRY_AT_ONCE = {"retry_after": 0}
ADDRESS = "is not an embedding provider. Check OPENAI_BASE_URL."
FAULTS = {
    "down": Fault(None, None, ("cannot be reached", "OPENAI_BASE_URL", LATER), request_id=False, worker={"down": True}),
    "a bad key": Fault(None, 401, ("refused the key", "OPENAI_API_KEY"), retried=False, switches={"key": "sk-other"}),
    "a missing right": Fault("forbidden", 403, ("not allowed", "permissions of the key"), retried=False),
    "throttled": Fault("rate_limit", 429, ("Rate limit reached", "Tried 2 times", LATER)),
    "throttled, with a time": Fault(
        "rate_limit", 429, ("Rate limit reached", "Tried 2 times", LATER), options=RETRY_AT_ONCE
    ),
    "throttled for long": Fault(
        "rate_limit", 429, ("wait for 3600 seconds", LATER), retried=False, options={"retry_after": 3600}
    ),
    "no quota": Fault("insufficient_quota", 429, ("quota", "used up", "Raise it"), retried=False),
    "out of order": Fault("server_error", 500, ("failing (500)", "Tried 2 times", LATER)),
    "a proxy's page": Fault("bad_gateway", 502, ("failing (502)", LATER), request_id=False),
    "a login page": Fault("page", 200, (ADDRESS,), retried=False, request_id=False),
    "malformed JSON": Fault("garbled", 200, (ADDRESS,), retried=False),
    "half an answer": Fault("half", None, ("broke off", LATER), request_id=False),
    "cut": Fault("cut", None, ("broke off", LATER), request_id=False),
    "an answer that never ends": Fault(
        "trickle", None, ("within 0.5 seconds", LATER), request_id=False, worker=SHORT_TIMEOUT
    ),
    "no answer": Fault(
        "delay",
        None,
        ("within 0.5 seconds", "OPENAI_TIMEOUT_MS", LATER),
        request_id=False,
        options={"delay": 3},
        worker=SHORT_TIMEOUT,
    ),
    "a wrong dimension": Fault(
        None, 200, ("vectors of 128 numbers, 256 are expected", "EMBEDDING_DIM"), False, switches={"dimension": 128}
    ),
    "one vector too few": Fault("short", 200, ("gave 1 vectors", "for 2 texts", "OPENAI_BASE_URL", LATER)),
    "no vector": Fault("empty", 200, ("gave 0 vectors", "for 2 texts", LATER)),
    "an error with the status of a success": Fault("error_in_200", 502, ("failing (502)", LATER)),
    "a challenge of a proxy": Fault(
        "challenge", 403, ("a web page (Just a moment...)",), retried=False, request_id=False
    ),
    "a redirect": Fault("redirect", 308, ("elsewhere.example.com", "Set OPENAI_BASE_URL"), False, request_id=False),
    "misnumbered vectors": Fault("misnumbered", 200, ("wrong indexes",), retried=False),
    "every text refused": Fault("bad_request", 400, ("refuses any text", "EMBEDDING_MODEL"), retried=False),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_provider_fault_is_explained_and_next_run_completes(desk: FaultDesk, name: str):
    fault = FAULTS[name]
    await _sync(desk)
    for switch, value in fault.switches.items():
        setattr(desk.openai.switches, switch, value)
    if fault.kind:
        desk.openai.fail(fault.kind, **fault.options)
    report = await desk.run_failing(EMBED, **fault.worker)
    assert (report.response.status_code, report.response.json()["error"]) == (502, "embeddings_job_failed")
    assert [part for part in fault.error_parts if part not in report.run["error"]] == [], report.run["error"]
    assert report.agrees()
    upstream = report.details["upstream"]
    assert (upstream["service"], upstream["method"], upstream["status"]) == ("openai", "POST", fault.status)
    assert upstream["endpoint"].endswith("/v1/embeddings")
    assert (upstream["request_id"] or "").startswith("req_") == fault.request_id
    assert report.details["batch_size"] == 2
    assert desk.chunks().keys() == {"pending"}, "claimed chunks are pending again"
    if fault.kind != "bad_request":
        assert (sum(r.texts == 2 for r in desk.openai.requests) > 1) == (
            fault.retried and fault.worker != {"down": True}
        )
    await desk.run_repaired(EMBED)


async def test_chunks_embedded_before_the_quota_ended_stay(desk: FaultDesk):
    await _sync(desk)
    desk.openai.fail("insufficient_quota", skip=1)
    report = await desk.run_failing(EMBED)
    assert len(desk.openai.requests) == 2 and "quota" in report.run["error"]
    assert desk.chunks()["ready"] == 2 and report.status["rag_counts"]["pending"] == desk.chunks()["pending"] > 0
    assert report.run["processed_count"] == 2
    await desk.run_repaired(EMBED)
    assert max(desk.openai.embedded.values()) == 1


async def test_one_refused_text_fails_alone(desk: FaultDesk):
    desk.chatwoot.append_message(1, "This text has an evil word in it, which the provider does not take.")
    await _sync(desk)
    desk.openai.switches.bad_text = "evil word"
    answer = await desk.run_job(EMBED)
    result = answer.json()["result"]
    assert (answer.status_code, result["failed"], result["status"]) == (200, 1, "ok")
    assert desk.chunks() == {"ready": result["processed"], "failed": 1}
    row = desk.conn.execute("SELECT error FROM rag_chunks WHERE embedding_status = 'failed'").fetchone()
    assert row is not None and "(400)" in row[0]
    assert result["batch_lowered_to"] is None, "one refused text must not lower the batch size"
    assert (await desk.cast.member.client.post("/jobs/embeddings/retry-failed")).json()["reset"] == 1
    await desk.run_repaired(EMBED)


async def test_too_large_batch_is_halved_once_and_reported(desk: FaultDesk):
    await _sync(desk)
    desk.openai.switches.max_tokens_a_request = 1 + max(_tokens(desk))
    result = (await desk.run_job(EMBED)).json()["result"]
    assert (result["batch_size"], result["batch_lowered_to"], result["failed"]) == (2, 1, 0)
    assert desk.chunks() == {"ready": result["processed"]}
    assert sum(r.status == 400 for r in desk.openai.requests) == 1
    runs = (await desk.cast.member.client.get("/jobs/runs?job_type=embeddings_run")).json()["runs"]
    assert runs[0]["meta"]["result"] == result


@pytest.mark.parametrize(
    ("job_type", "worker", "code", "variable"),
    [
        (SYNC, {"configured": False}, "chatwoot_not_configured", "CHATWOOT_API_TOKEN"),
        (EMBED, {"provider_configured": False}, "openai_not_configured", "OPENAI_API_KEY"),
    ],
)
async def test_missing_configuration_is_named(
    desk: FaultDesk, job_type: str, worker: dict[str, Any], code: str, variable: str
):
    if job_type == EMBED:
        await _sync(desk)
    answer = await desk.run_job(job_type, **worker)
    content = answer.json()
    assert (answer.status_code, content["error"]) == (503, code)
    assert variable in content["message"] and content["details"]["run_id"]
    row = desk.conn.execute(
        "SELECT last_error FROM scheduled_jobs WHERE project_id = %s AND job_type = %s",
        [desk.cast.member.project_id, job_type],
    ).fetchone()
    assert row == (content["message"],)
    await desk.run_repaired(job_type)


async def _sync(desk: FaultDesk) -> None:
    """Sync without a provider, so that every chunk is pending."""
    assert (await desk.run_job(SYNC, provider_configured=False)).status_code == 200
    assert desk.chunks().keys() == {"pending"}


def _tokens(desk: FaultDesk) -> list[int]:
    texts = desk.conn.execute("SELECT context || text FROM rag_chunks").fetchall()
    return [len(text.encode()) // 4 + 2 for (text,) in texts]
