"""Arguments for query functions: values of the target project, by the name of the parameter.

`OF_QUERY` holds the exceptions, by function and parameter.
"""

import inspect
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from pkgutil import walk_packages
from typing import Any
from uuid import uuid4

from pgvector import HalfVector

import proofdesk
from proofdesk.answers import answer_queries
from proofdesk.answers.answer_queries import AnswerFilter, AnswerOutcome
from proofdesk.answers.message_queries import ReadWindow
from proofdesk.audit.events import EvidenceRef
from proofdesk.audit.queries import AuditFilter, NewAuditEvent
from proofdesk.chatwoot import cursor_queries, quarantine_queries
from proofdesk.chatwoot import queries as chatwoot_queries
from proofdesk.chatwoot.parsing import InvalidItem
from proofdesk.commitments import commitment_queries, register_queries
from proofdesk.commitments.commitment_queries import CommitmentFilter
from proofdesk.commitments.register_queries import NewCommitment, Resolution
from proofdesk.conversations import queries as conversation_queries
from proofdesk.core.ids import GlobalId
from proofdesk.digests.queries import DigestSubscription
from proofdesk.evidence.queries import CitedRow
from proofdesk.incidents.notification_queries import NewNotification
from proofdesk.incidents.queries import Incident
from proofdesk.indexing import chunk_queries
from proofdesk.indexing.chunk_queries import StoredChunk
from proofdesk.indexing.chunking.chunker import Chunk
from proofdesk.indexing.embeddings.batches import EmbeddingOutcome
from proofdesk.indexing.term_queries import Postings
from proofdesk.indexing.transcript_queries import StaleConversation, TranscriptMessage
from proofdesk.indexing.vector_queries import ClaimedChunk
from proofdesk.jobs import run_state_queries
from proofdesk.outbound import approval_queries, policy_queries, rules_queries, suppression_queries
from proofdesk.outbound.channels.telegram import move_queries
from proofdesk.outbound.delivery import attempt_queries, claim_queries
from proofdesk.outbound.delivery.attempt_queries import AttemptOutcome
from proofdesk.outbound.delivery.claim_queries import ChannelDelay, MessageUpdate
from proofdesk.outbound.draft_queries import DraftRecord
from proofdesk.outbound.gates import Policy
from proofdesk.outbound.message_queries import OutboundFilter
from proofdesk.outbound.opt_outs.queries import MessagePosition
from proofdesk.outbound.policy_queries import PolicyFilter, PolicyUpdate
from proofdesk.outbound.rules_queries import OutboundRules
from proofdesk.outbound.suppression_queries import NewSuppression
from proofdesk.outbound.version_queries import MessageContent
from proofdesk.runbooks import outbound_queries
from proofdesk.search.queries import FilterParams, QueryVector, WeightedTerm
from proofdesk.search.ranking_queries import RankingParams
from tests.support.embedding import DIMENSION
from tests.support.stories import ACCOUNT
from tests.support.worlds import World

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

Query = Callable[..., Any]


def queries(*, scoped: bool = True) -> Iterator[tuple[str, Query]]:
    """Yield every query function with a scope, or every one without, and its name."""
    for module in walk_packages(proofdesk.__path__, "proofdesk."):
        if not module.name.endswith("queries"):
            continue
        for name, function in vars(import_module(module.name)).items():
            if not inspect.iscoroutinefunction(function) or function.__module__ != module.name or name[0] == "_":
                continue
            if ("scope" in inspect.signature(function).parameters) is scoped:
                yield f"{module.name.removeprefix('proofdesk.')}.{name}", function


def arguments_for(name: str, query: Query, world: World) -> dict[str, Any]:
    """Return arguments for the query, without connection and scope."""
    arguments: dict[str, Any] = {}
    for parameter in inspect.signature(query).parameters:
        if parameter not in ("conn", "scope"):
            make = OF_QUERY.get((query, parameter)) or BY_NAME.get(parameter)
            assert make is not None, f"Add a value for {name}({parameter}) to {__name__}.BY_NAME."
            arguments[parameter] = make(world)
    return arguments


def _stale(number: int) -> StaleConversation:
    return StaleConversation(ACCOUNT, number, "Website chat", 1, 1, None, None, None, [])


def _transcript_message(world: World) -> TranscriptMessage:
    message_id = world.chunk.message_id
    return TranscriptMessage(ACCOUNT, 101, message_id, 1, "contact", None, world.word, None, None, [], LONG_AGO)


def _contact(world: World) -> dict[str, Any]:
    empty = {"additional_attributes": {}, "custom_attributes": {}}
    return {"contact_id": 11, "name": f"Somebody {world.word}", "blocked": False, **empty}


