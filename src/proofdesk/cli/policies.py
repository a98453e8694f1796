"""`policy`: what contacts allow on a channel."""

from typing import Annotated

import typer

from proofdesk.cli import app, environment, output
from proofdesk.cli.output import JsonOption, ProjectOption
from proofdesk.core.paging import MAX_SHORT_LIMIT
from proofdesk.jobs.resources import Resources
from proofdesk.outbound import policies
from proofdesk.outbound.gates import Policy
from proofdesk.outbound.policy_queries import PolicyFilter, PolicyUpdate

policy_app = typer.Typer(help="Policies: what contacts allow on a channel.", no_args_is_help=True)
app.add_typer(policy_app, name="policy")

_CONTACT = typer.Argument(metavar="CONTACT", help="Global id of a contact, or an address.")


@policy_app.command("show")
def show_policy(
    contact: Annotated[str | None, _CONTACT] = None,
    channel: Annotated[str | None, typer.Option(help="chatwoot, email or telegram.")] = None,
    opted_out: Annotated[
        bool | None,
        typer.Option("--opted-out/--not-opted-out", help="Only contacts that have (not) opted out."),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=MAX_SHORT_LIMIT, help="Maximum number of policies.")
    ] = 50,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Show the policies of a contact, or of all contacts."""

    async def command(resources: Resources) -> tuple[list[Policy], int]:
        scope = await environment.enter_project(resources, project)
        return await policies.list_policies(resources.db, scope, PolicyFilter(contact, channel, opted_out), limit, 0)

    page, total = environment.run_with_resources(command)
    if json:
        return output.print_json({"policies": [vars(policy) for policy in page], "total": total})
    return _print_policies(page)


@policy_app.command("set")
def set_policy(
    contact: Annotated[str, _CONTACT],
    channel: Annotated[str, typer.Argument(help="chatwoot, email or telegram.")],
    opted_out: Annotated[
        bool | None, typer.Option("--opt-out/--opt-in", help="Opt the contact out or in. Opting in needs a reason.")
    ] = None,
    stop_on_reply: Annotated[
        bool | None, typer.Option(help="Cancel approved messages when the contact replies.")
    ] = None,
    window: Annotated[
        int | None, typer.Option(min=1, max=policies.MAX_FREQUENCY_WINDOW_HOURS, help="Hours of the frequency window.")
    ] = None,
    cap: Annotated[
        int | None, typer.Option(min=1, max=policies.MAX_FREQUENCY_CAP, help="Maximum number of messages in a window.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Reason, for the audit log.")] = None,
    actor: Annotated[str | None, typer.Option("--as", metavar="USER", help="Who acts. Default: the system.")] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Change the policy of a contact. Options that are absent stay as they are."""
    update = PolicyUpdate(opted_out, stop_on_reply, window, cap)

    async def command(resources: Resources) -> Policy:
        scope = await environment.enter_project(resources, project, actor)
        return await policies.change_policy(resources.db, scope, contact, channel, update, reason=reason)

    changed = environment.run_with_resources(command)
    if json:
        return output.print_json(vars(changed))
    return _print_policies([changed])


def _print_policies(page: list[Policy]) -> None:
    headings = ("Contact", "Channel", "Opted out", "Stop on reply", "Cap", "Hours", "Sent", "Last reply")
    rows = [
        (
            policy.contact_global_id,
            policy.channel,
            "yes" if policy.opted_out else "no",
            "yes" if policy.stop_on_reply else "no",
            policy.frequency_cap,
            policy.frequency_window_hours,
            policy.sent_in_window,
            policy.last_inbound_at,
        )
        for policy in page
    ]
    output.print_table(headings, rows)
