"""Links by which somebody says, without an account, that he wants no more mail (RFC 8058).

A link names the project, the message it came with and its recipient, and is signed: nobody can make one for somebody
else. It never expires: a letter may be read years later, and no is no.
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
    """The link was not made by this installation, or lost a part of itself on the way."""

    code = "unsubscribe_link_invalid"

    def __init__(self) -> None:
        super().__init__(
            "This link is not complete, or not one of ours. Open it from the letter again, or answer the letter."
        )


@dataclass(frozen=True)
class UnsubscribeRequest:
    """What a link names."""

    project_id: UUID
    message_id: UUID
    recipient: str


class UnsubscribeLinks:
    """Makes and reads links. The key is made once for the installation and kept in its database, so that links work
    after a restart and in every process."""

    def __init__(self, db: Database, public_url: str | None):
        self._db = db
        self._base = None if public_url is None else str(httpx2.URL(public_url.rstrip("/") + PATH))

    async def url(self, project_id: UUID, message_id: UUID, recipient: str) -> str | None:
        """The link for a recipient of a message; None while PUBLIC_URL does not say where people find us."""
        if self._base is None:
            return None
        named = base64_encode(project_id.bytes + message_id.bytes + recipient.encode())
        return self._base + (await self._signing()).sign(named).decode()

    async def read(self, token: str) -> UnsubscribeRequest:
        """What a link names. Raises `LinkNotFound`."""
        try:
            named = base64_decode((await self._signing()).unsign(token))
            return UnsubscribeRequest(UUID(bytes=named[:16]), UUID(bytes=named[16:32]), named[32:].decode())
        except (BadData, ValueError):
            raise LinkNotFound from None

    async def _signing(self) -> Signer:
        async with self._db.transaction() as conn:
            key = await unsubscribe_queries.fetch_link_key(conn)
            key = key or await unsubscribe_queries.ensure_link_key(conn, secrets.token_urlsafe(32))
        return Signer(key, "unsubscribe", digest_method=sha256)


async def apply_unsubscribe(
    db: Database, links: UnsubscribeLinks, token: str, request_id: str | None = None
) -> UnsubscribeRequest:
    """Opt the recipient that a link names out of e-mail in its project, with the letter as evidence; once.

    Raises `LinkNotFound`.
    """
    named = await links.read(token)
    try:
        inside = await scope.enter(db, events.system_actor(request_id), named.project_id)
    except ProjectNotFound:
        raise LinkNotFound from None
    wanted = PolicyFilter(named.recipient, CHANNEL, opted_out=True)
    if not (await policies.list_policies(db, inside, wanted, 1, 0))[0]:
        letter = {"source": "external", "ref": f"outbound:{named.message_id}"}
        reason = "the link of a letter"
        out = PolicyUpdate(opted_out=True)
        await policies.change_policy(db, inside, named.recipient, CHANNEL, out, reason=reason, evidence_refs=[letter])
    return named
