"""A search desk that answers questions."""

from proofdesk.answers import asking
from proofdesk.answers.answer import Answer
from proofdesk.answers.asking import AnswerRequest, AnswerTools
from tests.support.search_desk import SETTINGS, Desk

KOWALSKI = ("Henryk Kowalski", "henryk@kowalski.example", "+48 22 555 0101")
MORAVEC = ("Alena Moravec", "alena@moravec.example", "+420 2 5550 0101")


class AskingDesk(Desk):
    """A search desk that also answers questions, without an embedding provider."""

    async def answer(self, question: str, **values: object) -> Answer:
        request = AnswerRequest(question, **values)  # type: ignore[arg-type]
        return await asking.ask(AnswerTools(self.db, None, SETTINGS), self.scope, request)
