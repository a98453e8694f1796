"""Search returns no results: checks each step from the project to the hit."""

from proofdesk.indexing import vector_queries as embedding_queries
from proofdesk.jobs import catalog
from proofdesk.runbooks import bundle_sources, facts, fixes, probes, queries
from proofdesk.runbooks.checks import database, embeddings, freshness
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.findings import Check, EvidenceSection, Observation, Runbook, fail, ok, skip, warn
from proofdesk.search import results
from proofdesk.search.results import SearchQuery

_SYNC, _EMBED = catalog.SYNC.name, catalog.EMBED.name
_WORDS = 8


async def check_active_project(context: RunbookContext) -> Observation:
    """Check that a project is active."""
    if context.scope is None:
        async with context.resources.db.statement():  # without a database there is no project either
            return fail("No project is active.")
    async with context.resources.db.scoped(context.scope) as conn:
        return ok(f"{await queries.fetch_project_name(conn, context.scope)} ({context.scope.project_id}).")


async def check_sync(context: RunbookContext) -> Observation:
    """Check whether the last sync failed or is still running."""
    latest = await context.load_once(facts.load_latest_runs)
    reading = await context.load_once(facts.load_reading_progress)
    run = latest.get(_SYNC)
    if run is not None and run.status == "failed":
        return await facts.check_last_run(context, _SYNC)
    if run is not None and run.status in ("queued", "running"):
        observed = f"A Sync job is {run.status}. {reading.conversations} conversations are read so far."
        if not reading.conversations or reading.unread == reading.conversations:
            return fail(observed, "The Sync job is not finished.", fixes.SYNC)
        return warn(observed, None, fixes.SYNC)
    if reading.unread:
        observed = f"{reading.unread} of {reading.conversations} conversations are not fully read."
        return warn(observed, None, fixes.SYNC)
    return ok("No Sync job is pending, and the last one did not fail.")


async def check_messages(context: RunbookContext) -> Observation:
    """Check that the project has messages."""
    holdings = await context.load_once(bundle_sources.load_entity_counts)
    observed = f"{holdings.messages} messages in {holdings.conversations} conversations."
    if holdings.messages:
        return ok(observed)
    return fail(observed, None, fixes.SYNC if await context.load_once(facts.load_sources) else fixes.BIND)


async def check_keyword_index(context: RunbookContext) -> Observation:
    """Check that conversations are chunked and in the keyword index."""
    reading = await context.load_once(facts.load_reading_progress)
    waiting = max(reading.unchunked, reading.unindexed)
    if not waiting:
        return ok("Every conversation is chunked and indexed.")
    observed = f"{waiting} of {reading.conversations} conversations are not chunked or not indexed."
    return fail(observed) if waiting == reading.conversations else warn(observed)


async def check_provider(context: RunbookContext) -> Observation:
    """Check that the provider embeds a sentence."""
    probe = await context.load_once(probes.probe_embedding)
    if probe.kind is None:
        return ok("The provider embeds a sentence.")
    return fail(probe.message, _PROBE_ERRORS.get(probe.kind, "The embedding provider does not respond."))


_PROBE_ERRORS = {
    "key": "The embedding provider rejects OPENAI_API_KEY.",
    "quota": "The quota of the embedding provider is used up.",
    "model": "The embedding provider rejects EMBEDDING_MODEL.",
    "dimension": "The model returns vectors of another length than configured.",
    "throttled": "The embedding provider throttles the key.",
}


async def check_chunks(context: RunbookContext) -> Observation:
    """Check that chunks have embeddings."""
    counts = await context.load_once(facts.load_chunk_counts)
    observed = (
        f"{counts.ready} ready, {counts.pending} pending, {counts.processing} processing, {counts.failed} failed."
    )
    if not counts.ready:
        return fail(observed, "No chunk has an embedding: `ready` is 0.")
    if counts.failed:
        return warn(observed, None, fixes.RETRY_FAILED)
    return warn(observed) if counts.pending or counts.processing else ok(observed)


