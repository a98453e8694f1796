"""`user`: the accounts that can sign in."""

from typing import Annotated

import typer

from proofdesk.accounts import accounts
from proofdesk.cli import app, environment, output
from proofdesk.cli.output import JsonOption

user_app = typer.Typer(help="Accounts of users.", no_args_is_help=True)
app.add_typer(user_app, name="user")

Username = Annotated[str, typer.Argument(help="Username of the account.")]
Password = Annotated[
    str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, help="8 to 128 characters.")
]


@user_app.command("create")
def create_user(username: Username, password: Password) -> None:
    """Create an account."""
    account = environment.run_with_resources(lambda resources: accounts.create(resources.db, username, password))
    output.print_line(f"Created account {account.username}.")


@user_app.command("list")
def list_users(json: JsonOption = False) -> None:
    """List all accounts."""
    rows = environment.run_with_resources(lambda resources: accounts.list_accounts(resources.db))
    if json:
        return output.print_json([vars(row) | {"role": "owner" if row.is_owner else "member"} for row in rows])
    return output.print_table(
        ("Username", "Role", "State", "Binds sources", "Sessions", "Last seen", "Created"),
        [
            (
                row.username,
                "owner" if row.is_owner else "member",
                "disabled" if row.disabled_at else "active",
                "yes" if row.may_bind_sources else "no",
                row.sessions,
                row.last_seen_at,
                row.created_at,
            )
            for row in rows
        ],
    )


@user_app.command("passwd")
def set_password(username: Username, password: Password) -> None:
    """Change the password of an account. This ends its sessions."""
    environment.run_with_resources(lambda resources: accounts.set_password(resources.db, username, password))
    output.print_line(f"Changed the password of {username} and ended their sessions.")


@user_app.command("disable")
def disable_user(username: Username) -> None:
    """Disable an account: its user can no longer sign in, and its sessions end."""
    environment.run_with_resources(lambda resources: accounts.disable(resources.db, username))
    output.print_line(
        f"Disabled {username} and ended their sessions. Enable the account again: `proofdesk user enable {username}`."
    )


@user_app.command("enable")
def enable_user(username: Username) -> None:
    """Enable a disabled account again."""
    environment.run_with_resources(lambda resources: accounts.enable(resources.db, username))
    output.print_line(f"{username} can sign in again.")


@user_app.command("allow-sources")
def allow_sources(username: Username) -> None:
    """Allow a user to bind sources to the projects that they manage."""
    environment.run_with_resources(lambda resources: accounts.allow_sources(resources.db, username))
    output.print_line(f"{username} may bind sources.")


@user_app.command("forbid-sources")
def forbid_sources(username: Username) -> None:
    """Forbid a user to bind sources. What is bound stays."""
    environment.run_with_resources(lambda resources: accounts.allow_sources(resources.db, username, allowed=False))
    output.print_line(f"{username} may no longer bind sources. What is bound stays.")


@user_app.command("end-sessions")
def end_sessions(username: Username) -> None:
    """Sign a user out everywhere."""
    ended = environment.run_with_resources(lambda resources: accounts.end_sessions(resources.db, username))
    output.print_line(f"Ended {output.count(ended, 'session')} of {username}.")
