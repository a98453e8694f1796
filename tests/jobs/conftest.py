"""The resources of a process, with the sample studio as Chatwoot."""

from collections.abc import AsyncIterator, Iterator

import pytest
from pydantic import SecretStr

from proofdesk.jobs.resources import Resources, open_resources
from proofdesk.settings import Settings
from proofdesk_simulators.chatwoot import ChatwootSimulator, build, create_app
from proofdesk_simulators.serving import running


@pytest.fixture
def studio() -> Iterator[ChatwootSimulator]:
    """The sample studio."""
    simulator = build("studio")
    yield simulator
    simulator.close()


@pytest.fixture
async def resources(studio: ChatwootSimulator, database_url: str, db: object) -> AsyncIterator[Resources]:
    """Opened resources, with the studio as Chatwoot and the local embedding model."""
    with running(create_app(studio)) as base_url:
        settings = Settings(
            database_url=SecretStr(database_url),
            chatwoot_base_url=base_url,
            chatwoot_api_token=SecretStr(studio.admin_token),
            chatwoot_account_id=1,
            embedding_provider="local",
            worker_interval_seconds=1,
        )
        async with open_resources(settings) as opened:
            yield opened
