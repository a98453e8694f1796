"""`policy`: what people allow on a channel."""

from typing import Annotated

import typer

from proofdesk.cli import app, environment, output
from proofdesk.cli.output import JsonOption, ProjectOption
from proofdesk.jobs.resources import Resources
from proofdesk.outbound import policies
from proofdesk.outbound.gates import Policy
from proofdesk.outbound.policy_queries import PolicyFilter, PolicyUpdate

policy_app = typer.Typer(help="What people allow on a channel.", no_args_is_help=True)
app.add_typer(policy_app, name="policy")

Who = Annotated[str, typer.Argument(metavar="WHO", help="A contact's global id, or an address.")]


@policy_app.command("show")
def show_policy(
    who: Annotated[str | None, typer.Argument(metavar="WHO", help="A contact's global id, or an address.")] = None,
    channel: Annotated[str | None, typer.Option(help="chatwoot, email or telegram.")] = None,
    opted_out: Annotated[bool | None, typer.Option("--opted-out/--not-opted-out", help="Only these.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200)] = 50,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Show the policies of somebody, or of all."""

    async def command(held: Resources) -> tuple[list[Policy], int]:
        inside = await environment.enter_project(held, project)
        return await policies.list_policies(held.db, inside, PolicyFilter(who, channel, opted_out), limit, 0)

    found, total = environment.run_with_resources(command)
    if json:
        return output.print_json({"policies": [vars(p) for p in found], "total": total})
    return _table(found)


@policy_app.command("set")
def set_policy(
    who: Who,
    channel: Annotated[str, typer.Argument(help="chatwoot, email or telegram.")],
    opted_out: Annotated[bool | None, typer.Option("--opt-out/--opt-in", help="An opt-in needs a reason.")] = None,
    stop_on_reply: Annotated[bool | None, typer.Option(help="Cancel what was approved before he writes.")] = None,
    window: Annotated[int | None, typer.Option(min=1, max=720, help="Hours of the window that the cap is for.")] = None,
    cap: Annotated[int | None, typer.Option(min=1, max=200, help="Messages in a window.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for the audit trail.")] = None,
    by: Annotated[str | None, typer.Option("--as", metavar="USER", help="Who does it; unset: the system.")] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Change what somebody allows; what is not named stays as it is."""
    change = PolicyUpdate(opted_out, stop_on_reply, window, cap)

    async def command(held: Resources) -> Policy:
        inside = await environment.enter_project(held, project, by)
        return await policies.change_policy(held.db, inside, who, channel, change, reason=reason)

    changed = environment.run_with_resources(command)
    if json:
        return output.print_json(vars(changed))
    return _table([changed])


def _table(found: list[Policy]) -> None:
    headings = ("Who", "Channel", "Opted out", "Stop on reply", "Cap", "Hours", "Sent", "Wrote last")
    rows = [
        (
            p.contact_global_id,
            p.channel,
            "yes" if p.opted_out else "no",
            "yes" if p.stop_on_reply else "no",
            p.frequency_cap,
            p.frequency_window_hours,
            p.sent_in_window,
            p.last_inbound_at,
        )
        for p in found
    ]
    output.print_table(headings, rows)
