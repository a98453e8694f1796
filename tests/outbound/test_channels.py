"""The channels that settings configure, and what they validate."""

from uuid import uuid4

import pytest
from pydantic import SecretStr

from proofdesk import settings
from proofdesk.database.pool import Database
from proofdesk.errors import Invalid
from proofdesk.jobs import resources
from proofdesk.outbound.channels import registry
from proofdesk.outbound.opt_outs.unsubscribe import LinkNotFound, UnsubscribeLinks, UnsubscribeRequest
from proofdesk.settings import Settings


async def test_configured_channels_are_built(database_url: str, db: Database):
    bare = Settings(database_url=SecretStr(database_url))
    async with resources.open_resources(bare) as opened:
        assert opened.outbound == {}
    mail = bare.model_copy(update={"smtp_url": SecretStr("smtp://mail.example.com"), "smtp_from": "a@b.example"})
    full = mail.model_copy(
        update={
            "telegram_bot_token": SecretStr("1:a"),
            "chatwoot_base_url": "http://127.0.0.1:1",
            "chatwoot_api_token": SecretStr("x"),
        }
    )
    async with resources.open_resources(full) as opened:
        assert set(opened.outbound) == set(registry.CHANNELS) == set(registry.REQUIRED_SETTINGS)


def test_messages_are_validated_without_configuration():
    assert registry.check_message("telegram", "5", {"text": "x"}) == ("5", {"text": "x"})
    with pytest.raises(registry.InvalidChannel, match="chatwoot, email, telegram"):
        registry.check_message("pigeon", "5", {"text": "x"})


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"SMTP_URL": "smtp://u:hush@h?tls=no", "SMTP_FROM": "a@b.example"}, "SMTP_URL=********: name an address"),
        ({"SMTP_URL": "smtp://mail.example.com"}, "SMTP_FROM='': name the sender"),
        ({"SMTP_FROM": "nobody"}, "SMTP_FROM='nobody': name one sender"),
    ],
)
def test_invalid_settings_are_reported_in_one_line(monkeypatch: pytest.MonkeyPatch, values: dict[str, str], line: str):
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Invalid) as refused:
        settings.load()
    assert refused.value.message.startswith(line) and "\n" not in refused.value.message
    assert "hush" not in refused.value.message


def test_relay_address_is_not_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SMTP_URL", "smtp://desk:hush@mail.example.com")
    monkeypatch.setenv("SMTP_FROM", "Studio <a@b.example>")
    assert settings.effective_values(settings.load())["SMTP_URL"] == "********"


async def test_links_work_in_every_process_and_name_the_recipient(db: Database):
    project, message = uuid4(), uuid4()
    one, other = UnsubscribeLinks(db, "https://desk.example.com/"), UnsubscribeLinks(db, "https://desk.example.com")
    url = await one.url(project, message, "юля@почта.рф")
    assert url is not None and url.startswith("https://desk.example.com/webhooks/unsubscribe/")
    token = url.rpartition("/")[2]
    assert await other.read(token) == UnsubscribeRequest(project, message, "юля@почта.рф")
    assert await UnsubscribeLinks(db, None).url(project, message, "a@b.example") is None
    assert (await UnsubscribeLinks(db, "https://почта.рф").url(project, message, "a@b.example") or "").isascii()


async def test_changed_link_is_refused(db: Database):
    links = UnsubscribeLinks(db, "https://desk.example.com")
    url = await links.url(uuid4(), uuid4(), "ada@example.com")
    assert url is not None
    named, _, signature = url.rpartition("/")[2].partition(".")
    for token in ("", ".", named, f"{named}.", f"{named[:-4]}AAAA.{signature}", f"{named}.{signature[:-2]}xx", "ё.ё"):
        with pytest.raises(LinkNotFound):
            await links.read(token)
