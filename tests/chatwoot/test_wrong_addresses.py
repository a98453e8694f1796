"""A wrong CHATWOOT_BASE_URL is recognised at once, by name, and no retry delays it."""

import asyncio

import pytest

from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.core import certificates
from proofdesk_simulators.chatwoot import ChatwootSimulator, create_app
from proofdesk_simulators.serving import running


async def refusal(url: str) -> ChatwootError:
    """Return the error of a read, which would be retried for two minutes if it were not permanent."""
    client = ChatwootClient(url, "token")
    try:
        async with asyncio.timeout(20):
            with pytest.raises(ChatwootError) as raised:
                await client.inboxes(1)
    finally:
        await client.aclose()
    assert raised.value.permanent
    return raised.value


@pytest.mark.parametrize("path", ["/app", "/api", "/api/v1"])
async def test_a_path_in_the_address_is_named(simulator: ChatwootSimulator, path: str):
    with running(create_app(simulator)) as url:
        assert f"Remove {path} from CHATWOOT_BASE_URL" in (await refusal(url + path)).message


async def test_a_page_is_not_retried(simulator: ChatwootSimulator):
    simulator.faults.add("200_page")
    with running(create_app(simulator)) as url:
        error = await refusal(url)
    assert error.html and error.from_proxy and "an HTML page" in error.message


async def test_https_to_an_http_port_is_named(simulator: ChatwootSimulator):
    with running(create_app(simulator)) as url:
        error = await refusal(url.replace("http:", "https:"))
    assert error.wrong_address and "speaks http, not https" in error.message


async def test_http_to_an_https_port_is_named(monkeypatch: pytest.MonkeyPatch):
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    async def yes(host: str, port: int) -> bool:
        return (host, port) == ("127.0.0.1", bound)

    monkeypatch.setattr(certificates, "speaks_tls", yes)
    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        bound = server.sockets[0].getsockname()[1]
        error = await refusal(f"http://127.0.0.1:{bound}")
    assert error.wrong_address and "Begin CHATWOOT_BASE_URL with https://" in error.message


async def test_a_port_that_speaks_http_speaks_no_tls(simulator: ChatwootSimulator):
    with running(create_app(simulator)) as url:
        assert not await certificates.speaks_tls("127.0.0.1", int(url.rsplit(":", 1)[1]))