async def check_model(context: RunbookContext) -> Observation:
    """Check that the vectors come from the model that embeds queries."""
    provider = context.resources.provider
    if provider is None:
        return skip("No embedding provider is configured.")
    async with context.resources.db.scoped(context.required_scope) as conn:
        models = await queries.count_chunks_by_model(conn, context.required_scope)
        serving = await embedding_queries.fetch_serving_model(conn, context.required_scope, provider.name)
    others = [f"{m.chunks} of {m.model}" for m in models if m.model != provider.name]
    if not others:
        return ok(f"All vectors come from {provider.name}.")
    observed = f"{provider.name} is configured, but vectors exist from other models: {', '.join(others)}."
    if serving != provider.name:
        return warn(f"{observed} Search uses {serving} until all chunks are embedded again.")
    return fail(observed)


async def check_probe_search(context: RunbookContext) -> Observation:
    """Check that search finds a stored message by its own words."""
    async with context.resources.db.scoped(context.required_scope) as conn:
        sample = await queries.fetch_sample_chunk(conn, context.required_scope)
    query = " ".join(sample.text.split()[:_WORDS]) if sample else ""
    if not query:
        return skip("No message is indexed.")
    resources = context.resources
    response = await results.search(
        resources.db, context.required_scope, resources.provider, context.settings, SearchQuery(query, is_literal=True)
    )
    if not response.results:
        return fail("Search does not find a message by its own first words.")
    if response.degraded:
        return warn("Found by keywords only: the query could not be embedded.")
    return ok(f"Found in {response.took_ms['total']:.0f} ms.")


PROJECT = Check(
    "project",
    "Active project",
    "A project is active in the session.",
    "No project is active, so there is nothing to search.",
    check_active_project,
    fixes.SELECT_PROJECT,
)
"""Also a check of other runbooks."""

RUNBOOK = Runbook(
    slug="search-returns-no-results",
    title="Search returns no results",
    symptom="`/search` returns no results for queries that should match.",
    impact="People cannot find evidence.",
    checks=(
        database.USABLE,
        PROJECT,
        Check(
            "sync",
            "Sync job",
            "No Sync job is pending, and the last one did not fail.",
            "The last Sync job failed, so new messages are missing.",
            check_sync,
            fixes.see("chatwoot-sync-fails"),
        ),
        freshness.SYNC,
        Check(
            "messages",
            "Messages",
            "`cw_messages` has rows of the project.",
            "The project has no messages: nothing was imported yet.",
            check_messages,
            fixes.SYNC,
        ),
        Check(
            "words",
            "Keyword index",
            "Every conversation is chunked and in the keyword index.",
            "The messages are stored but not indexed yet.",
            check_keyword_index,
            fixes.SYNC,
        ),
        embeddings.PROVIDER,
        Check(
            "provider-answers",
            "Embedding",
            "The provider embeds a sentence.",
            "The embedding provider does not respond.",
            check_provider,
            fixes.see("embeddings-fail"),
        ),
        embeddings.BATCHES,
        Check(
            "embeddings-run",
            "Embeddings job",
            f"The last run of `{_EMBED}` did not fail.",
            "The last Embeddings job failed.",
            embeddings.check_last_run,
            fixes.see("embeddings-fail"),
        ),
        Check(
            "chunks",
            "Chunks",
            "The `rag_chunks` of the project are `ready`.",
            "Too few chunks have an embedding.",
            check_chunks,
            fixes.EMBED,
        ),
        Check(
            "model",
            "Model of the vectors",
            "The vectors come from the configured model.",
            "The vectors come from another model than the one that embeds queries.",
            check_model,
            fixes.EMBED,
        ),
        embeddings.INDEXED,
        Check(
            "probe",
            "Probe search",
            "Search finds a stored message by its own words.",
            "Search does not find a message that is stored and indexed.",
            check_probe_search,
            fixes.SYNC,
        ),
    ),
    evidence=(
        EvidenceSection("Project", bundle_sources.collect_project),
        EvidenceSection("Status of the jobs", bundle_sources.load_jobs_status),
        EvidenceSection("Error of the last run", bundle_sources.collect_last_failures(_SYNC, _EMBED)),
    ),
    variables=("OPENAI_API_KEY", "EMBEDDING_PROVIDER", "EMBEDDING_MODEL", "EMBED_BATCH_SIZE", "SEARCH_HNSW_EF_SEARCH"),
    watched=False,
)
