"""Commands of the Telegram bot."""

import json
import subprocess
from collections.abc import Callable, Iterator

import pytest

from proofdesk_simulators.telegram import TelegramSimulator
from tests.support.terminal import Terminal

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def simulator(telegram_server: tuple[TelegramSimulator, str]) -> Iterator[TelegramSimulator]:
    telegram_server[0].reset()
    yield telegram_server[0]
    telegram_server[0].reset()


@pytest.fixture
def proofdesk(
    terminal: Terminal, simulator: TelegramSimulator, telegram_server: tuple[TelegramSimulator, str], tidy_url: str
) -> Command:
    """Return a function that runs a command against the test's database and the simulated Telegram."""
    environment = {
        "DATABASE_URL": tidy_url,
        "AUTH_PASSWORD": "a long enough password",
        "TELEGRAM_API_BASE_URL": telegram_server[1],
        "TELEGRAM_BOT_TOKEN": simulator.token,
        "TELEGRAM_WEBHOOK_SECRET": "only-telegram-knows-this",
        "SIGNUP_PIN_SECRET": "a key for stored pins",
        "LOG_LEVEL": "debug",
    }

    def run(*arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        done = terminal(arguments, environment | more)
        for secret in (simulator.token, "only-telegram-knows-this", "a key for stored pins"):
            assert secret not in done.stdout + done.stderr
        return done

    return run


def test_a_bind_code_is_created_and_the_webhook_registered(proofdesk: Command, simulator: TelegramSimulator):
    assert len(json.loads(proofdesk("telegram", "bind-code", "--json").stdout)["code"]) == 14
    done = proofdesk("telegram", "set-webhook", PUBLIC_URL="https://desk.example.com")
    assert done.returncode == 0 and "https://desk.example.com/auth/telegram/webhook" in done.stdout
    assert simulator.hook.secret_token == "only-telegram-knows-this"
    state = json.loads(proofdesk("telegram", "status", "--json").stdout)
    assert state["missing"] == ["telegram_owner_not_bound"] and state["webhook_host"] == "desk.example.com"
    assert state["bot"] == f"@{simulator.username}" and "/bind" in state["signup"]


def test_an_error_is_one_line(proofdesk: Command, simulator: TelegramSimulator):
    for arguments, more, named in (
        (("set-webhook", "https://a.example.com"), {"TELEGRAM_BOT_TOKEN": "1:other"}, "TELEGRAM_BOT_TOKEN"),
        (("bind-code",), {"TELEGRAM_OWNER_ID": "4711"}, "TELEGRAM_OWNER_ID"),
    ):
        done = proofdesk("telegram", *arguments, **more)
        assert done.returncode == 1 and named in done.stderr.splitlines()[-1], done.stderr


def test_the_secrets_are_masked(proofdesk: Command):
    assert proofdesk("config", "--json").returncode == 0
