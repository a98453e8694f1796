"""`suppression`: recipients to whom a channel sends nothing."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from proofdesk.cli import app, environment, output
from proofdesk.cli.output import JsonOption, ProjectOption
from proofdesk.core.paging import MAX_SHORT_LIMIT
from proofdesk.jobs.resources import Resources
from proofdesk.outbound import suppressions
from proofdesk.outbound.suppression_queries import Suppression

suppression_app = typer.Typer(help="Recipients to whom a channel sends nothing.", no_args_is_help=True)
app.add_typer(suppression_app, name="suppression")

Recipient = Annotated[str, typer.Argument(metavar="RECIPIENT", help="An address, or the global id of a contact.")]
ChannelName = Annotated[str, typer.Argument(metavar="CHANNEL", help="chatwoot, email or telegram.")]
ActorOption = Annotated[str | None, typer.Option("--as", metavar="USER", help="Who acts. Default: the system.")]


@suppression_app.command("list")
def list_suppressions(
    channel: Annotated[str | None, typer.Option(help="chatwoot, email or telegram.")] = None,
    q: Annotated[str | None, typer.Option("--query", "-q", help="A part of the address.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=MAX_SHORT_LIMIT, help="Maximum number.")] = 50,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """List the suppressions that hold now, the newest first."""

    async def command(resources: Resources) -> tuple[list[Suppression], int]:
        scope = await environment.enter_project(resources, project)
        return await suppressions.list_suppressions(resources.db, scope, channel, q, limit, 0)

    page, total = environment.run_with_resources(command)
    if json:
        return output.print_json({"suppressions": [vars(row) for row in page], "total": total})
    rows = [(r.address or r.contact_global_id, r.channel, r.reason, r.detail, r.created_at, r.expires_at) for r in page]
    return output.print_table(("Recipient", "Channel", "Reason", "Detail", "Since", "Until"), rows)


@suppression_app.command("add")
def add_suppression(
    recipient: Recipient,
    channel: ChannelName,
    reason: Annotated[str, typer.Option(help=", ".join(suppressions.REASONS))] = "manual",
    detail: Annotated[str | None, typer.Option(help="Why, for people.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Until when (UTC). Default: until it is removed.")] = None,
    actor: ActorOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Send nothing to a recipient on a channel."""

    async def command(resources: Resources) -> Suppression:
        scope = await environment.enter_project(resources, project, actor)
        expires_at = until and until.replace(tzinfo=UTC)
        return await suppressions.add(
            resources.db, scope, channel, recipient, reason=reason, detail=detail, expires_at=expires_at
        )

    _print(environment.run_with_resources(command), "added", json)


@suppression_app.command("remove")
def remove_suppression(
    recipient: Recipient,
    channel: ChannelName,
    actor: ActorOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Allow messages to a recipient again."""

    async def command(resources: Resources) -> Suppression:
        scope = await environment.enter_project(resources, project, actor)
        return await suppressions.remove(resources.db, scope, channel, recipient)

    _print(environment.run_with_resources(command), "removed", json)


def _print(suppression: Suppression, action: str, json: bool) -> None:
    if json:
        return output.print_json({"suppression": vars(suppression)})
    recipient = suppression.address or suppression.contact_global_id
    return output.print_line(f"Suppression {action}: {recipient} on {suppression.channel} ({suppression.reason}).")
