"""What the jobs do. The main flow, each stage handing rows to the next, so that each can run alone or twice:

chatwoot_sync:   chatwoot.sync → embeddings.chunks → search.index   then asks for
embeddings_run:  embeddings.vectors
"""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from proofdesk.chatwoot import reconcile, sync
from proofdesk.chatwoot.client import Chatwoot
from proofdesk.chatwoot.reading_queries import Quarantined
from proofdesk.embeddings import chunks, vectors
from proofdesk.errors import Unavailable
from proofdesk.progress import Report, silent
from proofdesk.projects.scope import Scope
from proofdesk.resources import Resources
from proofdesk.scheduler import runs
from proofdesk.scheduler.queries import Run
from proofdesk.scheduler.runs import Outcome, Work
from proofdesk.search import index
from proofdesk.settings import Settings

SYNC, EMBED, RECONCILE = "chatwoot_sync", "embeddings_run", "chatwoot_reconcile"


class ChatwootNotConfigured(Unavailable):
    """CHATWOOT_BASE_URL or CHATWOOT_API_TOKEN is missing."""

    code = "chatwoot_not_configured"


def work(resources: Resources, job_type: str) -> Work:
    """What to do for a job of that type."""
    jobs = {SYNC: _sync, EMBED: _embed, RECONCILE: _reconcile}

    async def carry_out(scope: Scope, run: Run, report: Report) -> Outcome:
        return await jobs[job_type](resources, scope, run, report)

    return carry_out


async def _sync(resources: Resources, scope: Scope, _: Run, report: Report) -> Outcome:
    options = _options(resources.settings)
    synced = await sync.run(resources.db, _chatwoot(resources), scope, options, report)
    result = await _prepare(resources, scope, report)
    result |= _counts(synced.tally) | {"in_quarantine": synced.in_quarantine}
    result["quarantine"] = [_waiting(item) for item in synced.waiting]
    return Outcome(synced.tally.messages, result)


async def _reconcile(resources: Resources, scope: Scope, _: Run, report: Report) -> Outcome:
    settings = resources.settings
    found = await reconcile.run(
        resources.db,
        _chatwoot(resources),
        scope,
        _options(settings),
        settings.chatwoot_reconcile_requests_per_minute,
        report,
    )
    prepared = await _prepare(resources, scope, report)
    proof = {"inboxes": [inbox.as_dict() for inbox in found.inboxes], "complete": found.complete}
    return Outcome(found.repaired.messages + found.repaired.removed, proof | prepared | _counts(found.repaired))


async def _prepare(resources: Resources, scope: Scope, report: Report) -> dict[str, Any]:
    """Make what was read findable: by words at once, by meaning as soon as it is embedded."""
    cut = await chunks.cut(resources.db, scope, chunks.limits_of(resources.settings), report)
    await index.refresh(resources.db, scope, report)
    counts = await vectors.counts(resources.db, scope)
    if counts.pending:
        await runs.request(resources.db, scope, EMBED, "schedule")
    return {"chunks": asdict(cut), "embeddings_pending": counts.pending}


async def _embed(resources: Resources, scope: Scope, run: Run, report: Report) -> Outcome:
    # Whatever was read and not cut yet, because a sync was killed in between, comes along.
    await chunks.cut(resources.db, scope, chunks.limits_of(resources.settings), silent)
    await index.refresh(resources.db, scope, silent)
    provider = resources.provider
    if provider is None:
        raise Unavailable(
            "No embedding provider is configured: set OPENAI_API_KEY, or EMBEDDING_PROVIDER=local.",
            code="openai_not_configured",
            configured=False,
        )
    options = vectors.Options.of(resources.settings)
    done = await vectors.embed_pending(resources.db, scope, provider, options, report, run.params.get("limit"))
    result = {"processed": done.processed, "failed": done.failed, "model": done.model, "status": done.status}
    result |= {"batch_size": done.batch_size, "batch_lowered_to": done.lowered_to}
    return Outcome(done.processed, result)


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
