"""Controls that make a record invalid, or impossible to render."""

from collections.abc import Sequence

from proofdesk_simulators.chatwoot.installation import Defect, Installation
from proofdesk_simulators.chatwoot.records import Account, Attributes


class DefectControls:
    """A part of `ChatwootSimulator`."""

    installation: Installation

    def break_message(self, message_id: int, values: Attributes | None = None, missing: Sequence[str] = ()) -> None:
        """Render the message with these wrong values and without these keys."""
        message = self.installation.messages[message_id]
        key = ("message", message.conversation.account.id, message_id)
        self._break(key, message.conversation.account, values, missing)

    def break_conversation(
        self,
        conversation_id: int,
        values: Attributes | None = None,
        missing: Sequence[str] = (),
        account_id: int = 1,
    ) -> None:
        account = self.installation.accounts[account_id]
        self._break(("conversation", account_id, conversation_id), account, values, missing)

    def break_rendering(self, message_id: int) -> None:
        """Respond 500 to every message list that contains this message, as for a template with a missing record.

        Reported for lists in chatwoot/chatwoot issues 4759 and 6879.
        """
        self.installation.unrenderable.add(message_id)

    def orphan_conversation(self, conversation_id: int, account_id: int = 1) -> None:
        """Respond 500 to everything that would render this conversation, as after its contact was deleted alone.

        Reported in chatwoot/chatwoot issues 6879, 10758 and 11309 and pull request 13311.
        """
        self.installation.orphans.add((account_id, conversation_id))

    def clear_defects(self) -> None:
        """Remove all defects."""
        with self.installation.lock:
            self.installation.defects.clear()
            self.installation.unrenderable.clear()
            self.installation.orphans.clear()

    def _break(
        self, key: tuple[str, int, int], account: Account, values: Attributes | None, missing: Sequence[str]
    ) -> None:
        with self.installation.lock:
            self.installation.defects[key] = Defect(values or {}, tuple(missing))
            account.generation += 1
