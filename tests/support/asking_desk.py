"""A search desk that answers questions."""

from dataclasses import dataclass
from typing import Any

from proofdesk.answers import asking
from proofdesk.answers.answer import Answer
from proofdesk.answers.asking import AnswerRequest, AnswerTools
from tests.support.search_desk import SETTINGS, Desk

KOWALSKI = ("Henryk Kowalski", "henryk@kowalski.example", "+48 22 555 0101")
MORAVEC = ("Alena Moravec", "alena@moravec.example", "+420 2 5550 0101")


@dataclass
class AskingDesk(Desk):
    """A search desk that also answers questions, by default without a model or an embedding provider."""

    tools: AnswerTools | None = None

    async def answer(self, question: str, **values: Any) -> Answer:
        """Ask a question with the fields of a request."""
        tools = self.tools or AnswerTools(self.db, None, SETTINGS)
        return await asking.ask(tools, self.scope, AnswerRequest(question, **values))
