"""Actions by name, for `/_simulator/actions/{name}` and for shifts."""

from collections.abc import Callable
from typing import Any

from proofdesk_simulators.chatwoot.simulator import ChatwootSimulator
from proofdesk_simulators.chatwoot.views import contacts, conversations, messages

View = Callable[[ChatwootSimulator, Any], object]


def perform(simulator: ChatwootSimulator, name: str, arguments: dict[str, Any]) -> object:
    """Call the method with this name and return the view of its row. Raises KeyError for an unknown name."""
    view = ACTIONS[name]
    return view(simulator, getattr(simulator, name)(**arguments))


def _message(simulator: ChatwootSimulator, row: Any) -> object:
    return messages.message(simulator.installation, row)


def _messages(simulator: ChatwootSimulator, rows: Any) -> object:
    return messages.listed(simulator.installation, rows)


def _conversation(simulator: ChatwootSimulator, row: Any) -> object:
    return conversations.conversation(simulator.installation, row, None)


def _contact(simulator: ChatwootSimulator, row: Any) -> object:
    return contacts.contact(row)


def _nothing(simulator: ChatwootSimulator, row: Any) -> object:
    return {}


ACTIONS: dict[str, View] = {
    "append_message": _message,
    "append_mail": _message,
    "append_in_one_second": _messages,
    "import_messages": _nothing,
    "release_message": _message,
    "delete_message": _message,
    "remove_message": _nothing,
    "set_message_status": _message,
    "create_conversation": _conversation,
    "delete_conversation": _nothing,
    "set_status": _conversation,
    "assign": _conversation,
    "set_labels": _conversation,
    "set_priority": _conversation,
    "update_contact": _contact,
    "rename_contact": _contact,
    "merge_contacts": _contact,
    "break_message": _nothing,
    "break_conversation": _nothing,
    "break_rendering": _nothing,
    "orphan_conversation": _nothing,
    "delete_inbox": _nothing,
    "skip_ids": _nothing,
    "clear_defects": _nothing,
}