def _conversation(world: World) -> dict[str, Any]:
    empty = {"additional_attributes": {}, "custom_attributes": {}}
    times = dict.fromkeys(("last_activity_at", "created_at", "updated_at"), LONG_AGO.isoformat())
    return {"conversation_id": 101, "inbox_id": 1, "contact_id": 11, "status": "open", "labels": [], **empty, **times}


def _message(world: World) -> dict[str, Any]:
    texts = {"message_type": "incoming", "content_type": "text", "content": world.word, "sender_type": "contact"}
    rest = {"private": False, "deleted": False, "content_attributes": {}, "attachments": []}
    return (
        {"message_id": 10100, "conversation_id": 101, "inbox_id": 1, "created_at": LONG_AGO.isoformat()} | texts | rest
    )


def _claimed(world: World) -> ClaimedChunk:
    chunk = world.chunk
    key = (ACCOUNT, chunk.message_id, chunk.chunk_index)
    return ClaimedChunk(*key, chunk.context, chunk.text, chunk.content_hash, chunk.claimed_at)


def _stored_chunk(world: World) -> StoredChunk:
    chunk = world.chunk
    return StoredChunk(ACCOUNT, chunk.message_id, chunk.chunk_index, chunk.covers, chunk.content_hash, None)


def _promise(world: World) -> NewCommitment:
    key = (ACCOUNT, 101, 10100, LONG_AGO)
    return NewCommitment(*key, f"New {world.word}", "us", world.word, None, None, False, "english", 0.9, "open")


VECTOR = QueryVector("ours", DIMENSION, HalfVector([0.1] * DIMENSION))


def _ranking(world: World) -> RankingParams:
    return RankingParams(
        terms=[WeightedTerm(0, "refund", 1.0, 1), WeightedTerm(-1, world.word, 1.0, 1)],
        common=[WeightedTerm(1, "delivery", 1.0, 1)],
        average_length=100.0,
        completed_candidates=100,
        keyword_candidates=100,
        vector=VECTOR,
        limit=100,
    )


def _event(world: World) -> NewAuditEvent:
    return NewAuditEvent(world.word, None, "job.requested", "job", None, "ok", None, {}, [])


def _draft(world: World) -> DraftRecord:
    return DraftRecord("email", "a@example.com", {"text": world.word}, "new", None, 5, None, [], b"")


def _contact_id(world: World) -> str:
    return f"cwc:{world.project_id}:{ACCOUNT}:11"


def _policy(world: World) -> Policy:
    whose = (world.policy_id, world.project_id, world.owner.account_scope_id, _contact_id(world), "email")
    return Policy(*whose, False, True, 24, 3, 1, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO)


def _incident(world: World) -> Incident:
    texts = ("auth-loop", "session", world.word, world.word, {}, [])
    return Incident(world.project_id, False, *texts, "open", 2, 0, 0, 0, LONG_AGO, LONG_AGO)


def _always(value: Any) -> Callable[[World], Any]:
    return lambda _: value


