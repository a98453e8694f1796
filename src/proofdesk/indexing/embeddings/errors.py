"""Errors of an OpenAI-compatible server as what they mean for a run, each with its cause and what to do. Pure."""

from collections.abc import Mapping
from typing import Any

from proofdesk.core import retry_after
from proofdesk.indexing.embeddings.provider import EmbeddingError, ProviderBusy, ProviderFailed, TextsRefused
from proofdesk.indexing.embeddings.responses import ProviderProblem

_REFUSED_STATUSES = (400, 413, 422)  # what compatible servers answer to a text that is too long, or to too many texts
_BUSY_STATUSES = (408, 409, 425, 429)
# OpenAI, Moonshot, One API, Alibaba's Bailian.
_QUOTA_CODES = frozenset(
    {
        *("insufficient_quota", "billing_hard_limit_reached", "billing_not_active"),
        *("exceeded_current_quota_error", "insufficient_user_quota", "arrearage"),
    }
)


def to_embedding_error(problem: ProviderProblem, headers: Mapping[str, str], details: dict[str, Any]) -> EmbeddingError:
    """Return what an error means: `Failed` until somebody acts, `Refused` for these texts, `Busy` for now."""
    status, said = problem.status, problem.message
    if problem.codes & _QUOTA_CODES or status == 402:
        what = f"The quota of the OpenAI account is used up ({status})."
        return ProviderFailed(f"{what} Raise it, then run the embeddings again.", details=details)
    if _is_key_error(problem):  # what the server says here may repeat the key
        return ProviderFailed(
            f"The embedding provider refused the key ({status}). Check OPENAI_API_KEY.", details=details
        )
    again = headers.get("x-should-retry")  # OpenAI's client obeys this header before it looks at the status
    if again == "true" or status in _BUSY_STATUSES or status >= 500:
        return _busy(problem, headers, details, again != "false")
    if status in _REFUSED_STATUSES:
        return TextsRefused(
            f"The embedding provider refused the text ({status}): {said}", details=details, max_texts=problem.max_texts
        )
    if 300 <= status < 400:
        where = headers.get("location", "another address")[:200]
        what = f"The embedding provider sends requests on to {where} ({status})."
        return ProviderFailed(f"{what} Set OPENAI_BASE_URL to where it is.", details=details)
    return ProviderFailed(
        f"The embedding provider refused the request ({status}): {said} {_hint(status)}", details=details
    )


def _is_key_error(problem: ProviderProblem) -> bool:
    # Gemini answers 400 to a wrong key; so does LiteLLM, which then looks for the key in the database it has none of.
    named = problem.mentions("api key not valid", "api_key_invalid", "invalid api key", "no connected db")
    return problem.status == 401 or (problem.status in (400, 403) and named)


def _busy(problem: ProviderProblem, headers: Mapping[str, str], details: dict[str, Any], again: bool) -> ProviderBusy:
    wait = retry_after.seconds(headers)
    return ProviderBusy(
        f"The embedding provider is busy or out of order ({problem.status}): {problem.message}",
        details=details,
        retry_after=problem.wait if wait is None else wait,
        throttled=problem.status == 429,
        retryable=again,
    )


def _hint(status: int) -> str:
    if status in (404, 405):
        return (
            "Check EMBEDDING_MODEL, OPENAI_BASE_URL (the address before /embeddings, often ending in /v1; for Azure "
            "that of the deployment, with ?api-version=) and what the key may do."
        )
    return "Check EMBEDDING_MODEL, OPENAI_BASE_URL and what the key may do."
