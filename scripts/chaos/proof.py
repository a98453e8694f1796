"""Compares what is stored about each message with what the simulated providers received."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from crew import Crew
from psycopg.rows import namedtuple_row
from recipients import Person, Recipients

from proofdesk.cli import output

REASONS = {
    ("blocked_opt_out", "recipient_opted_out"),
    ("cancelled", "stop_on_reply"),
    ("approved", "frequency_cap_reached"),
    ("failed", "frequency_cap_reached"),  # it failed, and others had taken the place when it was to be tried again
    ("failed", "delivery_unknown"),
    ("failed", "provider_error"),
}


def due_now(db: psycopg.Connection) -> None:
    """Make sending, reading and retries due now."""
    db.execute(
        "UPDATE scheduled_jobs SET next_run_at = now() WHERE status = 'active' AND next_run_at > now()"
        " AND job_type IN ('outbound_process', 'chatwoot_sync')"
    )
    db.execute(
        "UPDATE outbound_messages SET next_attempt_at = now() WHERE status = 'failed' AND next_attempt_at > now()"
        " AND last_error LIKE 'provider_error%'"
    )


def let_time_pass(db: psycopg.Connection, lease: float) -> None:
    """Age the attempts whose call is over by half a minute, after which Chatwoot has dropped their requests."""
    db.execute(
        "UPDATE outbound_attempts SET started_at = started_at - interval '30 seconds' WHERE outcome IS NULL"
        " AND started_at BETWEEN clock_timestamp() - interval '30 seconds'"
        " AND clock_timestamp() - make_interval(secs => %s)",
        [lease],
    )


def left(db: psycopg.Connection) -> int:
    """Return the number of messages that are not settled, apart from those that wait for their window."""
    return _number(
        db,
        "SELECT count(*) FROM outbound_messages WHERE status = 'sending'"
        " OR next_attempt_at IS NOT NULL AND last_error IS DISTINCT FROM 'frequency_cap_reached'",
    )


@dataclass
class Witness:
    """When opt-outs and replies became visible in the database, by policy.

    A later claim must have seen them.
    """

    out: dict[UUID, datetime] = field(default_factory=dict)
    replied: dict[UUID, list[tuple[datetime, datetime]]] = field(default_factory=lambda: defaultdict(list))

    def look(self, db: psycopg.Connection) -> None:
        """Record new opt-outs and replies."""
        rows = db.execute(
            "SELECT id, opted_out, last_inbound_at, clock_timestamp() FROM contact_channel_policies"
            " WHERE opted_out OR last_inbound_at IS NOT NULL"
        )
        for policy, opted_out, inbound, now in rows.fetchall():
            if opted_out:
                self.out.setdefault(policy, now)
            if inbound is not None and (not self.replied[policy] or self.replied[policy][-1][0] < inbound):
                self.replied[policy].append((inbound, now))

    def reason_against(self, message: Any, claimed: datetime) -> str | None:
        """Return what was visible against an attempt when it began."""
        for policy in message.policy_ids:
            if policy in self.out and self.out[policy] < claimed:
                return "out"
            if any(at > message.approved_at and seen < claimed for at, seen in self.replied.get(policy, [])):
                return "replied"
        return None


@dataclass
class Proof:
    """The stored and the delivered messages at the end."""

    messages: list[Any]
    attempts: dict[UUID, list[Any]]
    arrived: Counter[str]
    people: dict[tuple[UUID, str, str], Person]
    witness: Witness

    @property
    def findings(self) -> dict[str, int]:
        """Return the number of messages of each kind of error. All of them must be 0."""
        keys = {message.idempotency_key for message in self.messages}
        return {
            "delivered more than once": sum(number > 1 for number in self.arrived.values()),
            "delivered without a stored message": sum(key not in keys for key in self.arrived),
            "delivered to contacts who had opted out": self._forbidden("out") + self._to_those_out_before(),
            "sent after a reply": self._forbidden("replied"),
            "delivered beyond a cap": self._beyond_caps(),
            "tried again although delivery was unknown": sum(
                attempt.outcome == "unknown" for tries in self.attempts.values() for attempt in tries[:-1]
            ),
            "not sent, and without a reason": sum(not self._explained(message) for message in self.messages),
            "stored with a wrong status": sum(not self._true(message) for message in self.messages),
            "stuck in sending": sum(message.status == "sending" for message in self.messages),
        }

    def _forbidden(self, why: str) -> int:
        return sum(
            self.witness.reason_against(message, attempt.started_at) == why
            for message in self.messages
            for attempt in self.attempts[message.id]
        )

    def _to_those_out_before(self) -> int:
        return sum(self.arrived[m.idempotency_key] for m in self.messages if self._person(m).was_out)

    def _beyond_caps(self) -> int:
        got: Counter[Person] = Counter()
        for message in self.messages:
            got[self._person(message)] += self.arrived[message.idempotency_key]
        return sum(max(0, number - person.cap) for person, number in got.items())

    def _person(self, message: Any) -> Person:
        return self.people[message.project_id, message.channel, message.recipient_ref]

    def _explained(self, message: Any) -> bool:
        tries = self.attempts[message.id]
        if message.status == "sent":
            return tries[-1].outcome == "sent" and message.last_error is None
        if message.last_error == "delivery_unknown" and (not tries or tries[-1].outcome != "unknown"):
            return False
        return (message.status, reason(message)) in REASONS

    def _true(self, message: Any) -> bool:
        number = self.arrived[message.idempotency_key]
        return message.last_error == "delivery_unknown" or number == (message.status == "sent")


def load_proof(db: psycopg.Connection, world: Recipients, witness: Witness) -> Proof:
    """Load the stored and the delivered messages."""
    with db.cursor(row_factory=namedtuple_row) as cursor:
        messages = cursor.execute(
            "SELECT id, project_id, channel, recipient_ref, idempotency_key, status, last_error, approved_at,"
            " policy_ids FROM outbound_messages"
        ).fetchall()
        attempts: dict[UUID, list[Any]] = defaultdict(list)
        made: list[Any] = cursor.execute(
            "SELECT outbound_id, started_at, outcome FROM outbound_attempts ORDER BY number"
        ).fetchall()
    for attempt in made:
        attempts[attempt.outbound_id].append(attempt)
    people = {(p.inside.project_id, p.channel, p.ref): p for p in world.people}
    return Proof(messages, attempts, world.arrived(), people, witness)


def show(proof: Proof, world: Recipients, crew: Crew, seconds: float) -> None:
    """Print the numbers."""
    tries = Counter(attempt.outcome for made in proof.attempts.values() for attempt in made)
    rows: list[tuple[str, object]] = [
        ("messages", len(proof.messages)),
        ("people", len(world.people)),
        ("seconds", round(seconds, 1)),
        ("messages a second", round(len(proof.messages) / seconds, 1)),
        ("kills", crew.kills),
        ("delivered", sum(proof.arrived.values())),
        *((f"attempts: {outcome}", number) for outcome, number in sorted(tries.items())),
        *((f"faults: {service}, {kind}", faults_count) for service, kind, faults_count in world.faults_count()),
        ("opted out", len(proof.witness.out)),
        *proof.findings.items(),
    ]
    output.print_table(("What", "Number"), rows)
    ended = Counter((m.channel, m.status, reason(m) or "") for m in proof.messages)
    most: dict[tuple[str, str, str], int] = defaultdict(int)
    for message in proof.messages:
        kind = (message.channel, message.status, reason(message) or "")
        most[kind] = max(most[kind], len(proof.attempts[message.id]))
    table = [(*kind, number, most[kind]) for kind, number in sorted(ended.items())]
    output.print_table(("Channel", "Status", "Reason", "Messages", "Most attempts"), table)


def reason(message: Any) -> str | None:
    """Return the code at the start of `last_error`."""
    return message.last_error and message.last_error.split(":")[0]


def _number(db: psycopg.Connection, query: Any) -> int:
    row = db.execute(query).fetchone()
    assert row is not None
    return row[0]
