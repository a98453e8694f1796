"""The handlers of the jobs. Each stage stores rows that the next one reads, so each can run alone, or twice.

sync:               chatwoot.sync → merges → opt-outs → chunks → keyword terms → deliveries; then embed, commitments
reconcile:          chatwoot.reconcile → the same
embed:              chunks → keyword terms → vectors → vector index
extract_commitments: commitments
send_due_messages:  outbound.delivery
observe:            incidents, digests
maintain:           old runs, keyword terms, vector index, totals

A handler reports its progress to the time slice of its run. Between batches or pages it asks whether the slice is over.
It then returns what it did so far as an unfinished `RunOutcome` and reads that from `run.meta` in its next slice.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from proofdesk.answers import register
from proofdesk.chatwoot import reconcile as source_reconcile
from proofdesk.chatwoot import sync as source_sync
from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.chatwoot.quarantine_queries import QuarantinedItem
from proofdesk.commitments import extraction_job
from proofdesk.conversations import totals
from proofdesk.core import heartbeat
from proofdesk.errors import Unavailable
from proofdesk.indexing import vector_index, vectors
from proofdesk.indexing.chunking.chunker import ChunkLimits
from proofdesk.indexing.incremental import index_conversations
from proofdesk.jobs import runs
from proofdesk.jobs.execution import RunOutcome
from proofdesk.jobs.resources import Resources
from proofdesk.jobs.run_queries import Run
from proofdesk.jobs.time_slices import TimeSlice
from proofdesk.outbound import merges
from proofdesk.outbound.delivery import delivery, reports
from proofdesk.outbound.opt_outs import opt_outs
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings


@dataclass(frozen=True)
class JobContext:
    """What a handler works with. `request_follow_up` queues the next job type of a handler, if the catalog names it."""

    resources: Resources
    scope: Scope
    run: Run
    time_slice: TimeSlice
    request_follow_up: "Callable[[Callable[[JobContext], Awaitable[RunOutcome]]], Awaitable[None]]"


class ChatwootNotConfigured(Unavailable):
    """CHATWOOT_BASE_URL or CHATWOOT_API_TOKEN is missing."""

    code = "chatwoot_not_configured"
    pauses = True


async def sync(context: JobContext) -> RunOutcome:
    """Read what is new or changed in Chatwoot and prepare it for search."""
    resources, scope = context.resources, context.scope
    options = _sync_options(resources.settings)
    synced = await source_sync.run(
        resources.db, _chatwoot(resources), scope, options, context.time_slice, context.time_slice.is_over
    )
    result = await _prepare(context)
    if synced.counts.messages or synced.counts.removed:
        await context.request_follow_up(extract_commitments)
    await reports.refresh_reports(resources.db, _chatwoot(resources), scope)
    if synced.binding_error:
        raise synced.binding_error
    if synced.finished and (heartbeat_url := resources.settings.heartbeat_url) is not None:
        await heartbeat.ping(heartbeat_url.get_secret_value())
    result |= _add_previous(context.run, _counts(synced.counts))
    return RunOutcome(synced.counts.messages, result, synced.finished)


async def reconcile(context: JobContext) -> RunOutcome:
    """Compare everything with Chatwoot, repair differences, and return the proof for each inbox."""
    resources, scope = context.resources, context.scope
    settings, before = resources.settings, context.run.meta.get("result", {}).get("walked", {})
    reconciled = await source_reconcile.run(
        resources.db,
        _chatwoot(resources),
        scope,
        _sync_options(settings),
        settings.chatwoot_reconcile_requests_per_minute,
        context.time_slice,
        context.time_slice.is_over,
        {source: [source_reconcile.InboxComparison.from_dict(p) for p in proofs] for source, proofs in before.items()},
    )
    repaired = _add_previous(context.run, _counts(reconciled.changes))
    processed = reconciled.changes.messages + reconciled.changes.removed
    if not reconciled.finished:
        walked = {source: [p.as_dict() for p in proofs] for source, proofs in reconciled.walked.items()}
        return RunOutcome(processed, repaired | {"walked": walked}, finished=False)
    prepared = await _prepare(context)
    if processed:
        await context.request_follow_up(extract_commitments)
    if reconciled.binding_error:
        raise reconciled.binding_error
    proof = {
        "inboxes": [inbox.as_dict() for inbox in reconciled.inboxes],
        "complete": reconciled.complete,
        "agrees": reconciled.agrees,
        "limited_role": reconciled.limited_role,
    }
    return RunOutcome(processed, proof | prepared | repaired)


async def _prepare(context: JobContext) -> dict[str, Any]:
    """Apply the opt-outs in the messages that were read, index their text, and request embeddings for new chunks."""
    resources, scope, report = context.resources, context.scope, context.time_slice
    await merges.record_merges(resources.db, scope)
    opted_out = await opt_outs.apply_opt_outs(resources.db, scope, resources.settings.opt_out_words)
    indexed = await index_conversations(resources.db, scope, ChunkLimits.from_settings(resources.settings), report)
    waiting = await source_sync.summarize_quarantine(resources.db, scope)
    counts = await vectors.count_chunks(resources.db, scope)
    if counts.pending:
        await context.request_follow_up(embed)
    result = {"chunks": asdict(indexed), "embeddings_pending": counts.pending, "opted_out": opted_out}
    return result | {
        "in_quarantine": waiting.count,
        "quarantine": [_quarantined_item(item) for item in waiting.longest],
    }


async def embed(context: JobContext) -> RunOutcome:
    """Embed the pending chunks, at most `limit` of them when the run was requested with one."""
    resources, scope = context.resources, context.scope
    # A sync that was killed may have left messages without chunks.
    await index_conversations(resources.db, scope, ChunkLimits.from_settings(resources.settings))
    provider = resources.provider
    if provider is None:
        raise Unavailable(
            "No embedding provider is configured: set OPENAI_API_KEY, or EMBEDDING_PROVIDER=local.",
            code="openai_not_configured",
            configured=False,
        )
    already, limit = _previous_count(context.run), context.run.params.get("limit")
    done = await vectors.embed_pending(
        resources.db,
        scope,
        provider,
        _embedding_options(resources.settings, context.run),
        vectors.EmbeddingControl(
            report=context.time_slice,
            limit=None if limit is None else max(0, limit - already),
            should_stop=context.time_slice.is_over,
            previously_done=already,
        ),
    )
    result = _add_previous(context.run, {"processed": done.processed, "failed": done.failed})
    result |= {"model": done.model, "status": done.status}
    result |= {"batch_size": done.batch_size, "batch_lowered_to": done.lowered_to}
    waiting = await source_sync.summarize_quarantine(resources.db, scope)
    result |= {"in_quarantine": waiting.count, "quarantine": [_quarantined_item(item) for item in waiting.longest]}
    finished = done.finished or not done.pending
    if finished:
        await _maintain_search(resources, scope)
    return RunOutcome(done.processed, result, finished)


async def extract_commitments(context: JobContext) -> RunOutcome:
    """Read what new and changed messages promise, and what they show about earlier commitments."""
    resources = context.resources
    totals = await extraction_job.run(
        resources.db,
        context.scope,
        resources.settings.project_timezone,
        context.time_slice,
        context.time_slice.is_over,
    )
    counts = {"messages": totals.messages, "stored": totals.stored, "removed": totals.removed}
    result = _add_previous(context.run, counts | {"resolved": totals.resolved})
    return RunOutcome(totals.messages, result, totals.finished)


async def maintain(context: JobContext) -> RunOutcome:
    """Delete old runs and answers, and keep search and totals fast."""
    resources, scope = context.resources, context.scope
    removed = await runs.delete_old(resources.db, scope, resources.settings.run_retention_days)
    answers = await register.delete_old(resources.db, scope, resources.settings.retention_days_answers)
    await _maintain_search(resources, scope)
    await totals.gather_counts(resources.db, scope)
    return RunOutcome(removed + answers, {"runs_removed": removed, "answers_removed": answers})


async def send_due_messages(context: JobContext) -> RunOutcome:
    """Send the approved messages that are due."""
    resources, scope = context.resources, context.scope
    requester = replace(scope, actor=replace(scope.actor, request_id=context.run.request_id))
    tally = await delivery.process_due(
        resources.db,
        requester,
        resources.outbound,
        resources.delivery_options,
        report=context.time_slice,
        should_stop=context.time_slice.is_over,
    )
    return RunOutcome(tally.processed, _add_previous(context.run, tally.counts), not tally.stopped_early)


async def observe(context: JobContext) -> RunOutcome:
    """Execute a job type of a package above this one. A process that has none for it does nothing."""
    observer = context.resources.observers.get(context.run.job_type)
    counts = await observer(context.resources, context.scope) if observer else {}
    return RunOutcome(counts.get("processed", 0), counts)


async def _maintain_search(resources: Resources, scope: Scope) -> None:
    """Refresh the keyword terms and the vector index."""
    await index_conversations(resources.db, scope, ChunkLimits.from_settings(resources.settings))
    await vector_index.maintain_index(resources.db, resources.owner_url, scope)


def _embedding_options(settings: Settings, run: Run) -> vectors.EmbeddingOptions:
    options = vectors.EmbeddingOptions.from_settings(settings)
    # Runs of a project do not overlap, so another attempt may take back the claims of a lost run at once.
    return replace(options, stale_minutes=0) if run.attempt > 1 else options


def _add_previous(run: Run, counts: dict[str, Any]) -> dict[str, Any]:
    """Add the counts of the previous time slices of the run."""
    before = run.meta.get("result", {})
    return {name: number + before.get(name, 0) for name, number in counts.items()}


def _previous_count(run: Run) -> int:
    before = run.meta.get("result", {})
    return before.get("processed", 0) + before.get("failed", 0)


def _chatwoot(resources: Resources) -> ChatwootClient:
    if resources.chatwoot is None:
        raise ChatwootNotConfigured(
            "Chatwoot is not configured: set CHATWOOT_BASE_URL and CHATWOOT_API_TOKEN.", configured=False
        )
    return resources.chatwoot


def _sync_options(settings: Settings) -> source_sync.SyncOptions:
    days = settings.chatwoot_lookback_days
    return source_sync.SyncOptions(
        default_account_id=settings.chatwoot_account_id,
        lookback=timedelta(days=days) if days else None,
        recheck=timedelta(minutes=settings.chatwoot_recheck_minutes),
    )


def _quarantined_item(item: QuarantinedItem) -> dict[str, Any]:
    fields = ("account_id", "entity", "entity_id", "conversation_id", "reason", "attempts")
    return {name: getattr(item, name) for name in fields}


def _counts(tally: source_sync.ImportCounts) -> dict[str, Any]:
    return {
        "contacts": tally.contacts,
        "conversations": tally.conversations,
        "messages": tally.messages,
        "removed_there": tally.removed,
        "quarantined": tally.quarantined,
    }
