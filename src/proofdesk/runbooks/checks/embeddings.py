"""Embeddings fail: the provider from its key to its vectors, then the chunks."""

from proofdesk.errors import Invalid
from proofdesk.indexing import vector_index
from proofdesk.indexing.embeddings import factory
from proofdesk.jobs import catalog
from proofdesk.runbooks import bundle_sources, facts, fixes, probes, queries
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.findings import Check, EvidenceSection, Fix, Observation, Runbook, fail, ok, skip, warn

_EMBED = catalog.EMBED.name
_GROUPS = 10
_TOO_LARGE = (400, 413, 422)


async def check_provider(context: RunbookContext) -> Observation:
    """Whether there is a provider at all."""
    settings = context.settings
    if context.resources.provider is not None:
        key = "OPENAI_API_KEY is set" if settings.openai_api_key else "no key is needed"
        return ok(f"{context.resources.provider.name}; {key}.")
    if settings.provider == "openai" and not (settings.openai_api_key or settings.openai_base_url):
        return fail("EMBEDDING_PROVIDER is openai, and neither OPENAI_API_KEY nor OPENAI_BASE_URL is set.")
    return fail(f"{settings.provider} cannot be opened.")


async def check_reachable(context: RunbookContext) -> Observation:
    """Whether the provider answers at all."""
    probe = await context.load_once(probes.probe_embedding)
    if probe.kind in ("unreachable", "server error"):
        return fail(probe.message)
    return ok("It answers.")


async def check_key(context: RunbookContext) -> Observation:
    """Whether the provider takes the key."""
    return await _check_probe(context, "key", "The key was taken.")


async def check_quota(context: RunbookContext) -> Observation:
    """Whether the account still has quota, as the provider reports it."""
    return await _check_probe(context, "quota", "The provider reports no lack of quota.")


async def check_rate_limit(context: RunbookContext) -> Observation:
    """Whether the provider asks for patience."""
    return await _check_probe(context, "throttled", "The provider does not ask for patience.")


async def check_model(context: RunbookContext) -> Observation:
    """Whether the server has the model and is an embedding server at all."""
    probe = await context.load_once(probes.probe_embedding)
    if probe.kind in ("model", "setting"):
        return fail(probe.message)
    return await _check_probe(
        context, "model", f"{context.settings.embedding_model if _remote(context) else 'The local model'} answers."
    )


async def check_dimension(context: RunbookContext) -> Observation:
    """Whether vectors have the length that is configured."""
    probe = await context.load_once(probes.probe_embedding)
    try:
        configured = factory.dimension_of(context.settings)
    except Invalid as error:
        return fail(error.message)
    if probe.length is None:
        return skip("The provider gave no vector.")
    if probe.length != configured:
        return fail(f"Vectors have {probe.length} numbers, {configured} are configured.")
    return ok(f"Vectors have {configured} numbers.")


async def check_vector_index(context: RunbookContext) -> Observation:
    """Whether the project's vectors are indexed, if they are many."""
    lacking = await vector_index.lacking(context.resources.db, context.required_scope)
    if lacking:
        return fail("; ".join(f"{served.vectors} vectors of {served.model} have no index" for served in lacking) + ".")
    return ok(f"No model with {vector_index.BUILT_FROM} vectors or more lacks its index.")


async def check_batch_size(context: RunbookContext) -> Observation:
    """Whether batches were refused for their size, and what was done about it."""
    size = context.settings.embed_batch_size
    run = (await context.load_once(facts.load_latest_runs)).get(_EMBED)
    details = (run.error_details or {}) if run else {}
    failed_batch_size, status = details.get("batch_size"), (details.get("upstream") or {}).get("status")
    observed = (
        f"EMBED_BATCH_SIZE is {size}; the last run that failed sent {failed_batch_size} texts."
        if failed_batch_size
        else ""
    )
    if (
        run
        and run.status == "failed"
        and isinstance(failed_batch_size, int)
        and failed_batch_size > 1
        and status in _TOO_LARGE
    ):
        return fail(f"{observed} The provider answered {status}: {run.error}")
    lowered = (run.meta.get("result") or {}).get("batch_lowered_to") if run and run.meta else None
    if isinstance(lowered, int) and lowered < size:
        return warn(f"EMBED_BATCH_SIZE is {size}; the last run had to go down to {lowered}.")
    return ok(observed or f"EMBED_BATCH_SIZE is {size}.")


async def check_stuck_chunks(context: RunbookContext) -> Observation:
    """Whether chunks hang in `processing`."""
    minutes = context.settings.embed_stale_recovery_minutes
    async with context.resources.db.scoped(context.required_scope) as conn:
        stuck = await queries.count_stuck_chunks(conn, context.required_scope, minutes)
    if stuck:
        return fail(f"{stuck} chunks are `processing` for more than {minutes} minutes.")
    return ok("No chunk hangs in `processing`.")


async def check_failed_chunks(context: RunbookContext) -> Observation:
    """Failed chunks by reason."""
    async with context.resources.db.scoped(context.required_scope) as conn:
        groups = await queries.group_failed_chunks(conn, context.required_scope, _GROUPS)
    if not groups:
        return ok("No chunk is `failed`.")
    return fail(" ".join(f"{group.chunks} × {group.error}" for group in groups))


async def check_last_run(context: RunbookContext) -> Observation:
    """How the last run ended."""
    return await facts.check_last_run(context, _EMBED)


