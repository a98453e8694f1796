"""Turn what was found into sentences with citations. Pure."""

from proofdesk.answers.answer import AnswerDraft, Citation, Sentence, SupersededStatement, cite
from proofdesk.answers.extractive import Extract
from proofdesk.answers.generative import GeneratedAnswer
from proofdesk.answers.statements import Statement
from proofdesk.core import ids
from proofdesk.projects.scope import Scope


def from_extract(scope: Scope, base_url: str | None, extract: Extract) -> AnswerDraft:
    """Return the draft of an extractive answer. `base_url` is the address of Chatwoot for links."""

    def citation(statement: Statement) -> Citation:
        return cite(scope, base_url, statement.message, statement.text)

    return AnswerDraft(
        sentences=[Sentence(_attributed(statement), [citation(statement)]) for statement in extract.answer],
        superseded=[
            SupersededStatement(old.text, citation(old).message_global_id, citation(new).message_global_id)
            for old, new in extract.superseded
        ],
        nearest=[] if extract.answer else [citation(statement) for statement in extract.nearest],
    )


def from_model(scope: Scope, base_url: str | None, generated: GeneratedAnswer, extract: Extract) -> AnswerDraft:
    """Return the draft of a model's answer, with the nearest sentences when it abstains."""
    sentences = [
        Sentence(sentence.text, [cite(scope, base_url, message, quote) for message, quote in sentence.quotations])
        for sentence in generated.sentences
    ]
    return AnswerDraft(
        sentences=sentences,
        superseded=[
            SupersededStatement(
                quote,
                ids.message(scope.project_id, old.account_id, old.message_id),
                ids.message(scope.project_id, new.account_id, new.message_id),
            )
            for old, quote, new in generated.superseded
        ],
        nearest=[] if sentences else [cite(scope, base_url, s.message, s.text) for s in extract.nearest],
        dropped=generated.dropped,
    )


def _attributed(statement: Statement) -> str:
    """Return the quote with who wrote it and when."""
    message = statement.message
    author = message.sender_name or message.sender_type
    return f"{author}, {message.created_at:%Y-%m-%d}: “{statement.text}”"
