"""The embedding provider fails: what people are told, and what the next run makes of it."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.faults.desk import EMBED, SYNC, Desk

LATER = "Nothing is lost: the next run goes on from here."


@dataclass
class Fault:
    """What is done to the provider, and what is to be heard of it."""

    kind: str | None
    status: int | None
    says: tuple[str, ...]
    retried: bool = True
    numbered: bool = True
    adds: dict[str, Any] = field(default_factory=dict)
    switches: dict[str, Any] = field(default_factory=dict)
    how: dict[str, Any] = field(default_factory=dict)


QUICK = {"seconds": 0.5}
TOLD = {"retry_after": 0}
ADDRESS = "does not answer like an embedding provider. Check OPENAI_BASE_URL."
FAULTS = {
    "down": Fault(None, None, ("cannot be reached", "OPENAI_BASE_URL", LATER), numbered=False, how={"down": True}),
    "a bad key": Fault(None, 401, ("refused the key", "OPENAI_API_KEY"), retried=False, switches={"key": "sk-other"}),
    "no right": Fault("forbidden", 403, ("not allowed", "what the key may do"), retried=False),
    "throttled": Fault("rate_limit", 429, ("Rate limit reached", "Tried 2 times", LATER)),
    "throttled, with a time": Fault("rate_limit", 429, ("Rate limit reached", "Tried 2 times", LATER), adds=TOLD),
    "throttled for long": Fault(
        "rate_limit", 429, ("wait for 3600 seconds", LATER), retried=False, adds={"retry_after": 3600}
    ),
    "no quota": Fault("insufficient_quota", 429, ("quota", "used up", "Raise it"), retried=False),
    "out of order": Fault("server_error", 500, ("out of order (500)", "Tried 2 times", LATER)),
    "a proxy's page": Fault("bad_gateway", 502, ("out of order (502)", LATER), numbered=False),
    "a page to sign in": Fault("page", 200, (ADDRESS,), retried=False, numbered=False),
    "malformed JSON": Fault("garbled", 200, (ADDRESS,), retried=False),
    "half an answer": Fault("half", None, ("broke off", LATER), numbered=False),
    "cut": Fault("cut", None, ("broke off", LATER), numbered=False),
    "an answer that never ends": Fault("trickle", None, ("within 0.5 seconds", LATER), numbered=False, how=QUICK),
    "no answer": Fault(
        "delay", None, ("within 0.5 seconds", "OPENAI_TIMEOUT_MS", LATER), numbered=False, adds={"delay": 3}, how=QUICK
    ),
    "a wrong dimension": Fault(
        None, 200, ("vectors of 128 numbers, 256 are expected", "EMBEDDING_DIM"), False, switches={"dimension": 128}
    ),
    "a vector too few": Fault("short", 200, ("gave 1 vectors", "for 2 texts", "OPENAI_BASE_URL", LATER)),
    "no vector": Fault("empty", 200, ("gave 0 vectors", "for 2 texts", LATER)),
    "an error with the status of a success": Fault("error_in_200", 502, ("out of order (502)", LATER)),
    "a challenge of a proxy": Fault(
        "challenge", 403, ("a web page (Just a moment...)",), retried=False, numbered=False
    ),
    "sent elsewhere": Fault("redirect", 308, ("elsewhere.example.com", "Set OPENAI_BASE_URL"), False, numbered=False),
    "vectors of others": Fault("misnumbered", 200, ("numbered them wrongly",), retried=False),
    "every text refused": Fault("bad_request", 400, ("refuses any text", "EMBEDDING_MODEL"), retried=False),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_of_the_provider_says_what_to_do_and_the_next_run_embeds_everything(desk: Desk, name: str):
    fault = FAULTS[name]
    await _read(desk)
    for switch, value in fault.switches.items():
        setattr(desk.openai.switches, switch, value)
    if fault.kind:
        desk.openai.fail(fault.kind, **fault.adds)
    shown = await desk.fails(EMBED, **fault.how)
    assert (shown.answer.status_code, shown.answer.json()["error"]) == (502, "embeddings_job_failed")
    assert [part for part in fault.says if part not in shown.run["error"]] == [], shown.run["error"]
    assert shown.agrees()
    upstream = shown.details["upstream"]
    assert (upstream["service"], upstream["method"], upstream["status"]) == ("openai", "POST", fault.status)
    assert upstream["endpoint"].endswith("/v1/embeddings")
    assert (upstream["request_id"] or "").startswith("req_") == fault.numbered
    assert shown.details["batch_size"] == 2
    assert desk.chunks().keys() == {"pending"}, "what was claimed waits again"
    if fault.kind != "bad_request":
        assert (sum(r.texts == 2 for r in desk.openai.requests) > 1) == (fault.retried and fault.how != {"down": True})
    await desk.mends(EMBED)


async def test_what_was_embedded_before_the_quota_ended_stays(desk: Desk):
    await _read(desk)
    desk.openai.fail("insufficient_quota", skip=1)
    shown = await desk.fails(EMBED)
    assert len(desk.openai.requests) == 2 and "quota" in shown.run["error"]
    assert desk.chunks()["ready"] == 2 and shown.status["rag_counts"]["pending"] == desk.chunks()["pending"] > 0
    assert shown.run["processed_count"] == 2
    await desk.mends(EMBED)
    assert max(desk.openai.embedded.values()) == 1


async def test_one_refused_text_fails_alone(desk: Desk):
    desk.chatwoot.append_message(1, "This text has an evil word in it, which the provider does not take.")
    await _read(desk)
    desk.openai.switches.bad_text = "evil word"
    answer = await desk.asked(EMBED)
    result = answer.json()["result"]
    assert (answer.status_code, result["failed"], result["status"]) == (200, 1, "ok")
    assert desk.chunks() == {"ready": result["processed"], "failed": 1}
    said = desk.conn.execute("SELECT error FROM rag_chunks WHERE embedding_status = 'failed'").fetchone()
    assert said is not None and "(400)" in said[0]
    assert result["batch_lowered_to"] is None, "one bad text is no reason to send fewer at a time"
    assert (await desk.cast.member.client.post("/jobs/embeddings/retry-failed")).json()["reset"] == 1
    await desk.mends(EMBED)


async def test_a_batch_that_is_too_large_is_halved_once_for_the_whole_run_and_the_run_tells(desk: Desk):
    await _read(desk)
    desk.openai.switches.max_tokens_a_request = 1 + max(_tokens(desk))
    result = (await desk.asked(EMBED)).json()["result"]
    assert (result["batch_size"], result["batch_lowered_to"], result["failed"]) == (2, 1, 0)
    assert desk.chunks() == {"ready": result["processed"]}
    assert sum(r.status == 400 for r in desk.openai.requests) == 1
    runs = (await desk.cast.member.client.get("/jobs/runs?job_type=embeddings_run")).json()["runs"]
    assert runs[0]["meta"]["result"] == result


@pytest.mark.parametrize(
    ("job_type", "how", "code", "variable"),
    [
        (SYNC, {"configured": False}, "chatwoot_not_configured", "CHATWOOT_API_TOKEN"),
        (EMBED, {"provider_configured": False}, "openai_not_configured", "OPENAI_API_KEY"),
    ],
)
async def test_what_is_not_configured_is_named(
    desk: Desk, job_type: str, how: dict[str, Any], code: str, variable: str
):
    if job_type == EMBED:
        await _read(desk)
    answer = await desk.asked(job_type, **how)
    told = answer.json()
    assert (answer.status_code, told["error"]) == (503, code)
    assert variable in told["message"] and told["details"]["run_id"]
    row = desk.conn.execute(
        "SELECT last_error FROM scheduled_jobs WHERE project_id = %s AND job_type = %s",
        [desk.cast.member.project_id, job_type],
    ).fetchone()
    assert row == (told["message"],)
    await desk.mends(job_type)


async def _read(desk: Desk) -> None:
    """Sync while no provider is configured: every chunk waits."""
    assert (await desk.asked(SYNC, provider_configured=False)).status_code == 200
    assert desk.chunks().keys() == {"pending"}


def _tokens(desk: Desk) -> list[int]:
    texts = desk.conn.execute("SELECT context || text FROM rag_chunks").fetchall()
    return [len(text.encode()) // 4 + 2 for (text,) in texts]
