"""`user`: the accounts that may sign in."""

from typing import Annotated

import typer

from proofdesk.accounts import accounts
from proofdesk.cli import app, environment, output
from proofdesk.cli.output import JsonOption

user_app = typer.Typer(help="Accounts of people.", no_args_is_help=True)
app.add_typer(user_app, name="user")

Password = Annotated[
    str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, help="8 to 128 characters.")
]


@user_app.command("create")
def create_user(username: str, password: Password) -> None:
    """Make an account."""
    made = environment.run_with_resources(lambda held: accounts.create(held.db, username, password))
    output.print_line(f"Made account {made.username}.")


@user_app.command("list")
def list_users(json: JsonOption = False) -> None:
    """Show all accounts."""
    found = environment.run_with_resources(lambda held: accounts.list_accounts(held.db))
    if json:
        rows = [vars(p) | {"role": "owner" if p.is_owner else "member"} for p in found]
        return output.print_json(rows)
    return output.print_table(
        ("Username", "Role", "State", "Sessions", "Last seen", "Created"),
        [
            (
                p.username,
                "owner" if p.is_owner else "member",
                "disabled" if p.disabled_at else "active",
                p.sessions,
                p.last_seen_at,
                p.created_at,
            )
            for p in found
        ],
    )


@user_app.command("passwd")
def set_password(username: str, password: Password) -> None:
    """Give an account another password; its sessions end."""
    environment.run_with_resources(lambda held: accounts.set_password(held.db, username, password))
    output.print_line(f"Changed the password of {username} and ended its sessions.")


@user_app.command("disable")
def disable_user(username: str) -> None:
    """Close an account: it cannot sign in any more, and its sessions end."""
    environment.run_with_resources(lambda held: accounts.disable(held.db, username))
    output.print_line(f"Disabled {username} and ended its sessions. `proofdesk user enable {username}` opens it again.")


@user_app.command("enable")
def enable_user(username: str) -> None:
    """Open a disabled account again."""
    environment.run_with_resources(lambda held: accounts.enable(held.db, username))
    output.print_line(f"{username} can sign in again.")


@user_app.command("end-sessions")
def end_sessions(username: str) -> None:
    """Sign an account out everywhere."""
    ended = environment.run_with_resources(lambda held: accounts.end_sessions(held.db, username))
    output.print_line(f"Ended {ended} {'session' if ended == 1 else 'sessions'} of {username}.")
