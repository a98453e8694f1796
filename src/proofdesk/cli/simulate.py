"""`simulate`: simulated services that Proofdesk talks to, for trials and tests."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from proofdesk.cli import app, output
from proofdesk.core import ports
from proofdesk.errors import Invalid, Unavailable

simulate_app = typer.Typer(
    help="Simulate Chatwoot, OpenAI, Telegram or an SMTP relay on this machine.", no_args_is_help=True
)
app.add_typer(simulate_app, name="simulate")

DEMO_EXTRA = {"proofdesk_simulators", "aiosmtpd"}
Host = Annotated[str, typer.Option(help="Address to listen on.")]


@contextlib.contextmanager
def demo_extra() -> Iterator[None]:
    """Import simulators in this block. Raises `Unavailable` if the extra `demo` is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in DEMO_EXTRA:
            raise
        raise Unavailable("Install proofdesk[demo] to use this command.") from None


@simulate_app.command("chatwoot")
def simulate_chatwoot(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 4010,
    corpus: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="File of conversations, .jsonl or .jsonl.gz.")
    ] = None,
    empty: Annotated[bool, typer.Option("--empty", help="Start without conversations.")] = False,
) -> None:
    """Simulate Chatwoot with the sample studio, the conversations of a file, or no data."""
    with demo_extra():
        from proofdesk_simulators import chatwoot

    if corpus and empty:
        raise Invalid("--corpus and --empty exclude each other. Use one of them.")
    _check(host, port)
    simulator = chatwoot.build(corpus or ("empty" if empty else "studio"))
    output.print_note(f"Simulated Chatwoot: CHATWOOT_BASE_URL={ports.url(host, port)} CHATWOOT_ACCOUNT_ID=1")
    output.print_note(f"CHATWOOT_API_TOKEN={simulator.admin_token}    (controls under /_simulator, stop with Ctrl-C)")
    asyncio.run(chatwoot.serve(simulator, host, port))


@simulate_app.command("openai")
def simulate_openai(
    host: Host = "127.0.0.1", port: Annotated[int, typer.Option(help="Port to listen on.")] = 4020
) -> None:
    """Simulate the embeddings API of OpenAI."""
    with demo_extra():
        from proofdesk_simulators import openai, serving

    _check(host, port)
    variables = f"OPENAI_BASE_URL={ports.url(host, port)}/v1 OPENAI_API_KEY=any"
    output.print_note(f"Simulated OpenAI: {variables} (stop with Ctrl-C)")
    asyncio.run(serving.serve(openai.create_app(openai.OpenAISimulator()), host, port))


@simulate_app.command("telegram")
def simulate_telegram(
    host: Host = "127.0.0.1", port: Annotated[int, typer.Option(help="Port to listen on.")] = 4030
) -> None:
    """Simulate Telegram with one bot. POST /_simulator/messages writes to it, /_simulator/sent shows its replies."""
    with demo_extra():
        from proofdesk_simulators import serving, telegram

    _check(host, port)
    simulator = telegram.TelegramSimulator()
    output.print_note(
        f"Simulated Telegram: TELEGRAM_API_BASE_URL={ports.url(host, port)} TELEGRAM_BOT_TOKEN={simulator.token}"
    )
    output.print_note("(controls under /_simulator, stop with Ctrl-C)")
    asyncio.run(serving.serve(telegram.create_app(simulator), host, port))


@simulate_app.command("smtp")
def simulate_smtp(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the SMTP relay.")] = 4025,
    control_port: Annotated[int, typer.Option(help="HTTP port of the controls.")] = 4026,
) -> None:
    """Simulate an SMTP relay. It delivers nothing; the control port shows its messages at /_simulator/sent."""
    with demo_extra():
        from proofdesk_simulators import smtp

    _check(host, port)
    _check(host, control_port)
    output.print_note(f"Simulated SMTP relay: SMTP_URL=smtp://{host}:{port} SMTP_FROM=studio@example.com")
    output.print_note(f"(controls at {ports.url(host, control_port)}/_simulator, stop with Ctrl-C)")
    asyncio.run(smtp.serve(smtp.SmtpSimulator(), host, port, control_port))


def _check(host: str, port: int) -> None:
    ports.check(host, port, ("--host", "--port"))
