"""Throttles like those of Rack::Attack: fixed windows aligned to the clock."""

from dataclasses import dataclass, field

IP, CONTACT_SEARCH, CONVERSATIONS_META = "ip", "contact_search", "conversations_meta"
DEFAULTS = {IP: 3000, CONTACT_SEARCH: 100, CONVERSATIONS_META: 30}


@dataclass(slots=True)
class RequestThrottle:
    """At most `limit` requests of one discriminator in each window of `period` seconds."""

    scope: str
    limit: int
    period: int = 60
    window: int = -1
    counts: dict[str, int] = field(default_factory=dict[str, int])

    def exceeded(self, discriminator: str, now: float) -> bool:
        window = int(now // self.period)
        if window != self.window:
            self.window, self.counts = window, {}
        self.counts[discriminator] = self.counts.get(discriminator, 0) + 1
        return self.counts[discriminator] > self.limit


class Throttles:
    """The active throttles; none by default. `exempt_loopback` exempts 127.0.0.1, as the real server does."""

    def __init__(self) -> None:
        self.rows: dict[str, RequestThrottle] = {}
        self.exempt_loopback = False

    def set(self, scope: str, limit: int | None = None, period: int = 60) -> RequestThrottle:
        """Set a throttle. The default limit is the server's. Raises ValueError for an unknown scope."""
        if scope not in DEFAULTS:
            raise ValueError(f"Unknown throttle {scope!r}. Use one of: {', '.join(DEFAULTS)}")
        self.rows[scope] = RequestThrottle(scope, DEFAULTS[scope] if limit is None else limit, period)
        return self.rows[scope]

    def clear(self) -> None:
        self.rows = {}

    def exceeded(self, path: str, ip: str, token: str, now: float) -> bool:
        if not self.rows or (self.exempt_loopback and ip in ("127.0.0.1", "::1")):
            return False
        hits = [
            throttle.exceeded(discriminator, now)
            for scope, throttle in self.rows.items()
            if (discriminator := _discriminator(scope, path, ip, token)) is not None
        ]
        return any(hits)


def _discriminator(scope: str, path: str, ip: str, token: str) -> str | None:
    """Return what is counted: the address, the account, or the token within the account."""
    if scope == IP:
        return ip
    parts = path.strip("/").split("/")
    account = parts[3] if len(parts) > 3 and parts[2] == "accounts" else ""
    if scope == CONTACT_SEARCH and path.endswith("/contacts/search"):
        return account
    if scope == CONVERSATIONS_META and path.endswith("/conversations/meta"):
        return f"{account}/{token}"
    return None
