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
from proofdesk.core.paging import MAX_SHORT_LIMIT
from proofdesk.jobs.resources import Resources
from proofdesk.outbound import approval, drafts, edits, messages, rules
from proofdesk.outbound.delivery import delivery
from proofdesk.outbound.drafts import DEFAULT_RETRIES, DraftRequest
from proofdesk.outbound.edits import MessageEdit
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.outbound.messages import MessageDetails, OutboundNotFound
from proofdesk.outbound.rules_queries import OutboundRules
from proofdesk.projects import projects
from proofdesk.projects.scope import Scope

outbound_app = typer.Typer(help="Outbound messages, from draft to delivery.", no_args_is_help=True)
app.add_typer(outbound_app, name="outbound")

MessageId = Annotated[str, typer.Argument(metavar="ID", help="Id of the message, as `outbound list` shows it.")]
ActorOption = Annotated[str | None, typer.Option("--as", metavar="USER", help="Who acts. Default: the system.")]
ApproverOption = Annotated[
    str, typer.Option("--as", metavar="USER", help="Who approves. Only a person can approve a message.")
]
Evidence = Annotated[
    list[str] | None, typer.Option(metavar="REF", help="Supporting evidence: cwmsg:…, cw:…, or another reference.")
]


@outbound_app.command("list")
def list_outbound(
    status: Annotated[str | None, typer.Option(help=", ".join(messages.STATES))] = None,
    channel: Annotated[str | None, typer.Option(help="chatwoot, email or telegram.")] = None,
    q: Annotated[str | None, typer.Option("--query", "-q", help="Words in recipient, content or keys.")] = None,
    delivery: Annotated[
        str | None, typer.Option(help="Status that the channel reported: failed, delivered or read.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=MAX_SHORT_LIMIT, help="Maximum number of messages.")
    ] = 50,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """List messages, the newest first."""

    async def command(resources: Resources) -> tuple[list[OutboundMessage], int]:
        scope = await environment.enter_project(resources, project)
        message_filter = messages.build_filter(status, channel, q, delivery)
        return await messages.list_messages(resources.db, scope, message_filter, limit, 0)

    page, total = environment.run_with_resources(command)
    if json:
        return output.print_json({"outbound": [message.fields for message in page], "total": total})
    rows = [(m.id, m.status, m.channel, m.recipient_ref, _outcome(m), m.next_attempt_at) for m in page]
    return output.print_table(("Id", "State", "Channel", "Recipient", "Outcome", "Next attempt"), rows)


@outbound_app.command("show")
def show_outbound(outbound_id: MessageId, project: ProjectOption = None, json: JsonOption = False) -> None:
    """Show a message with its attempts, its recipient's policy, and its audit events."""

    async def command(resources: Resources) -> MessageDetails:
        scope = await environment.enter_project(resources, project)
        return await messages.get_details(resources.db, scope, _parse_id(outbound_id))

    details = environment.run_with_resources(command)
    if json:
        return output.print_json(dataclasses.asdict(details) | {"outbound": details.outbound.fields})
    _print_summary(details.outbound)
    output.print_line(str(details.outbound.payload["text"]))
    attempts = [(a.number, a.started_at, a.outcome, a.provider_message_id, a.error) for a in details.attempts]
    output.print_table(("Attempt", "Started", "Outcome", "Provider's id", "Error"), attempts)
    events = [(e.created_at, e.actor_username, e.action) for e in details.history]
    return output.print_table(("Time", "Actor", "Action"), events)


@outbound_app.command("draft")
def draft_outbound(
    channel: Annotated[str, typer.Argument(help="chatwoot, email or telegram.")],
    recipient: Annotated[str, typer.Argument(help="A conversation or contact id, an e-mail address, or a chat id.")],
    text: Annotated[str, typer.Option(help="Text of the message. `-` reads it from standard input.")],
    subject: Annotated[str | None, typer.Option(help="Subject of an e-mail.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key. Default: a new one.")] = None,
    dedupe_key: Annotated[str | None, typer.Option(help="At most one active message may have this key.")] = None,
    at: Annotated[datetime | None, typer.Option(help="Do not send before this time (UTC).")] = None,
    max_retries: Annotated[
        int, typer.Option(min=0, max=drafts.MAX_RETRIES, help="Attempts after a failed first one.")
    ] = DEFAULT_RETRIES,
    evidence: Evidence = None,
    actor: ActorOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Draft a message for approval. The same key and content return the same message."""
    payload = {"text": sys.stdin.read() if text == "-" else text} | ({"subject": subject} if subject else {})
    request = DraftRequest(
        channel=channel,
        recipient_ref=recipient,
        payload=payload,
        idempotency_key=key or str(uuid4()),
        dedupe_key=dedupe_key,
        max_retries=max_retries,
        scheduled_at=None if at is None else at.replace(tzinfo=UTC),
        evidence_refs=_references(evidence),
    )

    async def command(resources: Resources) -> OutboundMessage:
        scope = await environment.enter_project(resources, project, actor)
        return (await drafts.create(resources.db, scope, request))[0]

    _print_message(environment.run_with_resources(command), json)


@outbound_app.command("edit")
def edit_outbound(
    outbound_id: MessageId,
    recipient: Annotated[str | None, typer.Option("--to", help="New recipient.")] = None,
    text: Annotated[str | None, typer.Option(help="New text. `-` reads it from standard input.")] = None,
    subject: Annotated[str | None, typer.Option(help="New subject of an e-mail.")] = None,
    at: Annotated[datetime | None, typer.Option(help="Not before this time, in UTC.")] = None,
    now: Annotated[
        bool, typer.Option("--as-soon-as-approved", help="Remove the time before which it is not sent.")
    ] = False,
    evidence: Evidence = None,
    actor: ActorOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Edit a message that was not sent. An approved one becomes a draft again."""
    new_text = sys.stdin.read() if text == "-" else text
    changes = MessageEdit()
    if recipient is not None:
        changes["recipient_ref"] = recipient
    if at is not None or now:
        changes["scheduled_at"] = None if at is None else at.replace(tzinfo=UTC)
    if evidence is not None:
        changes["evidence_refs"] = _references(evidence)

    async def edit(resources: Resources, scope: Scope, message_id: UUID) -> OutboundMessage:
        message = await messages.get_message(resources.db, scope, message_id)
        if new_text is not None or subject is not None:
            changes["payload"] = edits.with_text(message.payload, new_text, subject)
        return await edits.edit(resources.db, scope, message_id, changes, read_hash=message.content_hash)

    _print_message(_run_action(edit, outbound_id, project, actor), json)


@outbound_app.command("approve")
def approve_outbound(
    outbound_id: MessageId,
    actor: ApproverOption,
    evidence: Evidence = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Approve the current content of a draft for sending."""

    async def approve(resources: Resources, scope: Scope, message_id: UUID) -> OutboundMessage:
        four_eyes, refs = resources.settings.outbound_four_eyes, _references(evidence) or None
        return await approval.approve(resources.db, scope, message_id, four_eyes=four_eyes, evidence_refs=refs)

    _print_message(_run_action(approve, outbound_id, project, actor), json)


@outbound_app.command("send")
def send_outbound(
    outbound_id: MessageId, actor: ActorOption = None, project: ProjectOption = None, json: JsonOption = False
) -> None:
    """Send an approved message now, through the same gates as every other message."""

    async def send(resources: Resources, scope: Scope, message_id: UUID) -> OutboundMessage:
        options = resources.delivery_options
        return await delivery.send_now(resources.db, scope, resources.outbound, options, message_id)

    _print_message(_run_action(send, outbound_id, project, actor), json)


@outbound_app.command("assign")
def assign_outbound(
    outbound_id: MessageId,
    username: Annotated[str, typer.Argument(help="Username of the person who should approve it.")],
    actor: ActorOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Ask a person to approve a draft."""

    async def assign(resources: Resources, scope: Scope, message_id: UUID) -> OutboundMessage:
        return await approval.assign(resources.db, scope, message_id, username)

    _print_message(_run_action(assign, outbound_id, project, actor), json)


@outbound_app.command("cancel")
def cancel_outbound(
    outbound_id: MessageId, actor: ActorOption = None, project: ProjectOption = None, json: JsonOption = False
) -> None:
    """Cancel a message, so that it is not sent."""

    async def cancel(resources: Resources, scope: Scope, message_id: UUID) -> OutboundMessage:
        return await approval.cancel(resources.db, scope, message_id)

    _print_message(_run_action(cancel, outbound_id, project, actor), json)


@outbound_app.command("process")
def process_outbound(
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="Maximum number of messages. Default: all that are due.")
    ] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Send approved messages that are due, and retries."""

    async def command(resources: Resources) -> dict[str, int]:
        scope = await environment.enter_project(resources, project)
        options = resources.delivery_options
        return (await delivery.process_due(resources.db, scope, resources.outbound, options, limit)).counts

    counts = environment.run_with_resources(command)
    if json:
        return output.print_json(counts)
    return output.print_line(", ".join(f"{number} {name}" for name, number in counts.items()))


@outbound_app.command("rules")
def change_rules(
    send_unconfirmed: Annotated[
        bool | None,
        typer.Option(help="Whether to send although Chatwoot cannot be asked if the contact has replied."),
    ] = None,
    actor: ActorOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Show or change what the project decides about its outbound messages."""

    async def command(resources: Resources) -> OutboundRules:
        scope = await environment.enter_project(resources, project, actor)
        if send_unconfirmed is None:
            return await rules.load_rules(resources.db, scope)
        return await rules.change_rules(resources.db, scope, send_unconfirmed)

    current = environment.run_with_resources(command)
    if json:
        return output.print_json({"rules": vars(current)})
    return output.print_line(f"Send although replies cannot be read: {'yes' if current.send_unconfirmed else 'no'}")


def _run_action(
    action: Callable[[Resources, Scope, UUID], Awaitable[OutboundMessage]],
    outbound_id: str,
    project: str | None,
    actor: str | None,
) -> OutboundMessage:
    async def command(resources: Resources) -> OutboundMessage:
        scope = await environment.enter_project(resources, project, actor)
        return await action(resources, scope, _parse_id(outbound_id))

    return environment.run_with_resources(command)


def _print_message(message: OutboundMessage, json: bool) -> None:
    if json:
        return output.print_json(message.fields)
    return _print_summary(message)


def _print_summary(message: OutboundMessage) -> None:
    output.print_line(f"{message.id}: {message.status}, {message.channel} to {message.recipient_ref}", "bold")
    if message.last_error:
        output.print_line(f"Last error: {message.last_error}")
    if message.delivery and message.delivery.sentence:
        output.print_line(message.delivery.sentence)


def _outcome(message: OutboundMessage) -> str | None:
    return (message.delivery and message.delivery.sentence) or message.last_error


def _references(evidence: list[str] | None) -> list[Any]:
    sources = {"cwmsg": "cw_messages", "cw": "cw_conversations"}
    return [{"source": sources.get(ref.partition(":")[0], "external"), "ref": ref} for ref in evidence or []]


def _parse_id(text: str) -> UUID:
    message_id = projects.parse_id(text)
    if message_id is None:
        raise OutboundNotFound("This project has no such message.")
    return message_id
