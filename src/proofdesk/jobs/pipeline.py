"""What the jobs do. The main flow, each stage handing rows to the next, so that each can run alone or twice:

chatwoot_sync:     chatwoot.sync → outbound.inbound → embeddings.chunks → search.index   then asks for
                   → outbound.deliveries
embeddings_run:    embeddings.vectors → _look_after_search
outbound_process:  outbound.delivery, for whatever is due
maintenance:       what is old is removed → _look_after_search → conversations.totals.gather_counts

A handler gets the run's `Turn`: it reports to it, and asks it between batches or pages whether to leave off. Then it
gives what it did so far as an `Outcome` that is not finished, and finds that in `run.meta` when it is called again.
"""

from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from proofdesk.chatwoot import reconcile, sync
from proofdesk.chatwoot.client import Chatwoot
from proofdesk.chatwoot.cursor_queries import Quarantined
from proofdesk.conversations import totals
from proofdesk.core.progress import Report, silent
from proofdesk.errors import Unavailable
from proofdesk.indexing import chunks, terms, vector_index, vectors
from proofdesk.jobs import runs
from proofdesk.jobs.fairness import TimeSlice
from proofdesk.jobs.resources import Resources
from proofdesk.jobs.run_queries import Run
from proofdesk.jobs.runs import RunHandler, RunOutcome
from proofdesk.outbound import deliveries, delivery, merges, opt_outs
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings

SYNC, EMBED, RECONCILE, MAINTAIN = "chatwoot_sync", "embeddings_run", "chatwoot_reconcile", "maintenance"
OUTBOUND = "outbound_process"


class ChatwootNotConfigured(Unavailable):
    """CHATWOOT_BASE_URL or CHATWOOT_API_TOKEN is missing."""

    code = "chatwoot_not_configured"
    pauses = True


def work(resources: Resources, job_type: str) -> RunHandler:
    """What to do for a job of that type."""
    jobs = {SYNC: _sync, EMBED: _embed, RECONCILE: _reconcile, MAINTAIN: _maintain, OUTBOUND: _send_due}

    async def carry_out(scope: Scope, run: Run, turn: TimeSlice) -> RunOutcome:
        return await jobs[job_type](resources, scope, run, turn)

    return carry_out


async def _sync(resources: Resources, scope: Scope, run: Run, turn: TimeSlice) -> RunOutcome:
    options = _options(resources.settings)
    synced = await sync.run(resources.db, _chatwoot(resources), scope, options, turn, turn.is_over)
    result = await _prepare(resources, scope, turn)
    await deliveries.refresh_reports(resources.db, _chatwoot(resources), scope)
    result |= _sums(run, _counts(synced.counts))
    return RunOutcome(synced.counts.messages, result, synced.finished)


async def _reconcile(resources: Resources, scope: Scope, run: Run, turn: TimeSlice) -> RunOutcome:
    settings, before = resources.settings, run.meta.get("result", {}).get("walked", {})
    found = await reconcile.run(
        resources.db,
        _chatwoot(resources),
        scope,
        _options(settings),
        settings.chatwoot_reconcile_requests_per_minute,
        turn,
        turn.is_over,
        {source: [reconcile.InboxProof.from_dict(p) for p in proofs] for source, proofs in before.items()},
    )
    repaired = _sums(run, _counts(found.changes))
    processed = found.changes.messages + found.changes.removed
    if not found.finished:
        walked = {source: [p.as_dict() for p in proofs] for source, proofs in found.walked.items()}
        return RunOutcome(processed, repaired | {"walked": walked}, finished=False)
    prepared = await _prepare(resources, scope, turn)
    proof = {"inboxes": [inbox.as_dict() for inbox in found.inboxes], "complete": found.complete}
    return RunOutcome(processed, proof | prepared | repaired)


async def _prepare(resources: Resources, scope: Scope, report: Report) -> dict[str, Any]:
    """Heed who opted out by what was read; make it findable: by words at once, by meaning as soon as it is embedded."""
    await merges.record_merges(resources.db, scope)
    opted_out = await opt_outs.apply_opt_outs(resources.db, scope, resources.settings.opt_out_words)
    cut = await chunks.cut(resources.db, scope, chunks.limits_of(resources.settings), report)
    await terms.refresh(resources.db, scope, report)
    waiting = await sync.waiting(resources.db, scope)
    counts = await vectors.counts(resources.db, scope)
    if counts.pending:
        await runs.request_after(resources.db, scope, EMBED, "schedule")
    result = {"chunks": asdict(cut), "embeddings_pending": counts.pending, "opted_out": opted_out}
    return result | {"in_quarantine": waiting.count, "quarantine": [_waiting(item) for item in waiting.longest]}


