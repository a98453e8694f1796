"""Embeddings fail: checks the provider, from its key to its vectors, then the chunks."""

from proofdesk.errors import Invalid
from proofdesk.indexing import failed_chunks, vector_index
from proofdesk.indexing.embeddings import factory
from proofdesk.jobs import catalog
from proofdesk.runbooks import bundle_sources, facts, fixes, probes, queries
from proofdesk.runbooks.checks import database, freshness, workers
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.findings import Check, EvidenceSection, Fix, Observation, Runbook, fail, ok, skip, warn

_EMBED = catalog.EMBED.name
_GROUPS = 10
_NAMED = 3
_TOO_LARGE = (400, 413, 422)


async def check_provider(context: RunbookContext) -> Observation:
    """Check that an embedding provider is configured."""
    settings = context.settings
    if context.resources.provider is not None:
        key = "OPENAI_API_KEY is set" if settings.openai_api_key else "no key is needed"
        return ok(f"{context.resources.provider.name}; {key}.")
    if settings.provider == "openai" and not (settings.openai_api_key or settings.openai_base_url):
        return fail("EMBEDDING_PROVIDER is openai, but neither OPENAI_API_KEY nor OPENAI_BASE_URL is set.")
    return fail(f"{settings.provider} cannot be opened.")


async def check_reachable(context: RunbookContext) -> Observation:
    """Check that the provider responds."""
    probe = await context.load_once(probes.probe_embedding)
    if probe.kind == "slow":
        slow = fixes.set_variable("OPENAI_TIMEOUT_MS", "to a higher number, or find out why the provider is slow")
        return fail(probe.message, "The embedding provider does not answer within OPENAI_TIMEOUT_MS.", slow)
    if probe.kind == "server error":
        return fail(probe.message, "The embedding provider responds with server errors.")
    if probe.kind == "unreachable":
        return fail(probe.message, "The embedding provider cannot be reached.")
    return ok("The provider responds.")


async def check_key(context: RunbookContext) -> Observation:
    """Check that the provider accepts the key."""
    return await _check_probe(context, "key", "The provider accepts the key.")


async def check_quota(context: RunbookContext) -> Observation:
    """Check that the account has quota left, as the provider reports it."""
    return await _check_probe(context, "quota", "The provider does not report a used-up quota.")


async def check_rate_limit(context: RunbookContext) -> Observation:
    """Check that the provider does not throttle the key."""
    return await _check_probe(context, "throttled", "The provider does not throttle the key.")


async def check_model(context: RunbookContext) -> Observation:
    """Check that the server has the model and is an embedding server."""
    probe = await context.load_once(probes.probe_embedding)
    if probe.kind in ("model", "setting"):
        return fail(probe.message)
    return await _check_probe(context, "model", f"{context.settings.model} responds.")


async def check_dimension(context: RunbookContext) -> Observation:
    """Check that vectors have the configured length."""
    probe = await context.load_once(probes.probe_embedding)
    try:
        configured = factory.model_dimension(context.settings)
    except Invalid as error:
        return fail(error.message)
    if probe.length is None:
        return skip("The provider returned no vector.")
    if probe.length != configured:
        return fail(f"Vectors have {probe.length} numbers, {configured} are configured.")
    return ok(f"Vectors have {configured} numbers.")


async def check_vector_index(context: RunbookContext) -> Observation:
    """Check that models with many vectors have a vector index."""
    missing = await vector_index.missing_indexes(context.resources.db, context.required_scope)
    if missing:
        return fail("; ".join(f"{model.vectors} vectors of {model.model} have no index" for model in missing) + ".")
    return ok(f"Every model with at least {vector_index.BUILD_FROM} vectors has an index.")


