"""The ASGI application: routes behind a gateway that logs, delays, fails and throttles."""

import asyncio
from email.utils import formatdate
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proofdesk_simulators import broken
from proofdesk_simulators.chatwoot import faults
from proofdesk_simulators.chatwoot.faults import ChatwootFault
from proofdesk_simulators.chatwoot.journal import JournalEntry
from proofdesk_simulators.chatwoot.refusals import CATALOGUE
from proofdesk_simulators.chatwoot.routes import call, control, reply, storage
from proofdesk_simulators.chatwoot.routes.table import BELOW_ACCOUNT, SERVER
from proofdesk_simulators.chatwoot.simulator import ChatwootSimulator

UNTROUBLED = ("/_simulator", "/_storage", "/rails/")


def create_app(simulator: ChatwootSimulator) -> ASGIApp:
    """Return the API of the installation with the controls under `/_simulator/`."""
    routes = [*_api_routes(simulator), *control.routes(simulator), *_storage_routes(simulator)]
    inner = Starlette(routes=routes, exception_handlers={404: _unknown, 405: _unknown})
    return Gateway(simulator, inner)


class Gateway:
    """What is in front of Rails: the network, the proxy and the throttles."""

    def __init__(self, simulator: ChatwootSimulator, app: ASGIApp) -> None:
        self._simulator = simulator
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(UNTROUBLED):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        entry = self._log(request)
        with self._simulator.installation.lock:
            striking = self._simulator.faults.striking(request.method, entry.path)
        await asyncio.sleep(max((fault.delay for fault in striking), default=0.0))
        for fault in striking:
            if await self._strike(fault, entry, scope, receive, send):
                return
        await self._serve(request, entry, receive, send)

    async def _serve(self, request: Request, entry: JournalEntry, receive: Receive, send: Send) -> None:
        simulator = self._simulator
        date = formatdate(entry.at, usegmt=True).encode()

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.status = message["status"]
                message["headers"] = [*message["headers"], (b"date", date)]
            await send(message)

        token = call.token(request, simulator.installation) or ""
        if simulator.throttles.exceeded(entry.path, entry.ip, token, entry.at):
            await reply.error_response(CATALOGUE["429"])(request.scope, receive, note)
            return
        await self._app(request.scope, receive, note)
        with simulator.installation.lock:
            simulator.shifts.after(entry.method, entry.path)

    async def _strike(
        self, fault: ChatwootFault, entry: JournalEntry, scope: Scope, receive: Receive, send: Send
    ) -> bool:
        """Apply a fault. Return True if it has sent the response."""
        if fault.kind == faults.DELAY:
            return False
        if fault.kind == faults.LOST_REPLY:
            await self._app(scope, receive, _discard)
        if fault.kind in (faults.LOST_REPLY, faults.CUT):
            await broken.cut(send, reply.request_id_header())
        if fault.kind == faults.HALF:
            await broken.half(self._app, scope, receive, send)
        if fault.kind == faults.TRICKLE:
            await broken.trickle(receive, send, reply.request_id_header())
        answer = CATALOGUE[fault.kind]
        entry.status = answer.status
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        await reply.error_response(answer, headers)(scope, receive, send)
        return True

    def _log(self, request: Request) -> JournalEntry:
        ip = request.client.host if request.client else ""
        path, query = request.url.path, request.url.query
        entry = JournalEntry(request.method, path, query, self._simulator.installation.now(), ip)
        return self._simulator.journal.write(entry)


def _api_routes(simulator: ChatwootSimulator) -> list[Route]:
    below = [(m, "/api/v1/accounts/{account_id:int}" + path, h, who) for m, path, h, who in BELOW_ACCOUNT]
    return [
        Route(path, reply.endpoint(simulator, handler, allowed), methods=[method])
        for method, path, handler, allowed in [*below, *SERVER]
    ]


def _storage_routes(simulator: ChatwootSimulator) -> list[Route]:
    redirect = "/rails/active_storage/{kind}/redirect/b{file_id:int}/{name:path}"
    return [
        Route(redirect, storage.redirect(simulator)),
        Route("/_storage/{file_id:int}/{name:path}", storage.download(simulator)),
    ]


async def _unknown(request: Request, error: Exception) -> Any:
    return await reply.unknown_route(request)


async def _discard(message: Message) -> None:
    """Drop a message: the response never arrives."""
