"""Rank conversations and their sentences as answers to a question. Pure.

The words of the question are matched with each conversation as a whole, which tells whether it is about the same
matter, and then with each sentence and what stands before it: an answer often repeats no word of what it answers.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from proofdesk.answers import matching, names, values
from proofdesk.answers.matching import Frequencies, Matcher, Matches
from proofdesk.answers.message_queries import CitableMessage, ConversationKey
from proofdesk.answers.questions import Question
from proofdesk.answers.ranked import Evidence, RankedStatement
from proofdesk.answers.statements import Statement, split_message
from proofdesk.indexing import tokenizer

COMPARED_CONVERSATIONS = 3
_PREVIOUS = 2  # messages before that an answer may refer to
_MIN_WORDS = 3
_CONVERSATION = 4.0  # weight of the whole conversation beside that of a sentence


@dataclass(frozen=True)
class RankedConversation:
    """A conversation, and how much of the question it holds: `whole` of all words, `names_match` all names.

    `missing` is the share of the topic words that it does not hold, `missing_elsewhere` the share that it does not hold
    but a few other conversations do: the question may be about one of them.
    """

    messages: Sequence[CitableMessage]
    people: Matches
    matches: Mapping[int, Matches]
    weights: Sequence[float]
    topics: Sequence[int]
    whole: float
    names_match: bool
    missing: float
    missing_elsewhere: float

    def share(self, matches: Matches) -> float:
        """Return the share of the topic words that is matched; 0 when the question has no topic words."""
        return matching.coverage(matches, self.weights, self.topics) if self.topics else 0.0


def rank_conversations(
    question: Question, messages: Sequence[CitableMessage], frequencies: Frequencies
) -> list[RankedConversation]:
    """Return the conversations that hold most of the question, the best first."""
    matcher = Matcher(question)
    grouped: dict[ConversationKey, list[CitableMessage]] = defaultdict(list)
    for message in messages:
        grouped[message.conversation].append(message)
    own = {m.message_id: matcher.match(_words(m.content)) for m in messages}
    people = {key: matcher.match(_people(items)) for key, items in grouped.items()}
    whole = {key: matching.merge([people[key], *(own[m.message_id] for m in items)]) for key, items in grouped.items()}
    weights = matching.weigh_words(question, frequencies)
    rare = {n for n, word in enumerate(question.words) if matching.is_rare(word, frequencies)}
    ranked = [
        _rank_conversation(question, items, people[key], own, whole[key], rare, weights)
        for key, items in grouped.items()
    ]
    ranked.sort(key=lambda c: (c.names_match, c.whole), reverse=True)
    return ranked[:COMPARED_CONVERSATIONS]


def _rank_conversation(
    question: Question,
    items: Sequence[CitableMessage],
    people: Matches,
    own: Mapping[int, Matches],
    whole: Matches,
    rare: Set[int],
    weights: Sequence[float],
) -> RankedConversation:
    every = range(len(question.words))
    topics = [n for n in every if n not in people and n not in question.name_numbers]
    missing = [n for n in topics if n not in whole]
    elsewhere = [n for n in missing if n in rare]
    return RankedConversation(
        messages=items,
        people=people,
        matches=own,
        weights=weights,
        topics=topics,
        whole=matching.coverage(whole, weights, every),
        names_match=all(n in whole for n in question.name_numbers),
        missing=sum(weights[n] for n in missing) / (sum(weights[n] for n in topics) or 1.0),
        missing_elsewhere=len(elsewhere) / max(len(topics), 1),
    )


def rank_sentences(question: Question, conversations: Sequence[RankedConversation]) -> list[RankedStatement]:
    """Return the sentences of these conversations, the best first."""
    matcher = Matcher(question)
    ranked = [candidate for conversation in conversations for candidate in _rank(question, matcher, conversation)]
    return sorted(ranked, key=lambda c: c.score, reverse=True)


def _rank(question: Question, matcher: Matcher, conversation: RankedConversation) -> list[RankedStatement]:
    items, ranked = conversation.messages, list[RankedStatement]()
    opening = next((at for at, m in enumerate(items) if m.sender_type == "agent"), 0)
    for at, message in enumerate(items):
        own = conversation.matches[message.message_id]
        previous = matching.merge(conversation.matches[m.message_id] for m in items[max(0, at - _PREVIOUS) : at])
        for statement in split_message(message):
            evidence = Evidence(
                in_sentence=conversation.share(matcher.match(statement.words)),
                in_message=conversation.share(own),
                in_previous=conversation.share(previous),
                missing=conversation.missing,
                missing_elsewhere=conversation.missing_elsewhere,
                has_value=has_value(question, statement),
                is_from_us=message.sender_type == "agent",
                is_question=statement.text.endswith("?"),
                is_opening=message.sender_type == "contact" and at < opening,
                is_short=len(statement.words) < _MIN_WORDS,
            )
            score = _score(question, evidence) + _CONVERSATION * conversation.whole + conversation.names_match
            ranked.append(RankedStatement(statement, evidence, score, conversation.whole, conversation.names_match))
    return ranked


def _score(question: Question, evidence: Evidence) -> float:
    """Return how well a sentence answers, comparable within one question. The weights are learned from labels."""
    return (
        2.5 * evidence.in_sentence
        + 1.5 * evidence.in_message
        + 0.8 * evidence.in_previous
        + (2.4 if evidence.has_value and question.expects else 0.0)
        + (0.2 if evidence.is_from_us else 0.0)
        + (0.7 if evidence.is_from_us and question.about_us else 0.0)
        - (2.0 if question.about_our_words and not evidence.is_from_us else 0.0)
        - (1.5 if evidence.is_opening else 0.0)
        - (0.8 if evidence.is_question else 0.0)
        - (0.9 if evidence.is_short else 0.0)
    )


def has_value(question: Question, statement: Statement) -> bool:
    """Return whether a sentence holds the kind of value that the question asks for, other than those it names."""
    if question.expects == "person":
        asked = [word.word for word in question.words]
        people = values.named_people(statement.text)
        return any(not any(names.same_name(name, word) for word in asked) for name in people)
    written = statement.message.created_at.date()
    return question.expects is None or values.has_value(question.expects, statement.text, written)


def _words(text: str) -> list[str]:
    return tokenizer.words(tokenizer.clean(text))


def _people(items: Sequence[CitableMessage]) -> list[str]:
    people = {items[0].contact_name or "", *(m.sender_name or "" for m in items)}
    return [word for name in people for word in _words(name)]