async def check_pending_chunks(context: RunbookContext) -> Observation:
    """Whether chunks wait although nobody embeds."""
    counts = await context.load_once(facts.load_chunk_counts)
    observed = (
        f"{counts.pending} pending, {counts.processing} processing, {counts.ready} ready, {counts.failed} failed."
    )
    return warn(observed) if counts.pending else ok(observed)


async def _check_probe(context: RunbookContext, kind: str, observed: str) -> Observation:
    probe = await context.load_once(probes.probe_embedding)
    if probe.kind == kind:
        return fail(probe.message)
    return ok(observed) if probe.kind is None else skip("The provider did not get as far as that.")


def _remote(context: RunbookContext) -> bool:
    return context.settings.provider == "openai"


KEY = fixes.set_variable("OPENAI_API_KEY", "to a key that is valid")
PROVIDER = Check(
    "provider",
    "Provider",
    "OPENAI_API_KEY or OPENAI_BASE_URL is set, or EMBEDDING_PROVIDER is local.",
    "No embedding provider is configured.",
    check_provider,
    (fixes.set_variable("OPENAI_API_KEY", "or EMBEDDING_PROVIDER=local"),),
)
REACHED = Check(
    "reachable",
    "Provider answers",
    "The provider answers within OPENAI_TIMEOUT_MS.",
    "The embedding provider cannot be reached or is out of order.",
    check_reachable,
    (Fix("Check OPENAI_BASE_URL, the network and the provider's status page; runs go on where they stopped."),),
)
ACCEPTED = Check(
    "key",
    "Key",
    "The provider takes OPENAI_API_KEY.",
    "The embedding provider refuses OPENAI_API_KEY.",
    check_key,
    (KEY, fixes.EMBED),
)
INDEXED = Check(
    "index",
    "Index",
    "The project's vectors have an index, if they are many.",
    "The index over the vectors is missing or was never finished, so each search compares all of them.",
    check_vector_index,
    (fixes.EMBED,),
)
BATCHES = Check(
    "batch-size",
    "Batch size",
    "The provider takes batches of EMBED_BATCH_SIZE texts.",
    "The provider refuses batches for their size.",
    check_batch_size,
    (fixes.SMALLER, fixes.EMBED),
)

RUNBOOK = Runbook(
    slug="embeddings-fail",
    title="Embeddings job fails",
    symptom="The Embeddings job fails, or chunks stay `pending`.",
    impact="New messages are found by their words only, not by their meaning.",
    checks=(
        PROVIDER,
        REACHED,
        ACCEPTED,
        Check(
            "quota",
            "Quota",
            "The provider's account has quota left.",
            "The quota of the embedding provider is used up.",
            check_quota,
            (Fix("Raise the limit or add credit at the provider."), fixes.EMBED),
        ),
        Check(
            "rate-limit",
            "Rate limit",
            "The provider does not answer 429.",
            "The embedding provider throttles the key.",
            check_rate_limit,
            (fixes.set_variable("EMBED_CONCURRENCY", "to less, such as 1"), fixes.EMBED),
        ),
        Check(
            "model",
            "Model",
            "EMBEDDING_MODEL exists at OPENAI_BASE_URL.",
            "The embedding model does not exist there, or that is no embedding server.",
            check_model,
            (Fix("Correct EMBEDDING_MODEL, EMBEDDING_DIM or OPENAI_BASE_URL, then restart."), fixes.EMBED),
        ),
        Check(
            "dimension",
            "Dimension",
            "Vectors have EMBEDDING_DIM numbers, or as many as the model gives by itself.",
            "The model gives vectors of another length than is configured.",
            check_dimension,
            (fixes.set_variable("EMBEDDING_DIM", "to what the model gives"), fixes.EMBED),
        ),
        INDEXED,
        BATCHES,
        Check(
            "stuck",
            "Claims",
            "No chunk is `processing` for longer than EMBED_STALE_RECOVERY_MINUTES.",
            "A worker was lost while it embedded, and its chunks were not taken back yet.",
            check_stuck_chunks,
            (fixes.EMBED,),
        ),
        Check(
            "refused",
            "Refused chunks",
            "No chunk is `failed`.",
            "The provider refused some texts.",
            check_failed_chunks,
            (fixes.RETRY_FAILED, fixes.EMBED),
        ),
        Check(
            "last-run",
            "Last run",
            f"The last run of `{_EMBED}` did not fail.",
            "The last run failed.",
            check_last_run,
            (fixes.EMBED,),
        ),
        Check(
            "waiting",
            "Waiting chunks",
            "No chunk is `pending`.",
            "Chunks wait for the Embeddings job.",
            check_pending_chunks,
            (fixes.EMBED,),
        ),
    ),
    evidence=(
        EvidenceSection("Error of the last run", bundle_sources.collect_last_failures(_EMBED)),
        EvidenceSection("Failed chunks by reason", bundle_sources.collect_failed_chunks),
        EvidenceSection("Counts of messages and chunks", bundle_sources.collect_counts),
    ),
    variables=(
        "EMBEDDING_PROVIDER", "EMBEDDING_MODEL", "EMBEDDING_DIM", "OPENAI_BASE_URL", "OPENAI_API_KEY",
        "OPENAI_TIMEOUT_MS", "EMBED_BATCH_SIZE", "EMBED_CONCURRENCY", "EMBED_MAX_ATTEMPTS",
        "EMBED_STALE_RECOVERY_MINUTES",
    ),
)  # fmt: skip
