"""Proofs of the operators' page about search, Chatwoot, the scheduler and embeddings."""

import asyncio

from proofdesk.settings import Settings
from tests.runbooks.walk import Walk, proves

QUERY = {"query": "parcel has not arrived", "topK": 3}


# Search returns no results ----------------------------------------------------------------------------------------


@proves("- `/search` returns empty results for queries that should match.")
async def _nothing_is_found_and_why(w: Walk) -> None:
    assert (await w.post("/search", **QUERY))["results"]
    w.installation.sql("CREATE TABLE kept AS SELECT * FROM search_postings; DELETE FROM search_postings")
    w.installation.sql("UPDATE rag_chunks SET embedding_status = 'pending'; DELETE FROM rag_vectors")
    response = await w.post("/search", **QUERY)
    assert response["results"] == [] and response["diagnosis"]["runbook"] == "search-returns-no-results"
    w.installation.sql("INSERT INTO search_postings SELECT * FROM kept; DROP TABLE kept")


@proves("- Users cannot retrieve evidence-backed context.")
async def _an_answer_is_evidence(w: Walk) -> None:
    hit = (await w.post("/search", **QUERY, mode="text"))["results"][0]
    assert hit["source_url"] and hit["evidence_ref"]["source"] in ("rag_chunks", "cw_messages") and hit["created_at"]


@proves("1. Open `/jobs` and inspect latest runs.", "- Screenshot of `/jobs` status")
async def _the_page_of_jobs_shows_the_latest_runs(w: Walk) -> None:
    page = await w.page("/jobs")
    assert 'id="history"' in page or "History" in page
    assert {j["job_name"] for j in (await w.get("/jobs/status"))["jobs"]} >= {"chatwoot_sync", "embeddings_run"}


@proves("- If there are pending sync runs: complete sync first.")
async def _a_pending_sync_is_the_cause(w: Walk) -> None:
    w.installation.sql("UPDATE cw_conversations SET read_mark = NULL")
    response = await w.post("/runbooks/search-returns-no-results/run")
    assert "/jobs/chatwoot/sync" in [fix["path"] for fix in response["fixes"]]
    w.installation.sql("UPDATE cw_conversations SET read_mark = 'read'")


@proves("- If embeddings show `ready = 0`: embeddings are missing.")
async def _no_ready_chunk_is_told(w: Walk) -> None:
    assert (await w.get("/jobs/status"))["rag_counts"]["ready"] == 0
    response = await w.post("/runbooks/search-returns-no-results/run")
    assert "/jobs/embeddings/run" in [fix["path"] for fix in response["fixes"]]


@proves("2. Confirm active project is selected in session.", "- Project id/name")
async def _the_session_has_the_project(w: Walk) -> None:
    project = str(w.installation.scope.project_id)
    assert (await w.get("/auth/me"))["active_project_id"] == project
    assert (await w.get("/projects"))["active_project_id"] == project
    assert project in (await w.evidence("search-returns-no-results"))["report"]


@proves(
    "3. Confirm scoped data exists for selected project:",
    "- `cw_messages` rows with matching `project_id`",
    "- Run **Sync** job, then **Embeddings** job.",
    "- `rag_chunks` with `embedding_status='ready'` and matching `project_id`",
)
async def _sync_and_embeddings_bring_the_rows(w: Walk) -> None:
    assert (await w.job("/jobs/chatwoot/sync"))["status"] == "ok"
    assert (await w.job("/jobs/embeddings/run"))["status"] == "ok"
    ready = "SELECT count(*) FROM rag_chunks WHERE embedding_status = 'ready' AND project_id = %(project)s"
    assert w.installation.rows("SELECT count(*) FROM cw_messages WHERE project_id = %(project)s")[0][0] > 0
    assert w.installation.rows(ready)[0][0] > 0
    assert (await w.post("/search", **QUERY))["results"]


@proves("4. Verify environment", "- `OPENAI_API_KEY` is set on the server.")
async def _a_missing_key_is_named(w: Walk) -> None:
    assert await w.cause("search-returns-no-results") == ""
    async with w.when(openai_api_key=None, embedding_provider="openai") as without:
        response = await without.post("/runbooks/search-returns-no-results/run")
        assert any("OPENAI_API_KEY" in c["observed"] + c["fix"] for c in response["checks"] if c["status"] == "fail")


@proves(
    "- If embeddings keep failing: set `EMBED_BATCH_SIZE=20` and retry.",
    "- Reduce `EMBED_BATCH_SIZE` to 20 and retry.",
)
async def _a_smaller_batch_is_a_setting(w: Walk) -> None:
    w.installation.sql("UPDATE rag_chunks SET embedding_status = 'failed', error = 'too large'")
    async with w.when(embed_batch_size=20) as smaller:
        assert Settings(**w.installation.settings).embed_batch_size == 20
        assert (await smaller.post("/jobs/embeddings/retry-failed"))["reset"] > 0
        assert (await smaller.job("/jobs/embeddings/run"))["status"] == "ok"
    assert (await w.get("/jobs/status"))["rag_counts"]["failed"] == 0


# Chatwoot sync job fails ------------------------------------------------------------------------------------------


@proves(
    "- Sync job shows failed status.",
    "- In `/jobs`, open the latest error details.",
    "- The job run error text",
    "- The failing request/endpoint (if present in logs)",
    "- The account id and inbox id (if applicable)",
)
async def _a_failed_sync_tells_its_error_and_request(w: Walk) -> None:
    w.installation.chatwoot.faults.add("401_unknown_token")
    run = await w.job("/jobs/chatwoot/sync")
    w.installation.chatwoot.faults.clear()
    assert run["status"] == "failed" and "CHATWOOT_API_TOKEN" in run["error"]
    upstream = run["error_details"]["upstream"]
    assert (upstream["service"], upstream["method"], upstream["status"]) == ("chatwoot", "GET", 401)
    assert "failed" in await w.page("/jobs") and "CHATWOOT_API_TOKEN" in await w.page(f"/jobs/runs/{run['id']}")
    report = (await w.evidence("chatwoot-sync-fails"))["report"]
    assert upstream["endpoint"] in report and "account_id" in report and "inbox_id" in report


