"""`outbound`: messages from draft to delivery."""

import dataclasses
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

import typer

from proofdesk.cli import app, environment, output
from proofdesk.cli.output import JsonOption, ProjectOption
from proofdesk.jobs.resources import Resources
from proofdesk.outbound import approval, drafts, messages
from proofdesk.outbound.delivery import delivery
from proofdesk.outbound.delivery.delivery import DeliveryOptions
from proofdesk.outbound.drafts import DEFAULT_RETRIES, DraftRequest
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.outbound.messages import MessageDetails, OutboundNotFound
from proofdesk.projects import projects
from proofdesk.projects.scope import Scope

outbound_app = typer.Typer(help="Messages, from draft to delivery.", no_args_is_help=True)
app.add_typer(outbound_app, name="outbound")

Id = Annotated[str, typer.Argument(metavar="ID", help="As `outbound list` shows it.")]
As = Annotated[str | None, typer.Option("--as", metavar="USER", help="Who does it; unset: the system.")]
Person = Annotated[str, typer.Option("--as", metavar="USER", help="Who approves: nothing leaves without a person.")]
Evidence = Annotated[
    list[str] | None, typer.Option(metavar="REF", help="What it rests on: cwmsg:…, cw:…, or another reference.")
]


@outbound_app.command("list")
def list_outbound(
    status: Annotated[str | None, typer.Option(help=", ".join(messages.STATES))] = None,
    channel: Annotated[str | None, typer.Option(help="chatwoot, email or telegram.")] = None,
    q: Annotated[str | None, typer.Option("--query", "-q", help="Words in recipient, content or keys.")] = None,
    delivery: Annotated[str | None, typer.Option(help="As the channel reported it: failed, delivered, read.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200)] = 50,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Show messages, the newest first."""

    async def command(held: Resources) -> tuple[list[OutboundMessage], int]:
        inside = await environment.enter_project(held, project)
        return await messages.list_messages(held.db, inside, messages.build_filter(status, channel, q, delivery), limit, 0)

    found, total = environment.run_with_resources(command)
    if json:
        return output.print_json({"outbound": [_shown(m) for m in found], "total": total})
    rows = [(m.id, m.status, m.channel, m.recipient_ref, _ending(m), m.next_attempt_at) for m in found]
    return output.print_table(("Id", "State", "Channel", "To", "What became of it", "Next try"), rows)


@outbound_app.command("show")
def show_outbound(outbound_id: Id, project: ProjectOption = None, json: JsonOption = False) -> None:
    """Show a message with its attempts, what its recipient allows, and who did what about it."""

    async def command(held: Resources) -> MessageDetails:
        return await messages.get_details(held.db, await environment.enter_project(held, project), _id(outbound_id))

    found = environment.run_with_resources(command)
    if json:
        return output.print_json(dataclasses.asdict(found) | {"outbound": _shown(found.outbound)})
    _tell(found.outbound)
    output.print_line(str(found.outbound.payload["text"]))
    attempts = [(a.number, a.started_at, a.outcome, a.provider_message_id, a.error) for a in found.attempts]
    output.print_table(("Attempt", "Began", "Outcome", "Provider's id", "Error"), attempts)
    return output.print_table(("When", "Who", "What"), [(e.created_at, e.actor_username, e.action) for e in found.history])


@outbound_app.command("draft")
def draft_outbound(
    channel: Annotated[str, typer.Argument(help="chatwoot, email or telegram.")],
    recipient: Annotated[str, typer.Argument(help="A conversation or contact, an address, or a chat's number.")],
    text: Annotated[str, typer.Option(help="What it says; `-` reads it from standard input.")],
    subject: Annotated[str | None, typer.Option(help="Of a letter.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key; unset: a new one.")] = None,
    dedupe_key: Annotated[str | None, typer.Option(help="At most one message that is not void has it.")] = None,
    at: Annotated[datetime | None, typer.Option(help="Not sent before; UTC.")] = None,
    max_retries: Annotated[int, typer.Option(min=0, max=drafts.MAX_RETRIES)] = DEFAULT_RETRIES,
    evidence: Evidence = None,
    by: As = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Write a message that somebody may then approve. The same key and content again gives the same message."""
    payload = {"text": sys.stdin.read() if text == "-" else text} | ({"subject": subject} if subject else {})
    wish = DraftRequest(
        channel, recipient, payload, key or str(uuid4()), dedupe_key, max_retries,
        None if at is None else at.replace(tzinfo=UTC), _references(evidence),
    )  # fmt: skip

    async def command(held: Resources) -> OutboundMessage:
        return (await drafts.create(held.db, await environment.enter_project(held, project, by), wish))[0]

    _told(environment.run_with_resources(command), json)


@outbound_app.command("approve")
def approve_outbound(
    outbound_id: Id, by: Person, evidence: Evidence = None, project: ProjectOption = None, json: JsonOption = False
) -> None:
    """Let a draft go out, as it is now."""

    async def approve(held: Resources, inside: Scope, wanted: UUID) -> OutboundMessage:
        four_eyes = held.settings.outbound_four_eyes
        return await approval.approve(
            held.db, inside, wanted, four_eyes=four_eyes, evidence_refs=_references(evidence) or None
        )

    _told(_done(approve, outbound_id, project, by), json)


@outbound_app.command("send")
def send_outbound(outbound_id: Id, by: As = None, project: ProjectOption = None, json: JsonOption = False) -> None:
    """Send an approved message now, through the same gates as all others."""

    async def send(held: Resources, inside: Scope, wanted: UUID) -> OutboundMessage:
        return await delivery.send_now(held.db, inside, held.outbound, DeliveryOptions.from_settings(held.settings), wanted)

    _told(_done(send, outbound_id, project, by), json)


@outbound_app.command("cancel")
def cancel_outbound(outbound_id: Id, by: As = None, project: ProjectOption = None, json: JsonOption = False) -> None:
    """Let a message never go out."""

    async def cancel(held: Resources, inside: Scope, wanted: UUID) -> OutboundMessage:
        return await approval.cancel(held.db, inside, wanted)

    _told(_done(cancel, outbound_id, project, by), json)


@outbound_app.command("process")
def process_outbound(
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Unset: all that is due.")] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Send what is due: approved messages whose time has come, and retries."""

    async def command(held: Resources) -> dict[str, int]:
        inside = await environment.enter_project(held, project)
        tally = await delivery.process_due(held.db, inside, held.outbound, DeliveryOptions.from_settings(held.settings), limit)
        return tally.counts

    counts = environment.run_with_resources(command)
    if json:
        return output.print_json(counts)
    return output.print_line(", ".join(f"{count} {name}" for name, count in counts.items()))


def _done(
    verb: Callable[[Resources, Scope, UUID], Awaitable[OutboundMessage]], outbound_id: str, project: str | None, by: str | None
) -> OutboundMessage:
    async def command(held: Resources) -> OutboundMessage:
        return await verb(held, await environment.enter_project(held, project, by), _id(outbound_id))

    return environment.run_with_resources(command)


def _told(found: OutboundMessage, json: bool) -> None:
    if json:
        return output.print_json(_shown(found))
    return _tell(found)


def _tell(found: OutboundMessage) -> None:
    output.print_line(f"{found.id}: {found.status}, {found.channel} to {found.recipient_ref}", "bold")
    if found.last_error:
        output.print_line(f"Last error: {found.last_error}")
    if found.delivery and found.delivery.sentence:
        output.print_line(found.delivery.sentence)


def _ending(found: OutboundMessage) -> str | None:
    return (found.delivery and found.delivery.sentence) or found.last_error


def _shown(found: OutboundMessage) -> dict[str, Any]:
    return found.fields


def _references(evidence: list[str] | None) -> list[Any]:
    sources = {"cwmsg": "cw_messages", "cw": "cw_conversations"}
    return [{"source": sources.get(ref.partition(":")[0], "external"), "ref": ref} for ref in evidence or []]


def _id(text: str) -> UUID:
    wanted = projects.parse_id(text)
    if wanted is None:
        raise OutboundNotFound("This project has no such message.")
    return wanted
