"""Sessions with one relay, shared by all messages of a process: as many at once as the relay accepts.

A session carries many messages, one after the other, and is closed a few seconds after the last one. When the relay
refuses another session, the number of open ones becomes the limit. The pool tries more sessions later, and less often
with each refusal.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable

import aiosmtplib

from proofdesk.outbound.channels.backoff import MAX_HOLD, ChannelBackoff, ChannelPause
from proofdesk.outbound.channels.email import replies
from proofdesk.outbound.channels.email.envelope import SMTP_ERRORS
from proofdesk.outbound.channels.email.replies import RefusalScope, ReplyVerdict, SmtpReply

_INITIAL_SESSIONS = 4
_IDLE_TIMEOUT = 3.0
_QUIT_TIMEOUT = 2.0
_REFUSALS_OF_RELAY = 2  # refusals in a row after which a condition concerns the whole relay
_GROWTH_INTERVAL, _MAX_GROWTH_INTERVAL = 60.0, 900.0
_MESSAGES_BEFORE_GROWTH = 10  # per session


class SessionRefused(Exception):
    """The relay opened no session. `reply` is its answer, `pause` the wait that it asks for."""

    def __init__(self, reply: SmtpReply, pause: ChannelPause | None = None):
        super().__init__(reply.text)
        self.reply, self.pause = reply, pause


class SessionsPaused(Exception):
    """No session is opened while the relay asks for a pause."""

    def __init__(self, pause: ChannelPause):
        super().__init__(pause.reason)
        self.pause = pause


class SmtpSession:
    """An authenticated session. `reused`: it carried a message before, so the relay may have ended it since."""

    def __init__(self, smtp: aiosmtplib.SMTP):
        self.smtp = smtp
        self.reused = False
        self.idle_since = time.monotonic()

    @classmethod
    async def open(cls, smtp: aiosmtplib.SMTP, login: tuple[str, str] | None) -> "SmtpSession":
        """Connect, encrypt if configured, and sign in. Raises `SessionRefused`."""
        step = "CONNECT"
        try:
            await smtp.connect()
            await _introduce(smtp)
            step = "AUTH" if login is not None else "CONNECT"
            await _sign_in(smtp, login)
        except BaseException as error:
            close_connection(smtp, smtp.transport)
            if isinstance(error, SMTP_ERRORS):
                raise SessionRefused(replies.parse_reply(error, step)) from error
            raise
        return cls(smtp)

    async def close(self) -> None:
        """Send QUIT and close the connection, whatever the relay answers."""
        transport = self.smtp.transport
        with contextlib.suppress(*SMTP_ERRORS):
            if self.smtp.is_connected:
                await self.smtp.quit(timeout=_QUIT_TIMEOUT)
        close_connection(self.smtp, transport)
        for _ in range(3):  # the loop closes the socket, and that below TLS, on its next rounds
            await asyncio.sleep(0)

    def abort(self) -> None:
        """Drop the connection."""
        close_connection(self.smtp, self.smtp.transport)


class SmtpSessionPool:
    """The pool. `connect` returns an unconnected client; at most `max_sessions` are open at once."""

    def __init__(self, connect: Callable[[], aiosmtplib.SMTP], login: tuple[str, str] | None, max_sessions: int):
        self.backoff = ChannelBackoff()
        self._connect, self._login, self._max_sessions = connect, login, max_sessions
        self._limit = min(_INITIAL_SESSIONS, max_sessions)
        self._open = 0
        self._idle: list[SmtpSession] = []
        self._changed = asyncio.Event()
        self._refusals = 0  # refusals in a row
        self._accepted = 0  # messages since the limit changed
        self._grow_at, self._grow_every = 0.0, _GROWTH_INTERVAL
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def limit(self) -> int:
        """The number of sessions that may be open at once now."""
        return self._limit

    async def acquire(self) -> SmtpSession:
        """Return a session for one message, when there is one. Raises `SessionRefused` or `Waiting` when the relay
        opens none."""
        while True:
            self._drop_lost()
            pause = self.backoff.pause
            is_held = pause is not None and pause.hold > 0
            if pause is not None and is_held and (pause.all_workers or not (self._idle or self._open >= self._limit)):
                await self._wait_out(pause)
            elif self._idle:
                return self._idle.pop()
            elif self._open < self._limit:
                session = await self._open_session()
                if session is not None:
                    return session
            else:
                await self._wait(None)

    def release(self, session: SmtpSession) -> None:
        """Return a session to the pool for the next message."""
        session.reused, session.idle_since = True, time.monotonic()
        self._idle.append(session)
        self._changed.set()
        asyncio.get_running_loop().call_later(_IDLE_TIMEOUT, self._close_idle)

    def discard(self, session: SmtpSession) -> None:
        """Close a session that cannot be used again."""
        session.abort()
        self._forget()

    def record_success(self) -> None:
        """Record an accepted message."""
        self._refusals = 0
        self.backoff.record_success()
        self._grow()

    def record_refusal(self, reply: SmtpReply, verdict: ReplyVerdict, started: float) -> ChannelPause | None:
        """Record a refusal that concerns more than one message; return the wait for all of them."""
        self._refusals += 1
        if verdict.scope is RefusalScope.MAYBE_ALL and self._refusals < _REFUSALS_OF_RELAY:
            return None
        if verdict.scope is not RefusalScope.SESSION:
            self._shrink(self._limit // 2)
        elif reply.code is not None or self._open:
            self._shrink(self._open)
            if self._open:
                return None  # the open sessions continue
        all_workers = verdict.scope is not RefusalScope.SESSION
        reason = replies.describe(reply, verdict)
        return self.backoff.record_refusal(reason, started, at_least=verdict.min_wait, all_workers=all_workers)

    async def aclose(self) -> None:
        """Close all sessions."""
        idle, self._idle = self._idle, []
        self._open -= len(idle)
        await asyncio.gather(*(session.close() for session in idle), *self._closing)

    async def _open_session(self) -> SmtpSession | None:
        """Return a new session, None when the relay accepts no more beside the open ones."""
        started = time.monotonic()
        self._open += 1
        try:
            return await SmtpSession.open(self._connect(), self._login)
        except SessionRefused as error:
            self._forget()
            verdict = replies.classify(error.reply)
            pause = self.record_refusal(error.reply, verdict, started)
            if pause is not None and (error.reply.code is None or pause.all_workers or pause.wait > MAX_HOLD):
                raise SessionRefused(error.reply, pause) from error
            return None
        except BaseException:
            self._forget()
            raise

    async def _wait_out(self, pause: ChannelPause) -> None:
        if pause.wait > MAX_HOLD:
            raise SessionsPaused(pause)
        await self._wait(pause.hold)

    async def _wait(self, seconds: float | None) -> None:
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def _forget(self) -> None:
        self._open -= 1
        self._changed.set()

    def _drop_lost(self) -> None:
        for session in [s for s in self._idle if not s.smtp.is_connected]:
            self._idle.remove(session)
            self._forget()

    def _shrink(self, limit: int) -> None:
        self._limit, self._accepted = max(1, min(self._limit, limit)), 0
        if self._open:  # without one, nothing shows how many it accepts
            self._grow_at = time.monotonic() + self._grow_every
            self._grow_every = min(self._grow_every * 2, _MAX_GROWTH_INTERVAL)

    def _grow(self) -> None:
        self._accepted += 1
        if self._accepted < _MESSAGES_BEFORE_GROWTH * self._limit or time.monotonic() < self._grow_at:
            return
        self._limit, self._accepted = min(self._limit + 1, self._max_sessions), 0
        self._changed.set()

    def _close_idle(self) -> None:
        old = [s for s in self._idle if time.monotonic() - s.idle_since >= _IDLE_TIMEOUT]
        self._idle = [s for s in self._idle if s not in old]
        for session in old:
            self._forget()
            closing = asyncio.ensure_future(session.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


async def _introduce(smtp: aiosmtplib.SMTP) -> None:
    """Send EHLO, again after STARTTLS: the relay's extensions are another list then."""
    try:
        await smtp.ehlo()
    except aiosmtplib.SMTPHeloError:
        if not smtp.is_connected:
            raise
        await smtp.helo()


async def _sign_in(smtp: aiosmtplib.SMTP, login: tuple[str, str] | None) -> None:
    """Sign in with the first method that works.

    The client's own `login` would also try the others after a temporary refusal, and use up the allowed logins.
    """
    if login is None:
        return
    methods = smtp.supported_auth_methods
    if not methods:
        await smtp.login(*login)  # raises the error that says what is missing
        return
    for method in methods:
        try:
            await getattr(smtp, f"auth_{method.replace('-', '')}")(*login)
        except aiosmtplib.SMTPAuthenticationError as error:
            if error.code < 500 or method == methods[-1]:
                raise
        else:
            return


def close_connection(smtp: aiosmtplib.SMTP, transport: asyncio.BaseTransport | None) -> None:
    """Close at once: a graceful close of TLS waits up to half a minute for the relay."""
    smtp.close()
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
