"""Settings accept, trim and refuse values, and no secret leaves them."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from proofdesk import logging as proofdesk_logging
from proofdesk import settings
from proofdesk.core import embedding_models, redaction, urls
from proofdesk.errors import Invalid
from proofdesk.outbound.opt_outs.unsubscribe import UnsubscribeLinks
from proofdesk.settings import Settings

SECRET = "Tr1ck-y-pass"


def load(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    """Return the settings of an environment."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return settings.load()


@pytest.mark.parametrize(
    ("value", "origin"),
    [
        ("https://desk.example.com", "https://desk.example.com"),
        ("https://desk.example.com/", "https://desk.example.com"),
        ("  https://desk.example.com\n", "https://desk.example.com"),
        ("HTTPS://Desk.Example.com:443", "https://desk.example.com"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_public_url_becomes_an_origin(monkeypatch: pytest.MonkeyPatch, value: str, origin: str):
    assert load(monkeypatch, PUBLIC_URL=value).public_url == origin


@pytest.mark.parametrize(
    "wrong",
    [
        "desk.example.com",
        "//desk.example.com",
        "ftp://desk.example.com",
        "https:desk.example.com",
        "https://",
        "https://desk.example.com/proofdesk",
        "https://desk.example.com?x=1",
        "https://desk.example.com?",
        "https://desk.example.com/#top",
        f"https://user:{SECRET}@desk.example.com",
        "https://desk.exa mple.com",
        "https://desk.example.com\n.evil.example",
        "https://desk..example.com",
        "https://-desk.example.com",
        "https://desk.example.com:",
        "https://desk.example.com:0",
        "https://desk.example.com:99999",
        "https://desk.example.com:https",
        "https://<script>",
        "https://[::zz]",
    ],
)
def test_any_other_public_url_is_refused(monkeypatch: pytest.MonkeyPatch, wrong: str):
    with pytest.raises(Invalid, match=r"^PUBLIC_URL=") as refused:
        load(monkeypatch, PUBLIC_URL=wrong)
    assert SECRET not in refused.value.message and "\n" not in refused.value.message


def test_the_unsubscribe_link_begins_with_the_origin(monkeypatch: pytest.MonkeyPatch):
    loaded = load(monkeypatch, PUBLIC_URL=" https://Bücher.example:443/ ")
    assert str(UnsubscribeLinks(None, loaded.public_url)._base).startswith("https://xn--bcher-kva.example/")  # type: ignore[arg-type]
    assert loaded.secure_cookies is True


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        (f"postgresql+psycopg://user:{SECRET}@host/db", r"\+psycopg"),
        (f"mysql://user:{SECRET}@host/db", "postgresql://"),
        (f"postgresql://user:{SECRET}@host/db?pgbouncer=true", "'pgbouncer'"),
        (f"postgresql://user:{SECRET}@host:99999/db", "port"),
        (f"postgresql://user:{SECRET}@host:abc/db", "port"),
        (f"postgresql://user:{SECRET}%zz@host/db", "%25"),
        (f"postgresql://user:{SECRET}/more@host/db", "%2F"),
        (f"postgresql://user:a@{SECRET}@host/db", "%40"),
        (f"postgresql://user:{SECRET}@/db", "no host"),
        (f"postgresql://user:{SECRET}@host/d b", "space"),
        (f"postgresql://user:{SECRET}@ho\nst/db", "line break"),
        (f"host=db user=me password='{SECRET}", "postgresql://"),
        (SECRET, "postgresql://"),
    ],
)
def test_wrong_database_url_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch, wrong: str, names: str):
    with pytest.raises(Invalid, match=rf"^DATABASE_URL=\*+: .*{names}") as refused:
        load(monkeypatch, DATABASE_URL=wrong)
    assert SECRET not in refused.value.message and "\n" not in refused.value.message


@pytest.mark.parametrize(
    "right",
    [
        "postgresql:///db",
        f"postgres://user:{SECRET}@host:5432/db?sslmode=require&connect_timeout=3",
        f"postgresql://user:{SECRET}@one:1,two:2/db?target_session_attrs=any",
        f"postgresql://user:{SECRET}@/db?host=/var/run/postgresql",
        f"host=db port=5432 user=me password='{SECRET} b'",
        "postgresql://user:p%40ss@[::1]/db",
    ],
)
def test_every_form_that_postgresql_reads_is_accepted(monkeypatch: pytest.MonkeyPatch, right: str):
    loaded = load(monkeypatch, DATABASE_URL=f" {right}\n").database_url
    assert loaded is not None and loaded.get_secret_value() == right


@pytest.mark.parametrize("name", ["CHATWOOT_API_TOKEN", "OPENAI_API_KEY", "TELEGRAM_BOT_TOKEN"])
def test_keys_are_trimmed_or_refused(monkeypatch: pytest.MonkeyPatch, name: str):
    kept = getattr(load(monkeypatch, **{name: f" {SECRET}\r\n"}), name.lower())
    assert kept.get_secret_value() == SECRET
    for wrong in (f"{SECRET}\n{SECRET}", f"{SECRET} x", f'"{SECRET}"', f"{SECRET}é"):
        with pytest.raises(Invalid, match=rf"^{name}=\*+: ") as refused:
            load(monkeypatch, **{name: wrong})
        assert SECRET not in refused.value.message


def test_password_keeps_spaces_but_no_line_break(monkeypatch: pytest.MonkeyPatch):
    kept = load(monkeypatch, AUTH_PASSWORD=" correct horse \r\n").auth_password
    assert kept is not None and kept.get_secret_value() == " correct horse "