BY_NAME: dict[str, Callable[[World], Any]] = {
    # Rows of Chatwoot
    "account_id": _always(ACCOUNT),
    "inbox_id": _always(1),
    "inbox_ids": _always(None),
    "inboxes": _always(None),
    "listed": _always([1]),
    "contact_ids": _always([11, 12, 77]),
    "conversation_id": _always(101),
    "conversation_ids": _always([101, 102, 999]),
    "message_id": lambda w: w.chunk.message_id,
    "message_ids": _always([10101, 10199]),
    "length": _always(100),
    "before": _always(None),
    "before_id": _always(None),
    "present": _always([10101]),
    "since": _always(LONG_AGO),
    "key": lambda w: GlobalId("conversation", w.project_id, ACCOUNT, 101),
    "contact_key": lambda w: GlobalId("contact", w.project_id, ACCOUNT, 11),
    "conversation_key": lambda w: GlobalId("conversation", w.project_id, ACCOUNT, 101),
    "source": _always("chatwoot_account:7"),
    "cursor_ts": _always(LONG_AGO),
    "items": lambda w: [InvalidItem("message", "1", 101, w.word, "{}")],
    "reasons": lambda w: {(ACCOUNT, 101): w.word},
    "excluded": _always([(ACCOUNT, 999)]),
    "entity": _always("message"),
    "entity_ids": _always(["1"]),
    # Chunks, vectors and terms
    "rules": lambda w: w.word,
    "index": _always("terms"),
    "reader": _always("opt_out_words"),
    "until": _always(LONG_AGO),
    "conversations": _always([_stale(n) for n in (101, 102, 999)]),
    "chunks": lambda w: [_claimed(w)],
    "chunk_index": lambda w: w.chunk.chunk_index,
    "outcomes": _always([EmbeddingOutcome(None, "refused")]),
    "model": _always("ours"),
    "vector": _always(VECTOR),
    "configured": _always("none"),
    "dimension": _always(DIMENSION),
    "minutes": _always(1),
    "max_attempts": _always(1),
    "postings": lambda w: [Postings(ACCOUNT, 101, 10, {w.word: 10}, {})],
    "terms": lambda w: ["refund", w.word, ""],
    "whole": _always(""),
    "ranking": lambda w: _ranking(w),
    "filters": _always(FilterParams(status="open", sender="contact")),
    # Projects and jobs
    "name": lambda w: f"New {w.word}",
    "user_id": lambda w: w.member_id,
    "role": lambda _: "viewer",
    "username": lambda w: w.member,
    "source_id": lambda w: w.source_id,
    "kind": _always("chatwoot_inbox"),
    "external_id": lambda w: f"7:{len(w.word)}",
    "job_type": _always("chatwoot_sync"),
    "trigger": _always("manual"),
    "params": _always({}),
    "run_id": lambda w: w.run_id,
    "run_ids": lambda w: [w.run_id],
    "with_latest": _always(True),
    "runner": _always("host:1:1"),
    "attempts": _always(0),
    "days": _always(1),
    "outcome": _always("ok"),
    "failures": _always(0),
    "delay": _always(60.0),
    "pause_for": _always("worker_lost"),
    "job_status": _always("paused"),
    "cadence_seconds": _always(60),
    "progress": _always({"done": 1}),
    "status": _always(None),
    "processed": _always(1),
    "error": _always(None),
    "details": _always(None),
    "meta": _always({}),
    # Audit and evidence
    "event": _event,
    "events": lambda w: [_event(w), _event(w)],
    "event_filter": _always(AuditFilter()),
    "query": _always("delivery"),
    "refs": lambda w: [w.message()],
    "source_type": _always("message"),
    "reference": lambda w: EvidenceRef("cw_messages", w.message()),
    "cited": lambda w: CitedRow(ACCOUNT, 101, 10100, 11, w.word, False),
    "snippet": lambda w: w.word,
    # Answers
    "answer_id": lambda w: w.project_id,  # the id of the answer in `worlds`
    "answer_filter": _always(AnswerFilter()),
    "answer_outcome": _always(AnswerOutcome("abstained", [], [], [], None, 0, 0, None, None, 1.0)),
    "question": _always("When?"),
    "reserved_tokens": _always(0),
    "useful": _always(True),
    "comment": _always(None),
    "conversation_keys": _always([(ACCOUNT, 101), (ACCOUNT, 999)]),
    "name_patterns": lambda w: ["%a%", f"%{w.word}%"],
    "include_private": _always(True),
    "window": lambda w: ReadWindow([w.chunk.message_id]),
    "accounts": _always([ACCOUNT, ACCOUNT]),
    # Commitments
    "commitment_id": lambda w: w.project_id,  # the id of the commitment in `worlds`
    "commitment_ids": lambda w: [w.project_id],
    "wanted": _always(CommitmentFilter()),
    "today": _always(LONG_AGO.date()),
    "messages": _always([(ACCOUNT, 10100)]),
    "found_quotes": _always([]),
    "resolutions": lambda w: [Resolution(w.project_id, "kept", 10101, None, True)],
    "due": _always(None),
    "what": lambda w: w.word,
    "edited": _always(["state"]),
    "ignores_suggestion": _always(True),
    "token_hash": lambda w: w.word.encode(),
    "created_by": _always("ada"),
    # Outbound
    "draft": _draft,
    "channel": _always("email"),
    "channels": _always(["email"]),
    "excluded_channels": _always([]),
    "recipient": _contact_id,
    "recipients": lambda w: ["amina@example.com", w.conversation()],
    "contacts": lambda w: [[_policy(w)]],
    "number": _always(101),
    "policy_ids": lambda w: [w.policy_id],
    "policies": lambda w: [_policy(w)],
    "policy_filter": lambda w: PolicyFilter(_contact_id(w), "email"),
    "update": _always(PolicyUpdate(opted_out=True)),
    "message_filter": lambda w: OutboundFilter(pattern=f"%{w.word}%"),
    "contact_id": _always(11),
    "idempotency_key": _always("key of draft"),
    "dedupe_key": _always("dedupe key of draft"),
    "after": _always(MessagePosition(LONG_AGO)),
    "characters": _always(2000),
    "chat_id": _always(-42),
    "moved_to": _always(-1043),
    "new_name": _always("-1042"),
    "delays": _always([ChannelDelay("email", "provider_error: busy", 60.0)]),
    "within": _always(3600.0),
    "seconds": _always(30.0),
    "content": lambda w: MessageContent("ada@example.com", {"text": w.word}, [], None),
    "suppressions": lambda w: [NewSuppression("email", "gone@example.com", "bounce", w.word)],
    "reason": lambda w: w.word,
    "by": lambda w: w.word,
    "outbound_id": lambda w: w.outbound["draft"],
    "outbound_ids": lambda w: list(w.outbound.values()),
    "started_at": _always(LONG_AGO),
    "lease": _always(60.0),
    "updates": lambda w: [MessageUpdate(w.outbound["approved"], "sending", None, None, [w.policy_id])],
    # Incidents
    "incidents": lambda w: [_incident(w)],
    "incident_id": lambda w: w.project_id,  # the id of the incident in `worlds`
    "incident_ids": lambda w: [w.project_id],
    "notifications": lambda w: [NewNotification(w.project_id, False, "email", "reminder", 1)],
    "notification_id": lambda w: w.project_id,
    "ids": lambda w: [w.project_id],
    "state": _always(None),
    "attempt": _always(1),
    "retry_after": _always(None),
    # Digests
    "subscription": _always(DigestSubscription(True, True, "a@example.com", False)),
    "cadence": _always("daily"),
    "ends_at": _always(datetime(2100, 1, 1, tzinfo=UTC)),
    "delivery_id": lambda w: w.project_id,
    "delivery_status": _always("failed"),
    # Runbooks and lists
    "purposes": _always(["login"]),
    "text": lambda w: f"Somebody {w.word}",
    "pattern": _always("%"),
    "limit": _always(100),
    "offset": _always(0),
    "most": _always(100),
}
OF_QUERY: dict[tuple[Query, str], Callable[[World], Any]] = {
    (commitment_queries.update_commitment, "state"): _always("kept"),
    (register_queries.upsert_commitments, "rows"): lambda w: [_promise(w)],
    (answer_queries.insert_running, "answer_id"): _always(uuid4()),
    (conversation_queries.get_contact, "key"): lambda w: GlobalId("contact", w.project_id, ACCOUNT, 11),
    (conversation_queries.get_message, "key"): lambda w: GlobalId("message", w.project_id, ACCOUNT, 10100),
    (chatwoot_queries.store_inboxes, "rows"): lambda w: [{"inbox_id": 1, "name": w.word, "channel_type": "x"}],
    (chatwoot_queries.store_contacts, "rows"): lambda w: [_contact(w)],
    (chatwoot_queries.store_conversations, "rows"): lambda w: [_conversation(w)],
    (chatwoot_queries.store_messages, "rows"): lambda w: [_message(w)],
    (cursor_queries.store_cursors, "rows"): _always([{"conversation_id": 101, "message_cursor": 5, "read_mark": "x"}]),
    (quarantine_queries.release_conversations, "conversations"): _always([(ACCOUNT, 101)]),
    (cursor_queries.find_stored_elsewhere, "rows"): _always([{"message_id": 10101, "conversation_id": 102}]),
    (chunk_queries.upsert_chunks, "chunks"): lambda w: [
        Chunk(_transcript_message(w), w.chunk.chunk_index, w.chunk.covers, ["contact"], w.word, "")
    ],
    (chunk_queries.delete_chunks, "chunks"): lambda w: [_stored_chunk(w)],
    (run_state_queries.insert_run, "job_type"): _always("chatwoot_reconcile"),
    (run_state_queries.finish_run, "status"): _always("ok"),
    (approval_queries.retry_message, "outbound_id"): lambda w: w.outbound["failed"],
    (approval_queries.redraft_message, "outbound_id"): lambda w: w.outbound["cancelled"],
    (attempt_queries.fetch_attempts, "outbound_id"): lambda w: w.outbound["sent"],
    (suppression_queries.fetch_suppression, "name"): _always("gone@example.com"),
    (suppression_queries.delete_suppression, "name"): _always("gone@example.com"),
    (suppression_queries.fetch_suppressed, "channels"): _always(["email", "email"]),
    (suppression_queries.fetch_suppressed, "recipients"): lambda w: ["gone@example.com", w.conversation()],
    (rules_queries.store_rules, "rules"): _always(OutboundRules(True)),
    (claim_queries.lock_held_messages, "message_ids"): lambda w: list(w.outbound.values()),
    (attempt_queries.insert_attempts, "outbound_ids"): lambda w: [w.outbound["approved"]],
    (attempt_queries.finish_attempts, "outcomes"): lambda w: [
        AttemptOutcome(w.outbound["sending"], 1, "sent", w.word, None, 1.0, None)
    ],
    (policy_queries.ensure_policies, "recipients"): _always(["amina@example.com"]),
    (move_queries.link_policy, "name"): _always("amina@example.com"),
    (outbound_queries.list_recipient_policies, "channels"): _always(["email", "email"]),
    (outbound_queries.list_recipient_policies, "recipients"): lambda w: ["amina@example.com", _contact_id(w)],
}