async def _embed(resources: Resources, scope: Scope, run: Run, turn: TimeSlice) -> RunOutcome:
    # Whatever was read and not cut yet, because a sync was killed in between, comes along.
    await chunks.cut(resources.db, scope, chunks.limits_of(resources.settings), silent)
    await terms.refresh(resources.db, scope, silent)
    provider = resources.provider
    if provider is None:
        raise Unavailable(
            "No embedding provider is configured: set OPENAI_API_KEY, or EMBEDDING_PROVIDER=local.",
            code="openai_not_configured",
            configured=False,
        )
    already, limit = _done(run), run.params.get("limit")
    done = await vectors.embed_pending(
        resources.db,
        scope,
        provider,
        _embedding(resources.settings, run),
        turn,
        None if limit is None else max(0, limit - already),
        turn.is_over,
        already,
    )
    result = _sums(run, {"processed": done.processed, "failed": done.failed})
    result |= {"model": done.model, "status": done.status}
    result |= {"batch_size": done.batch_size, "batch_lowered_to": done.lowered_to}
    waiting = await sync.waiting(resources.db, scope)
    result |= {"in_quarantine": waiting.count, "quarantine": [_waiting(item) for item in waiting.longest]}
    finished = done.finished or not done.pending
    if finished:
        await _look_after_search(resources, scope)
    return RunOutcome(done.processed, result, finished)


async def _maintain(resources: Resources, scope: Scope, _: Run, __: TimeSlice) -> RunOutcome:
    removed = await runs.delete_old(resources.db, scope, resources.settings.run_retention_days)
    await _look_after_search(resources, scope)
    await totals.gather_counts(resources.db, scope)
    return RunOutcome(removed, {"runs_removed": removed})


async def _send_due(resources: Resources, scope: Scope, run: Run, turn: TimeSlice) -> RunOutcome:
    asked_by = replace(scope, actor=replace(scope.actor, request_id=run.request_id))
    options = delivery.DeliveryOptions.from_settings(resources.settings)
    tally = await delivery.process_due(
        resources.db, asked_by, resources.outbound, options, report=turn, leave_off=turn.is_over
    )
    return RunOutcome(tally.processed, _sums(run, tally.counts), not tally.left_off)


async def _look_after_search(resources: Resources, scope: Scope) -> None:
    """What keeps search fast: called when everything is embedded, and by maintenance."""
    await terms.refresh(resources.db, scope, silent)
    await vector_index.look_after(resources.db, resources.owner_url, scope)


def _embedding(settings: Settings, run: Run) -> vectors.Options:
    options = vectors.Options.of(settings)
    # Runs of a project do not overlap: what a lost one had claimed, its next try may take back at once.
    return replace(options, stale_minutes=0) if run.attempt > 1 else options


def _sums(run: Run, counts: dict[str, Any]) -> dict[str, Any]:
    """The counts of this turn together with those of the turns before it."""
    before = run.meta.get("result", {})
    return {name: number + before.get(name, 0) for name, number in counts.items()}


def _done(run: Run) -> int:
    before = run.meta.get("result", {})
    return before.get("processed", 0) + before.get("failed", 0)


def _chatwoot(resources: Resources) -> Chatwoot:
    if resources.chatwoot is None:
        raise ChatwootNotConfigured(
            "Chatwoot is not configured: set CHATWOOT_BASE_URL and CHATWOOT_API_TOKEN.", configured=False
        )
    return resources.chatwoot


def _options(settings: Settings) -> sync.Options:
    days = settings.chatwoot_lookback_days
    return sync.Options(
        default_account_id=settings.chatwoot_account_id,
        lookback=timedelta(days=days) if days else None,
        recheck=timedelta(minutes=settings.chatwoot_recheck_minutes),
    )


def _waiting(item: Quarantined) -> dict[str, Any]:
    told = ("account_id", "entity", "entity_id", "conversation_id", "reason", "attempts")
    return {name: getattr(item, name) for name in told}


def _counts(tally: sync.Tally) -> dict[str, Any]:
    return {
        "contacts": tally.contacts,
        "conversations": tally.conversations,
        "messages": tally.messages,
        "removed_there": tally.removed,
        "quarantined": tally.quarantined,
    }
