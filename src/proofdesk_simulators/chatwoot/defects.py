"""The controls of a simulated Chatwoot that make a record wrong, or impossible to show."""

from collections.abc import Sequence

from proofdesk_simulators.chatwoot.installation import Defect, Installation
from proofdesk_simulators.chatwoot.records import Account, Attributes


class DefectControls:
    """Part of `Simulator`."""

    installation: Installation

    def break_message(self, message_id: int, values: Attributes | None = None, missing: Sequence[str] = ()) -> None:
        """Show these wrong values, and leave these keys out, wherever the message is rendered."""
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
        """Answer every message list that holds this message with 500, as when a template meets a record that is gone.

        Reported for lists in chatwoot/chatwoot issues 4759 and 6879.
        """
        self.installation.unrenderable.add(message_id)

    def clear_defects(self) -> None:
        """Take every wrong value back."""
        with self.installation.lock:
            self.installation.defects.clear()
            self.installation.unrenderable.clear()

    def _break(
        self, key: tuple[str, int, int], account: Account, values: Attributes | None, missing: Sequence[str]
    ) -> None:
        with self.installation.lock:
            self.installation.defects[key] = Defect(values or {}, tuple(missing))
            account.generation += 1
