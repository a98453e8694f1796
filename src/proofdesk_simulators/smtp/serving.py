"""Serving the relay: from a thread for tests, or until cancelled."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from proofdesk.core import ports
from proofdesk_simulators import serving
from proofdesk_simulators.serving import HOST
from proofdesk_simulators.smtp.control import create_app
from proofdesk_simulators.smtp.simulator import (
    CUT,
    LOST_REPLY,
    REFUSALS,
    TOO_MANY_IN_SESSION,
    TOO_MANY_LOGINS,
    TOO_MANY_SESSIONS,
    SmtpSimulator,
)

_NEVER = 3600.0


@contextmanager
def running(
    simulator: SmtpSimulator,
    host: str = HOST,
    port: int = 0,
    *,
    tls: ssl.SSLContext | None = None,
    implicit: bool = False,
) -> Iterator[str]:
    """Serve from a thread and yield the relay's URL. With `tls` it offers STARTTLS, or implicit TLS."""
    started, ends, found = threading.Event(), asyncio.Event(), list[Any]()

    async def serve_until_told() -> None:
        server = await _listening(simulator, host, port, tls, implicit)
        found.extend([asyncio.get_running_loop(), server.sockets[0].getsockname()[1]])
        started.set()
        async with server:
            await ends.wait()
        await _hang_up(simulator)

    thread = threading.Thread(target=lambda: asyncio.run(serve_until_told()), name="smtp", daemon=True)
    thread.start()
    if not started.wait(serving.START_WITHIN):
        raise RuntimeError(f"no relay at {host}:{port}")
    try:
        yield f"{'smtps' if implicit else 'smtp'}://{host}:{found[1]}"
    finally:
        found[0].call_soon_threadsafe(ends.set)
        thread.join(serving.START_WITHIN)


async def serve(simulator: SmtpSimulator, host: str, port: int, control_port: int) -> None:
    """Serve the relay, and its controls over HTTP, until cancelled."""
    async with await _listening(simulator, host, port, None, False):
        await serving.serve(create_app(simulator), host, control_port)


async def _listening(
    simulator: SmtpSimulator, host: str, port: int, tls: ssl.SSLContext | None, implicit: bool
) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    accepts_login: dict[str, Any] = {}
    if simulator.login is not None:
        accepts_login = {"authenticator": _authenticator(simulator), "auth_require_tls": False}

    def session() -> asyncio.BaseProtocol:
        if not simulator.admits_session():
            return _TurnedAway(TOO_MANY_SESSIONS)
        starttls = None if implicit else tls
        return _Session(
            _Handler(simulator, implicit), simulator, hostname=host, enable_SMTPUTF8=simulator.smtputf8,
            tls_context=starttls, loop=loop, **accepts_login,
        )  # fmt: skip

    listener = ports.listen(host, port, ("--host", "--port"))
    return await loop.create_server(session, sock=listener, ssl=tls if implicit else None)


async def _hang_up(simulator: SmtpSimulator) -> None:
    """Close the sessions that clients left open."""
    for transport in list(simulator.open.values()):
        transport.abort()
    for _ in range(5):  # until the loop has closed their sockets, those below TLS included
        await asyncio.sleep(0)


class _TurnedAway(asyncio.Protocol):
    """A session that is rejected with its banner."""

    def __init__(self, banner: str) -> None:
        self._banner = banner

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(f"{self._banner}\r\n".encode())
        transport.close()


class _Session(SMTP):
    """One session. It counts as open until its connection ends."""

    def __init__(self, handler: "_Handler", simulator: SmtpSimulator, **options: Any) -> None:
        super().__init__(handler, **options)
        self._simulator = simulator

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._simulator.open.setdefault(id(self), transport)  # STARTTLS calls this again
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._simulator.open.pop(id(self), None) is not None:
            self._simulator.admitted -= 1
        super().connection_lost(error)


def _authenticator(simulator: SmtpSimulator) -> Any:
    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        if not simulator.admits_login():
            return AuthResult(success=False, handled=False, message=TOO_MANY_LOGINS)
        given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        return AuthResult(success=given == simulator.login, handled=False, auth_data=given and given[0])

    return authenticate


class _Handler:
    """The hooks that aiosmtpd calls at each step."""

    def __init__(self, simulator: SmtpSimulator, implicit: bool) -> None:
        self._simulator, self._implicit = simulator, implicit
        self.messages = 0  # of this session

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if self._simulator.login is not None and not session.authenticated:
            return REFUSALS["login"]
        if not self._simulator.admits_message(self.messages):
            await server.push(TOO_MANY_IN_SESSION)
            server.transport.close()
            await asyncio.sleep(_NEVER)
        refused = self._simulator.over_quota("MAIL") or await self._strike("MAIL", server, envelope)
        if refused is None:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return refused or "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        refused = self._simulator.over_quota("RCPT") or await self._strike("RCPT", server, envelope, address)
        if refused is None:
            envelope.rcpt_tos.append(address)
        return refused or "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        def take() -> None:
            encrypted = self._implicit or session.ssl is not None
            username = session.auth_data if session.authenticated else None
            taken = (envelope.mail_from, list(envelope.rcpt_tos), bytes(envelope.original_content))
            self._simulator.record(*taken, encrypted, username)
            self.messages += 1

        refused = await self._strike("DATA", server, envelope, take=take) or self._simulator.over_quota("DATA")
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