async def check_batch_size(context: RunbookContext) -> Observation:
    """Check whether the provider rejected batches for their size."""
    size = context.settings.embed_batch_size
    run = (await context.load_once(facts.load_latest_runs)).get(_EMBED)
    details = (run.error_details or {}) if run else {}
    failed_batch_size, status = details.get("batch_size"), (details.get("upstream") or {}).get("status")
    observed = f"EMBED_BATCH_SIZE is {size}."
    if isinstance(failed_batch_size, int):
        observed += f" The last failed run sent {failed_batch_size} texts."
        if run and run.status == "failed" and failed_batch_size > 1 and status in _TOO_LARGE:
            is_lowered = size < failed_batch_size
            return fail(
                f"{observed} The provider responded {status}: {run.error}",
                "The last run sent more texts than the provider accepts." if is_lowered else None,
                fixes.EMBED if is_lowered else None,
            )
    lowered = (run.meta.get("result") or {}).get("batch_lowered_to") if run and run.meta else None
    if isinstance(lowered, int) and lowered < size:
        return warn(f"EMBED_BATCH_SIZE is {size}, but the last run had to reduce it to {lowered}.")
    return ok(observed)


async def check_stuck_chunks(context: RunbookContext) -> Observation:
    """Check that no chunk stays `processing`."""
    minutes = context.settings.embed_stale_recovery_minutes
    async with context.resources.db.scoped(context.required_scope) as conn:
        stuck = await queries.count_stuck_chunks(conn, context.required_scope, minutes)
    if stuck:
        return fail(f"{stuck} chunks have been `processing` for more than {minutes} minutes.")
    return ok("No chunk is stuck in `processing`.")


async def check_failed_chunks(context: RunbookContext) -> Observation:
    """Check that no chunk failed."""
    async with context.resources.db.scoped(context.required_scope) as conn:
        groups = await queries.group_failed_chunks(conn, context.required_scope, _GROUPS)
    if not groups:
        return ok("No chunk is `failed`.")
    failed = await failed_chunks.list_failed(context.resources.db, context.required_scope, _NAMED)
    named = ", ".join(chunk.id for chunk in failed if chunk.skipped_at is None)
    observed = " ".join(f"{group.chunks} × {group.error}" for group in groups)
    again = f"Chunks: {named}. One that fails again can be skipped: `proofdesk chunk skip {failed[0].id}`."
    return fail(f"{observed} {again}")


async def check_last_run(context: RunbookContext) -> Observation:
    """Check whether the last run failed."""
    return await facts.check_last_run(context, _EMBED)


async def check_pending_chunks(context: RunbookContext) -> Observation:
    """Check whether chunks wait for the Embeddings job."""
    counts = await context.load_once(facts.load_chunk_counts)
    observed = (
        f"{counts.pending} pending, {counts.processing} processing, {counts.ready} ready, {counts.failed} failed."
    )
    return warn(observed) if counts.pending else ok(observed)


async def _check_probe(context: RunbookContext, kind: str, observed: str) -> Observation:
    probe = await context.load_once(probes.probe_embedding)
    if probe.kind == kind:
        return fail(probe.message)
    return ok(observed) if probe.kind is None else skip("Another check of the provider failed.")


KEY = fixes.set_variable("OPENAI_API_KEY", "to a valid key")
PROVIDER = Check(
    "provider",
    "Provider",
    "OPENAI_API_KEY or OPENAI_BASE_URL is set, or EMBEDDING_PROVIDER is local.",
    "No embedding provider is configured.",
    check_provider,
    fixes.set_variable("OPENAI_API_KEY", "or EMBEDDING_PROVIDER=local"),
    shared=True,
)
REACHED = Check(
    "reachable",
    "Connection",
    "The provider responds within OPENAI_TIMEOUT_MS.",
    "The embedding provider cannot be reached or responds with server errors.",
    check_reachable,
    Fix(
        "Start the provider; check OPENAI_BASE_URL, the network and the provider's status page.",
        command='curl -sS "$OPENAI_BASE_URL/models"',
    ),
    shared=True,
)
ACCEPTED = Check(
    "key",
    "Key",
    "The provider accepts OPENAI_API_KEY.",
    "The embedding provider rejects OPENAI_API_KEY.",
    check_key,
    KEY,
    shared=True,
)
INDEXED = Check(
    "index",
    "Vector index",
    "Models with many vectors have an index.",
    "The vector index is missing or incomplete, so each search compares all vectors.",
    check_vector_index,
    fixes.EMBED,
)
BATCHES = Check(
    "batch-size",
    "Batch size",
    "The provider accepts batches of EMBED_BATCH_SIZE texts.",
    "The provider rejects batches for their size.",
    check_batch_size,
    fixes.SMALLER,
)

