"""An account in Chatwoot whose every name tries to reorder what stands around it, read by a real sync."""

from uuid import UUID

from proofdesk.audit.events import system_actor
from proofdesk.chatwoot import sync
from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.core.progress import ignore_progress
from proofdesk.database.pool import Database
from proofdesk.projects import scope, sources
from proofdesk_simulators.chatwoot import ChatwootSimulator, build, create_app, foundation
from proofdesk_simulators.chatwoot.records import Attachment
from proofdesk_simulators.serving import running
from tests.support import stories

FORMATTING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
HOSTILE = "{}\u202egpj.exe\u2067\u202d"
CONTACT, AGENT, INBOX = (HOSTILE.format(name) for name in ("Eve", "Mallory", "Mailbox"))
HEBREW_INBOX = "שירות לקוחות"
HEBREW_CONTACT = "דנה"
INBOXES = ("Mailboxgpj.exe", "אביב", HEBREW_INBOX)
ADDRESSES = {"Eve": "6@example.com", HEBREW_CONTACT: "7@example.com"}
LABEL = "vip\u202elabel"
BODY = "The refund \u202eraeppa\u202c did not appear. \u202eThe end is open"


def write(simulator: ChatwootSimulator) -> None:
    """Two conversations: one where all names hold overrides, one where they are plain Hebrew."""
    account = simulator.account()
    account.inboxes[1].name = INBOX
    agent = foundation.add_agent(simulator.installation, account, 5, AGENT, "mallory@example.com")
    hebrew = foundation.add_inbox(simulator.installation, account, HEBREW_INBOX, "Channel::WebWidget")
    foundation.add_inbox(simulator.installation, account, INBOXES[1], "Channel::WebWidget")
    for inbox, contact, email in zip((1, hebrew.id), (CONTACT, HEBREW_CONTACT), ADDRESSES.values(), strict=True):
        made = simulator.create_conversation(inbox, contact_name=contact, content=BODY)
        simulator.update_contact(made.contact.id, {"email": email})
        file = Attachment(made.id, "file", simulator.clock.now(), HOSTILE.format("invoice"))
        simulator.append_message(made.id, "The refund is attached.", message_type="outgoing", sender_id=agent.id)
        simulator.append_message(made.id, "Here is my refund.", attachments=[file])
        simulator.assign(made.id, agent.id, by=agent.id)
        simulator.set_labels(made.id, [LABEL, "42"], by=agent.id)


async def read(db: Database, project_id: UUID) -> None:
    """Sync the account into the project and make it searchable."""
    simulator = build("empty")
    write(simulator)
    inside = await scope.enter(db, system_actor(), project_id)
    with running(create_app(simulator)) as url:
        client = ChatwootClient(url, simulator.admin_token, retry_timeout=5)
        try:
            await sources.bind(db, inside, "chatwoot_account", "1")
            await sync.run(db, client, inside, sync.SyncOptions(default_account_id=1), ignore_progress)
        finally:
            await client.aclose()
            simulator.close()
    await stories.make_searchable(db, project_id)
