"""Behaviours that differ between versions and servers, each with the default of Chatwoot 4.15.1."""

from dataclasses import dataclass


@dataclass(slots=True)
class ChatwootSwitches:
    """Set an attribute from Python, or `PATCH /_simulator/switches`.

    `touch_on_message_save` is the behaviour before 4.12.0: a deletion or a delivery state
    updates the conversation's `updated_at`. `tie_order` orders messages of one second by id: ascending, descending or
    alternating with each request (the real server guarantees no order). A new file responds 404 for
    `attachment_ready_after` seconds. Attachment links start with `public_url` and redirect to `storage_url`: set both
    to a running server to make them work. `drop_underscore_headers` simulates a proxy that drops the header
    `api_access_token`, `drop_queries` one that drops the query string. `ignore_windows` and `window_limit` simulate
    forks: a message list that ignores `after` and `before`, or returns fewer rows between two ids. An unpaged list of
    more than `most_unpaged` conversations, or a message list of more than `most_messages`, takes longer than the
    server's 15 seconds (rack-timeout in its Gemfile) and responds 500 (chatwoot/chatwoot issues 9300 and 10407).
    """

    version: str = "4.15.1"
    page_size: int = 25
    touch_on_message_save: bool = False
    tie_order: str = "ascending"
    messages_per_minute: int = 200
    attachment_ready_after: float = 0.0
    public_url: str = "https://chat.example.org"
    storage_url: str = "https://storage.example.org"
    drop_underscore_headers: bool = False
    drop_queries: bool = False
    ignore_windows: bool = False
    window_limit: int = 1000
    most_unpaged: int | None = None
    most_messages: int | None = None
