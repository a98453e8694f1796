"""`telegram`: the bot, its webhook, and the owner who receives signup PINs."""

from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from proofdesk.accounts import commands, signup, telegram
from proofdesk.accounts.bot import TelegramError
from proofdesk.audit import events
from proofdesk.cli import app, environment, output
from proofdesk.cli.output import JsonOption
from proofdesk.jobs.resources import Resources

telegram_app = typer.Typer(help="The Telegram bot that sends signup PINs to the owner.", no_args_is_help=True)
app.add_typer(telegram_app, name="telegram")


@telegram_app.command("bind-code")
def make_bind_code(json: JsonOption = False) -> None:
    """Create a one-time code. The person who sends it to the bot with /bind receives the PINs."""
    code, expires_at = environment.run_with_resources(
        lambda resources: telegram.create_bind_code(resources.db, resources.settings, events.system_actor())
    )
    if json:
        return output.print_json({"code": code, "expires_at": expires_at})
    return output.print_line(
        f"Send this to the bot in a private chat within {commands.CODE_MINUTES} minutes: /bind {code}"
    )


@telegram_app.command("unbind")
def unbind() -> None:
    """Unbind the owner from the bot. Signups that wait for a PIN become void."""
    was_bound = environment.run_with_resources(lambda resources: telegram.unbind(resources.db, events.system_actor()))
    output.print_line("Unbound. Nobody receives PINs now." if was_bound else "Nobody was bound.")


@telegram_app.command("set-webhook")
def set_webhook(
    url: Annotated[str | None, typer.Argument(help="https URL of Proofdesk. Default: PUBLIC_URL.")] = None,
    json: JsonOption = False,
) -> None:
    """Register the webhook, so that Telegram sends the bot's messages to this Proofdesk."""

    async def command(resources: Resources) -> str:
        return await telegram.register_webhook(resources.settings, resources.bot, url)

    webhook_url = environment.run_with_resources(command)
    if json:
        return output.print_json({"url": webhook_url})
    return output.print_line(f"Telegram now sends the bot's messages to {webhook_url}.")


@telegram_app.command("status")
def show_status(json: JsonOption = False) -> None:
    """Show whether signup works, who is bound, and the state of the webhook."""
    status = environment.run_with_resources(_read_status)
    if json:
        return output.print_json(status)
    rows = [(name.replace("_", " "), _cell(value)) for name, value in status.items()]
    return output.print_table(("Item", "State"), rows)


async def _read_status(resources: Resources) -> dict[str, Any]:
    state = await signup.status(resources.db, resources.settings)
    owner = await telegram.fetch_owner_binding(resources.db, resources.settings)
    return {
        "signup": state.message,
        "missing": state.missing,
        "owner": owner and owner.name,
        "owner_telegram_id": owner and owner.user_id,
        "webhook_secret_set": resources.settings.telegram_webhook_secret is not None,
        **await _read_webhook(resources),
    }


async def _read_webhook(resources: Resources) -> dict[str, Any]:
    if resources.bot is None:
        return {}
    try:
        identity, webhook = await resources.bot.identity(), await resources.bot.webhook_info()
    except TelegramError as error:
        return {"telegram_error": error.message}
    return {
        "bot": f"@{identity.username}",
        "webhook_host": urlsplit(webhook.url).hostname,
        "updates_waiting": webhook.pending,
        "last_error": webhook.last_error,
        "last_error_at": webhook.last_error_at,
    }


def _cell(value: object) -> object:
    if isinstance(value, list):
        return ", ".join(value) or "nothing"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
