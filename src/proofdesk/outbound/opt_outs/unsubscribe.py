"""Links by which a recipient unsubscribes from e-mail without an account (RFC 8058).

A link names the project, the message it came with and its recipient. It is signed, so nobody can make one for another
person. It never expires, because an e-mail may be read years later.
"""

import secrets
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

import httpx2
from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode, base64_encode

from proofdesk.audit import events
from proofdesk.database.pool import Database
from proofdesk.errors import NotFound
from proofdesk.outbound import policies
from proofdesk.outbound.opt_outs import unsubscribe_queries
from proofdesk.outbound.policy_queries import PolicyFilter, PolicyUpdate
from proofdesk.projects import scope
from proofdesk.projects.scope import ProjectNotFound

PATH = "/webhooks/unsubscribe/"
CHANNEL = "email"


class LinkNotFound(NotFound):
    """The link was not made by this installation, or is incomplete."""

    code = "unsubscribe_link_invalid"

    def __init__(self) -> None:
        super().__init__(
            "This link is incomplete or was not made here. Open it from the e-mail again, or reply to the e-mail."
        )


@dataclass(frozen=True)
class UnsubscribeRequest:
    """What a link names."""

    project_id: UUID
    message_id: UUID
    recipient: str


class UnsubscribeLinks:
    """Creates and reads links.

    The signing key is created once for the installation and kept in its database, so links work in every process and
    after a restart.
    """

    def __init__(self, db: Database, public_url: str | None):
        self._db = db
        self._base = None if public_url is None else str(httpx2.URL(public_url.rstrip("/") + PATH))

    async def url(self, project_id: UUID, message_id: UUID, recipient: str) -> str | None:
        """Return the link for the recipient of a message, None while PUBLIC_URL is not set."""
        if self._base is None:
            return None
        content = base64_encode(project_id.bytes + message_id.bytes + recipient.encode())
        return self._base + (await self._signer()).sign(content).decode()

    async def read(self, token: str) -> UnsubscribeRequest:
        """Return what a link names. Raises `LinkNotFound`."""
        try:
            content = base64_decode((await self._signer()).unsign(token))
            return UnsubscribeRequest(UUID(bytes=content[:16]), UUID(bytes=content[16:32]), content[32:].decode())
        except (BadData, ValueError):
            raise LinkNotFound from None

    async def _signer(self) -> Signer:
        async with self._db.transaction() as conn:
            key = await unsubscribe_queries.fetch_link_key(conn)
            key = key or await unsubscribe_queries.ensure_link_key(conn, secrets.token_urlsafe(32))
        return Signer(key, "unsubscribe", digest_method=sha256)


async def apply_unsubscribe(
    db: Database, links: UnsubscribeLinks, token: str, request_id: str | None = None
) -> UnsubscribeRequest:
    """Opt the recipient of a link out of e-mail in its project, with the message as evidence. Does it only once.

    Raises `LinkNotFound`.
    """
    request = await links.read(token)
    try:
        project = await scope.enter(db, events.system_actor(request_id), request.project_id)
    except ProjectNotFound:
        raise LinkNotFound from None
    opted_out = PolicyFilter(request.recipient, CHANNEL, opted_out=True)
    if not (await policies.list_policies(db, project, opted_out, 1, 0))[0]:
        await policies.change_policy(
            db,
            project,
            request.recipient,
            CHANNEL,
            PolicyUpdate(opted_out=True),
            reason="unsubscribe link of an e-mail",
            evidence_refs=[{"source": "external", "ref": f"outbound:{request.message_id}"}],
        )
    return request
