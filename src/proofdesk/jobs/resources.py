"""The resources of a process: the connection pool and the clients, opened and closed together."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from proofdesk.accounts.bot import Bot
from proofdesk.answers.asking import AnswerTools
from proofdesk.answers.chat_model import ChatModel, open_chat_model
from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.database.pool import ClosedDatabase, Database, open_database
from proofdesk.errors import Unavailable
from proofdesk.indexing.embeddings import factory as embeddings
from proofdesk.indexing.embeddings.provider import EmbeddingProvider
from proofdesk.jobs.events import RunFeed
from proofdesk.outbound.channels import registry
from proofdesk.outbound.channels.interface import Channel as Channel
from proofdesk.outbound.channels.telegram.moves import StoredChatMoves
from proofdesk.outbound.delivery.delivery import DeliveryOptions
from proofdesk.outbound.opt_outs.unsubscribe import UnsubscribeLinks
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings


@dataclass(frozen=True)
class Resources:
    """What stays open for as long as the process runs. Clients that are not configured are None.

    `outbound` has the configured channels, by name. `observers` execute the job types that read what all packages
    store: they stand above `jobs`.
    """

    settings: Settings
    db: Database
    chatwoot: ChatwootClient | None
    provider: EmbeddingProvider | None
    bot: Bot | None
    links: UnsubscribeLinks
    outbound: dict[str, Channel]
    feed: RunFeed
    answer_model: ChatModel | None = None
    observers: Mapping[str, "Observer"] = field(default_factory=dict)

    @property
    def answering(self) -> AnswerTools:
        """What answers to questions need."""
        return AnswerTools(self.db, self.provider, self.settings, self.answer_model)

    @property
    def owner_url(self) -> str:
        """The URL of the database as its owner, for what the application role may not do."""
        assert self.settings.database_url is not None, "the caller sets DATABASE_URL"
        return self.settings.database_url.get_secret_value()

    @property
    def delivery_options(self) -> DeliveryOptions:
        """How outbound messages are sent."""
        return DeliveryOptions.from_settings(self.settings, self.chatwoot)


Observer = Callable[[Resources, Scope], Awaitable[dict[str, Any]]]
"""What executes a job type of a project. It returns counts."""


@asynccontextmanager
async def open_resources(
    settings: Settings, *, closed: Unavailable | None = None, observers: Mapping[str, Observer] = MappingProxyType({})
) -> AsyncIterator[Resources]:
    """Open the resources for the migrated database of `settings.database_url`.

    With `closed`, the database is not opened, and every use of it raises this reason.
    """
    assert settings.database_url is not None, "the caller sets DATABASE_URL"
    async with AsyncExitStack() as stack:
        url = settings.database_url.get_secret_value()
        db = ClosedDatabase(closed) if closed else None
        db = db or await stack.enter_async_context(open_database(url, settings.database_pool_size))
        chatwoot = _chatwoot(settings)
        if chatwoot is not None:
            await stack.enter_async_context(aclosing(chatwoot))
        provider = _provider(settings)
        if provider is not None:
            await stack.enter_async_context(aclosing(provider))
        bot = _bot(settings)
        if bot is not None:
            await stack.enter_async_context(aclosing(bot))
        links = UnsubscribeLinks(db, settings.public_url)
        outbound = registry.build_channels(settings, links, StoredChatMoves(db), chatwoot, bot)
        for channel in outbound.values():
            await stack.enter_async_context(aclosing(channel))
        feed = await stack.enter_async_context(aclosing(RunFeed(db, url)))
        answer_model = open_chat_model(settings)
        if answer_model is not None:
            await stack.enter_async_context(aclosing(answer_model))
        yield Resources(settings, db, chatwoot, provider, bot, links, outbound, feed, answer_model, observers)


def _chatwoot(settings: Settings) -> ChatwootClient | None:
    if settings.chatwoot_base_url is None or settings.chatwoot_api_token is None:
        return None
    return ChatwootClient(
        settings.chatwoot_base_url,
        settings.chatwoot_api_token.get_secret_value(),
        concurrency=settings.chatwoot_concurrency,
        timeout=settings.chatwoot_timeout_seconds,
    )


def _bot(settings: Settings) -> Bot | None:
    if settings.telegram_bot_token is None:
        return None
    return Bot(settings.telegram_api_base_url, settings.telegram_bot_token.get_secret_value())


def _provider(settings: Settings) -> EmbeddingProvider | None:
    try:
        return embeddings.open_provider(settings)
    except Unavailable:
        return None  # Search uses keywords only, and the job says which setting is missing.
