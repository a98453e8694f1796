"""Answers by a model: ask it, verify each sentence, have it repair once what failed, and drop the rest."""

from collections.abc import Sequence
from dataclasses import dataclass

from proofdesk.answers import prompt, quoting, verification
from proofdesk.answers.chat_model import AnswerModelFailed, ChatModel, Completion, Message
from proofdesk.answers.message_queries import CitableMessage
from proofdesk.answers.prompt import ModelAnswer, ModelSentence, Passages
from proofdesk.answers.verification import DraftSentence, Quotation

_MAX_SENTENCES = 8
_MAX_CITATIONS = 5


@dataclass(frozen=True)
class VerifiedSentence:
    """A supported sentence with exact quotes of messages."""

    text: str
    quotations: Sequence[tuple[CitableMessage, str]]


@dataclass(frozen=True)
class GeneratedAnswer:
    """The sentences that passed, earlier statements with what replaced them, and how many sentences failed."""

    sentences: Sequence[VerifiedSentence]
    superseded: Sequence[tuple[CitableMessage, str, CitableMessage]]
    dropped: int


@dataclass
class TokenUsage:
    """What the requests for one answer used so far. `cost` is None when the server does not report it."""

    tokens: int = 0
    cost: float | None = None

    def add(self, completion: Completion) -> None:
        """Add a request."""
        self.tokens += completion.tokens
        if completion.cost is not None:
            self.cost = (self.cost or 0.0) + completion.cost


async def generate_answer(model: ChatModel, question: str, passages: Passages, usage: TokenUsage) -> GeneratedAnswer:
    """Return the verified answer of a model. Raises `AnswerModelFailed`.

    The model may correct itself once: its JSON, or the sentences that failed verification.
    """
    messages = prompt.build_messages(question, passages)
    answer, written = await _complete(model, messages, usage)
    repaired = answer is None
    if answer is None:
        retry: list[Message] = [*messages, {"role": "user", "content": "Return JSON of the schema and nothing else."}]
        answer, written = await _complete(model, retry, usage)
    if answer is None:
        raise AnswerModelFailed("The answer model returned no valid JSON twice. Check ANSWER_MODEL.")
    if not answer.answerable:
        return GeneratedAnswer([], [], 0)
    passed, failed = _verify(answer.sentences, passages)
    if failed and not repaired:
        problems = {sentence.text: verification.verify_sentence(sentence) for sentence in failed}
        request: list[Message] = [*messages, {"role": "assistant", "content": written}, prompt.build_repair(problems)]
        correction, _ = await _complete(model, request, usage)
        corrected, _ = _verify(correction.sentences if correction else [], passages)
        # A correction replaces failed sentences only: it may not bring more of them.
        corrected = corrected[: len(failed)]
        passed, failed = [*passed, *corrected], failed[len(corrected) :]
    superseded = _superseded(answer, passages) if passed else []
    surplus = max(0, len(answer.sentences) - _MAX_SENTENCES)
    return GeneratedAnswer(passed, superseded, len(failed) + surplus)


async def _complete(model: ChatModel, messages: Sequence[Message], usage: TokenUsage) -> tuple[ModelAnswer | None, str]:
    completion = await model.complete(messages, prompt.SCHEMA)
    usage.add(completion)
    return prompt.parse_answer(completion.text), completion.text


def _verify(
    sentences: Sequence[ModelSentence], passages: Passages
) -> tuple[list[VerifiedSentence], list[DraftSentence]]:
    passed, failed = list[VerifiedSentence](), list[DraftSentence]()
    for sentence in sentences[:_MAX_SENTENCES]:
        quotations = [Quotation(passages.get(c.passage), c.quote) for c in sentence.citations[:_MAX_CITATIONS]]
        draft = DraftSentence(" ".join(sentence.text.split()), quotations)
        if verification.verify_sentence(draft):
            failed.append(draft)
        else:
            passed.append(VerifiedSentence(draft.text, [pair for q in quotations for pair in _exact(q)]))
    return passed, failed


def _exact(quotation: Quotation) -> list[tuple[CitableMessage, str]]:
    if quotation.message is None:
        return []
    quote = quoting.locate_quote(quotation.message.content, quotation.quote)
    return [(quotation.message, quote)] if quote else []


def _superseded(answer: ModelAnswer, passages: Passages) -> list[tuple[CitableMessage, str, CitableMessage]]:
    """Return the earlier statements whose quotes exist and that a later message of the same conversation changed."""
    return [
        (old, quote, new)
        for statement in answer.superseded[:_MAX_SENTENCES]
        for old, quote in _exact(Quotation(passages.get(statement.passage), statement.quote))
        for new in [passages.get(statement.by)]
        if new is not None and new.created_at > old.created_at and new.conversation == old.conversation
    ]