RUNBOOK = Runbook(
    slug="embeddings-fail",
    title="Embeddings job fails",
    symptom="The Embeddings job fails, or chunks stay `pending`.",
    impact="Search finds new messages by keywords only.",
    checks=(
        database.USABLE,
        PROVIDER,
        REACHED,
        ACCEPTED,
        Check(
            "quota",
            "Quota",
            "The provider's account has quota left.",
            "The quota of the embedding provider is used up.",
            check_quota,
            Fix("Raise the limit or add credit at the provider. The next run continues.", command=fixes.EMBED.command),
            shared=True,
        ),
        Check(
            "rate-limit",
            "Rate limit",
            "The provider does not respond 429.",
            "The embedding provider throttles the key.",
            check_rate_limit,
            fixes.set_variable("EMBED_CONCURRENCY", "to a lower number, such as 1"),
            shared=True,
        ),
        Check(
            "model",
            "Model",
            "EMBEDDING_MODEL exists at OPENAI_BASE_URL.",
            "The server does not have the embedding model, or is not an embedding server.",
            check_model,
            fixes.set_variable("EMBEDDING_MODEL", "to a model of that server; check OPENAI_BASE_URL"),
            shared=True,
        ),
        Check(
            "dimension",
            "Dimension",
            "Vectors have EMBEDDING_DIM numbers, or the model's default number.",
            "The model returns vectors of another length than configured.",
            check_dimension,
            fixes.set_variable("EMBEDDING_DIM", "to the length of the model's vectors"),
            shared=True,
        ),
        INDEXED,
        BATCHES,
        Check(
            "stuck",
            "Claims",
            "No chunk is `processing` for longer than EMBED_STALE_RECOVERY_MINUTES.",
            "A worker was lost while it embedded chunks. The next Embeddings job claims them again.",
            check_stuck_chunks,
            fixes.EMBED,
        ),
        Check(
            "refused",
            "Failed chunks",
            "No chunk is `failed`.",
            "The provider rejected some texts.",
            check_failed_chunks,
            fixes.RETRY_FAILED,
        ),
        Check(
            "last-run",
            "Last run",
            f"The last run of `{_EMBED}` did not fail.",
            "The last run failed.",
            check_last_run,
            fixes.EMBED,
            alerts="symptom",
        ),
        Check(
            "waiting",
            "Pending chunks",
            "No chunk is `pending`.",
            "Chunks wait for the Embeddings job.",
            check_pending_chunks,
            fixes.EMBED,
        ),
        workers.SETTINGS,
        freshness.EMBEDDINGS,
    ),
    evidence=(
        EvidenceSection("Error of the last run", bundle_sources.collect_last_failures(_EMBED)),
        EvidenceSection("Failed chunks by error", bundle_sources.collect_failed_chunks),
        EvidenceSection("Counts of messages and chunks", bundle_sources.collect_counts),
    ),
    variables=(
        "EMBEDDING_PROVIDER", "EMBEDDING_MODEL", "EMBEDDING_DIM", "OPENAI_BASE_URL", "OPENAI_API_KEY",
        "OPENAI_TIMEOUT_MS", "EMBED_BATCH_SIZE", "EMBED_CONCURRENCY", "EMBED_MAX_ATTEMPTS",
        "EMBED_STALE_RECOVERY_MINUTES",
    ),
)  # fmt: skip
