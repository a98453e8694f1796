"""`user`: the accounts that may sign in."""

from typing import Annotated

import typer

from proofdesk.auth import accounts
from proofdesk.cli import app, machine, output
from proofdesk.cli.output import AsJson

user_app = typer.Typer(help="Accounts of people.", no_args_is_help=True)
app.add_typer(user_app, name="user")

Password = Annotated[
    str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, help="8 to 128 characters.")
]


@user_app.command("create")
def create_user(username: str, password: Password) -> None:
    """Make an account."""
    made = machine.run(lambda held: accounts.create(held.db, username, password))
    output.say(f"Made account {made.username}.")


@user_app.command("list")
def list_users(json: AsJson = False) -> None:
    """Show all accounts."""
    found = machine.run(lambda held: accounts.listed(held.db))
    rows = [(a.username, "owner" if a.is_owner else "member", a.created_at) for a in found]
    if json:
        return output.as_json([dict(zip(("username", "role", "created_at"), row, strict=True)) for row in rows])
    return output.table(("Username", "Role", "Created"), rows)


@user_app.command("passwd")
def set_password(username: str, password: Password) -> None:
    """Give an account another password; its sessions end."""
    machine.run(lambda held: accounts.set_password(held.db, username, password))
    output.say(f"Changed the password of {username} and ended its sessions.")