@proves("- Verify env variables:", "- `CHATWOOT_BASE_URL`", "- `CHATWOOT_API_TOKEN`", "- `CHATWOOT_ACCOUNT_ID`")
async def _each_variable_is_looked_at(w: Walk) -> None:
    await w.unbind()
    for name in ("chatwoot_base_url", "chatwoot_api_token", "chatwoot_account_id"):
        async with w.when(**{name: None}) as without:
            response = await without.post("/runbooks/chatwoot-sync-fails/run")
            assert name.upper() in str(response["cause"]) + str(response["fixes"]), name
    await w.bind()


@proves("- Correct env vars and re-run the sync job.")
async def _corrected_it_reads_again(w: Walk) -> None:
    assert (await w.job("/jobs/chatwoot/sync"))["status"] == "ok"
    assert await w.cause("chatwoot-sync-fails") == ""


# Scheduler tick / worker jobs failing -----------------------------------------------------------------------------


@proves(
    "- `POST /jobs/scheduler/tick` returns failures or `worker_runs` show failed status.",
    "- Scheduler result payload",
    "- `worker_runs` latest failed rows",
    "- Relevant upstream error (Chatwoot/OpenAI/outbound)",
)
async def _a_tick_tells_what_failed(w: Walk) -> None:
    w.installation.chatwoot.faults.add("404")
    w.installation.sql("UPDATE scheduled_jobs SET next_run_at = now() WHERE job_type = 'chatwoot_sync'")
    ticking = asyncio.create_task(w.post("/jobs/scheduler/tick?wait=20"))
    while not w.installation.rows("SELECT 1 FROM worker_runs WHERE job_type = 'chatwoot_sync' AND status = 'queued'"):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    await w.drain()  # without `drain`, the worker would tick too and could be first
    result = (await ticking)["result"]
    assert (result["processed"], result["failed"]) == (1, 1) and result["details"][0]["error"]
    latest = "SELECT status, error_details FROM worker_runs WHERE job_type = 'chatwoot_sync' ORDER BY created_at DESC"
    status, details = w.installation.rows(latest)[0]
    assert status == "failed" and details["upstream"]["service"] == "chatwoot"
    report = (await w.evidence("scheduler-worker-failing"))["report"]
    assert details["upstream"]["endpoint"] in report and "Latest failed runs" in report and "Schedules" in report


@proves("- `GET /jobs/scheduler` for `last_error` and `next_run_at`.")
async def _the_schedule_keeps_the_error(w: Walk) -> None:
    job = next(j for j in (await w.get("/jobs/scheduler"))["jobs"] if j["job_type"] == "chatwoot_sync")
    assert job["last_status"] == "failed" and job["last_error"] and job["next_run_at"].endswith("Z")


@proves("- `GET /jobs/status` for sync/embeddings backlog.")
async def _the_backlog_is_told(w: Walk) -> None:
    w.installation.sql("UPDATE rag_chunks SET embedding_status = 'pending'")
    assert (await w.get("/jobs/status"))["backlog"]["embeddings_pending"] > 0
    assert "sync_due" in (await w.get("/jobs/status"))["backlog"]


@proves("- Validate project source bindings (`project_sources`) for Chatwoot jobs.")
async def _a_missing_source_is_the_cause(w: Walk) -> None:
    assert w.installation.rows("SELECT external_id FROM project_sources WHERE project_id = %(project)s") == [("1",)]
    await w.unbind()
    async with w.when(chatwoot_account_id=None) as without:
        assert await without.cause("scheduler-worker-failing") == "sources"
    await w.bind()


@proves(
    "- Correct failing dependency (credentials/source binding/rate limits).",
    "- Re-run manual jobs (`/jobs/chatwoot/sync`, `/jobs/embeddings/run`) then scheduler tick.",
)
async def _corrected_everything_runs(w: Walk) -> None:
    w.installation.chatwoot.faults.clear()
    assert (await w.job("/jobs/chatwoot/sync"))["status"] == "ok"
    assert (await w.job("/jobs/embeddings/run"))["status"] == "ok"
    w.installation.sql("UPDATE scheduled_jobs SET next_run_at = now() + interval '10 minutes'")
    assert (await w.post("/jobs/scheduler/tick"))["result"]["failed"] == 0


# Embeddings job fails ---------------------------------------------------------------------------------------------


@proves(
    "- Embeddings job fails or stalls.",
    "- Validate OpenAI key and quotas.",
    "- Inspect error logs from the job run.",
    "- Error message",
    "- Batch size",
    "- Approx message/chunk counts",
)
async def _a_refused_key_is_named_with_the_run(w: Walk) -> None:
    w.installation.sql("UPDATE rag_chunks SET embedding_status = 'pending'")
    w.installation.openai.switches.key = "sk-another"
    run = await w.job("/jobs/embeddings/run")
    assert run["status"] == "failed" and run["error"] and run["error_details"]["upstream"]["status"] == 401
    assert await w.cause("embeddings-fail") == "key"
    response = (await w.evidence("embeddings-fail"))["report"]
    assert ("EMBED_BATCH_SIZE" in response and "messages" in response and "Counts" in response) or "chunks" in response
    w.installation.openai.switches.key = "sk-right"
    assert (await w.job("/jobs/embeddings/run"))["status"] == "ok"
