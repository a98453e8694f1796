"""The relay on a port: a thread of its own for tests, or until cancelled."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from proofdesk import ports
from proofdesk.simulators import serving
from proofdesk.simulators.serving import HOST
from proofdesk.simulators.smtp.control import create_app
from proofdesk.simulators.smtp.simulator import CUT, LOST_REPLY, REFUSALS, Simulator

_NEVER = 3600.0


@contextmanager
def running(
    simulator: Simulator, host: str = HOST, port: int = 0, *, tls: ssl.SSLContext | None = None, implicit: bool = False
) -> Iterator[str]:
    """Serve from a thread and yield the relay's URL. With `tls` it offers STARTTLS, or speaks TLS from the start."""
    started, ends, found = threading.Event(), asyncio.Event(), list[Any]()

    async def serve_until_told() -> None:
        server = await _listening(simulator, host, port, tls, implicit)
        found.extend([asyncio.get_running_loop(), server.sockets[0].getsockname()[1]])
        started.set()
        async with server:
            await ends.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve_until_told()), name="smtp", daemon=True)
    thread.start()
    if not started.wait(serving.START_WITHIN):
        raise RuntimeError(f"no relay at {host}:{port}")
    try:
        yield f"{'smtps' if implicit else 'smtp'}://{host}:{found[1]}"
    finally:
        found[0].call_soon_threadsafe(ends.set)
        thread.join(serving.START_WITHIN)


async def serve(simulator: Simulator, host: str, port: int, control_port: int) -> None:
    """Serve the relay, and its controls over HTTP, until cancelled."""
    async with await _listening(simulator, host, port, None, False):
        await serving.serve(create_app(simulator), host, control_port)


async def _listening(
    simulator: Simulator, host: str, port: int, tls: ssl.SSLContext | None, implicit: bool
) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    accepts_login: dict[str, Any] = {}
    if simulator.login is not None:
        accepts_login = {"authenticator": _authenticator(simulator), "auth_require_tls": False}

    def session() -> SMTP:
        simulator.sessions += 1
        starttls = None if implicit else tls
        return SMTP(
            _Handler(simulator, implicit), hostname=host, enable_SMTPUTF8=True, tls_context=starttls, loop=loop,
            **accepts_login,
        )  # fmt: skip

    listener = ports.listen(host, port, ("--host", "--port"))
    return await loop.create_server(session, sock=listener, ssl=tls if implicit else None)


def _authenticator(simulator: Simulator) -> Any:
    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        return AuthResult(success=given == simulator.login, handled=False, auth_data=given and given[0])

    return authenticate


class _Handler:
    """What aiosmtpd asks at each step."""

    def __init__(self, simulator: Simulator, implicit: bool) -> None:
        self._simulator, self._implicit = simulator, implicit

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if self._simulator.login is not None and not session.authenticated:
            return REFUSALS["login"]
        refused = await self._strike("MAIL", server, envelope)
        if refused is None:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return refused or "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        refused = await self._strike("RCPT", server, envelope, address)
        if refused is None:
            envelope.rcpt_tos.append(address)
        return refused or "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        def take() -> None:
            encrypted = self._implicit or session.ssl is not None
            username = session.auth_data if session.authenticated else None
            taken = (envelope.mail_from, list(envelope.rcpt_tos), bytes(envelope.original_content))
            self._simulator.take(*taken, encrypted, username)

        refused = await self._strike("DATA", server, envelope, take=take)
        if refused is None:
            take()
        return refused or "250 2.0.0 OK: taken"

    async def _strike(self, step: str, server: Any, envelope: Any, *also: str, take: Any = None) -> str | None:
        striking = self._simulator.striking(step, [*envelope.rcpt_tos, *also])
        await asyncio.sleep(max((fault.delay for fault in striking), default=0.0))
        for fault in striking:
            if fault.kind == LOST_REPLY and take is not None:
                take()
            if fault.kind in (CUT, LOST_REPLY):
                server.transport.abort()
                await asyncio.sleep(_NEVER)  # until the lost connection ends this
            if fault.kind in REFUSALS:
                return REFUSALS[fault.kind]
        return None
