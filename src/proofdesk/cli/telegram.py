"""`telegram`: the bot, its webhook, and whose account gets the PINs."""

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
    """Make a one-time code: whoever sends it to the bot with /bind gets the PINs."""
    code, expires_at = environment.run_with_resources(lambda held: telegram.create_bind_code(held.db, held.settings, events.system_actor()))
    if json:
        return output.print_json({"code": code, "expires_at": expires_at})
    return output.print_line(f"Send this to the bot within {commands.CODE_MINUTES} minutes, in private: /bind {code}")


@telegram_app.command("unbind")
def unbind() -> None:
    """Undo the binding; signups that wait for a PIN are void."""
    done = environment.run_with_resources(lambda held: telegram.unbind(held.db, events.system_actor()))
    output.print_line("Undone: nobody gets PINs now." if done else "Nobody was bound.")


@telegram_app.command("set-webhook")
def set_webhook(
    url: Annotated[str | None, typer.Argument(help="Address of Proofdesk, https; unset: PUBLIC_URL.")] = None,
    json: JsonOption = False,
) -> None:
    """Let Telegram tell this Proofdesk what people write to the bot."""

    async def command(held: Resources) -> str:
        return await telegram.register_webhook(held.settings, held.bot, url)

    address = environment.run_with_resources(command)
    if json:
        return output.print_json({"url": address})
    return output.print_line(f"Telegram sends messages for the bot to {address} from now on.")


@telegram_app.command("status")
def show_status(json: JsonOption = False) -> None:
    """Show whether signup works, who is bound, and how Telegram's deliveries go."""
    found = environment.run_with_resources(_found)
    if json:
        return output.print_json(found)
    rows = [(name.replace("_", " "), _shown(value)) for name, value in found.items()]
    return output.print_table(("What", "State"), rows)


async def _found(held: Resources) -> dict[str, Any]:
    state = await signup.status(held.db, held.settings)
    owner = await telegram.fetch_owner_binding(held.db, held.settings)
    return {
        "signup": state.message,
        "missing": state.missing,
        "owner": owner and owner.name,
        "owner_telegram_id": owner and owner.user_id,
        "webhook_secret_set": held.settings.telegram_webhook_secret is not None,
        **await _deliveries(held),
    }


async def _deliveries(held: Resources) -> dict[str, Any]:
    if held.bot is None:
        return {}
    try:
        me, hook = await held.bot.identity(), await held.bot.webhook_info()
    except TelegramError as error:
        return {"telegram_error": error.message}
    return {
        "bot": f"@{me.username}",
        "webhook_host": urlsplit(hook.url).hostname,
        "updates_waiting": hook.pending,
        "last_error": hook.last_error,
        "last_error_at": hook.last_error_at,
    }


def _shown(value: object) -> object:
    if isinstance(value, list):
        return ", ".join(value) or "nothing"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