@pytest.mark.parametrize("name", ["CHATWOOT_BASE_URL", "OPENAI_BASE_URL", "TELEGRAM_API_BASE_URL"])
def test_credentials_of_an_address_are_not_shown(monkeypatch: pytest.MonkeyPatch, name: str):
    loaded = load(monkeypatch, **{name: f" https://user:{SECRET}@upstream.example/ "})
    assert settings.effective_values(loaded)[name] == "https://********@upstream.example"
    assert getattr(loaded, name.lower()) == f"https://user:{SECRET}@upstream.example", "requests carry them"


@pytest.mark.parametrize("name", ["CHATWOOT_BASE_URL", "OPENAI_BASE_URL", "ANSWER_BASE_URL", "CORS_ORIGIN"])
@pytest.mark.parametrize(
    "wrong",
    [
        f"https://user:{SECRET}/more@host.example",
        f"https://user:{SECRET} more@host.example",
        f"https://user:a@{SECRET}@host.example",
        f"https://user:a?{SECRET}@host.example",
        f"user:{SECRET}@host.example",
    ],
)
def test_unreadable_credentials_are_refused_unseen(monkeypatch: pytest.MonkeyPatch, name: str, wrong: str):
    with pytest.raises(Invalid, match=rf"^{name}=") as refused:
        load(monkeypatch, **{name: wrong})
    assert SECRET not in refused.value.message


def test_secret_parameter_of_an_address_is_not_shown(monkeypatch: pytest.MonkeyPatch):
    loaded = load(monkeypatch, OPENAI_BASE_URL=f"https://ai.example/v1?api-version=2&api-key={SECRET}")
    shown = settings.effective_values(loaded)["OPENAI_BASE_URL"]
    assert shown == "https://ai.example/v1?api-version=2&api-key=********"
    assert redaction.redact_text(f"sent {SECRET}") == "sent ********"


@pytest.mark.parametrize(
    "name", ["AUTH_USERNAME", "HOST", "EMBEDDING_MODEL", "ANSWER_MODEL", "TELEGRAM_WEBHOOK_SECRET"]
)
def test_names_are_trimmed(monkeypatch: pytest.MonkeyPatch, name: str):
    kept = getattr(load(monkeypatch, OPENAI_API_KEY="k", **{name: " word\r\n"}), name.lower())
    assert (kept if isinstance(kept, str) else kept.get_secret_value()) == "word"


def test_links_to_chatwoot_carry_no_credentials(monkeypatch: pytest.MonkeyPatch):
    loaded = load(monkeypatch, CHATWOOT_BASE_URL=f"https://user:{SECRET}@chat.example/desk/")
    assert loaded.chatwoot_links == "https://chat.example/desk"


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """Undo `logging.setup` after the test, for the tests that follow in this process."""
    root = logging.getLogger()
    handlers, levels = root.handlers, {name: logging.getLogger(name).level for name in (None, *root.manager.loggerDict)}
    yield
    root.handlers = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    structlog.reset_defaults()


@pytest.mark.usefixtures("restored_logging")
def test_logs_hold_no_secret(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    proofdesk_logging.setup(load(monkeypatch, OPENAI_API_KEY=SECRET, LOG_FORMAT="json"))
    logging.getLogger("library").warning("refused %s", SECRET)
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger("library").exception("failed", extra={"url": f"https://a:{SECRET}@b"})
    proofdesk_logging.get_logger("proofdesk.test").warning("event", inner={"list": [SECRET, "https://u:pw@host/x"]})
    written = capsys.readouterr().err
    assert len(written.splitlines()) == 3
    assert SECRET not in written and "u:pw@" not in written
    assert json.loads(written.splitlines()[-1])["inner"]["list"][1] == "https://********@host/x"


def test_escaped_password_is_removed_in_both_spellings():
    redaction.register_secrets(["postgresql://user:sp%40ced-word@host/db"])
    assert redaction.redact_text("password sp@ced-word or sp%40ced-word") == "password ******** or ********"


def test_home_may_start_with_a_tilde(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/homes/me")
    assert str(load(monkeypatch, PROOFDESK_HOME="~/desk").proofdesk_home) == "/homes/me/desk"
    with pytest.raises(Invalid, match=r"^PROOFDESK_HOME="):
        load(monkeypatch, PROOFDESK_HOME="~nobody-of-that-name/desk")


def test_addresses_without_credentials_are_unchanged():
    text = "write to me@example.com about https://a.example/@me"
    assert urls.masked(text) == text


def test_machines_without_the_default_model_use_the_lighter_one(monkeypatch: pytest.MonkeyPatch):
    assert load(monkeypatch).model == "local:e5-small"
    monkeypatch.setattr(embedding_models, "_RUNS_E5", False)
    assert load(monkeypatch).model == "local:use"
    assert load(monkeypatch, OPENAI_API_KEY="k").model == "text-embedding-3-small"


@pytest.mark.parametrize(
    "environment",
    [
        {"EMBEDDING_PROVIDER": "local", "EMBEDDING_MODEL": "text-embedding-3-large"},
        {"EMBEDDING_PROVIDER": "openai", "EMBEDDING_MODEL": "local:use"},
        {"EMBEDDING_MODEL": "local:wordllama"},
    ],
)
def test_a_model_of_another_provider_is_refused(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]):
    with pytest.raises(Invalid, match=r"^EMBEDDING_MODEL=.*local:e5-small and local:use"):
        load(monkeypatch, **environment)
