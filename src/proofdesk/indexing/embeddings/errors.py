"""Maps errors of an OpenAI-compatible server to exceptions that name the cause and what to do. Pure."""

from collections.abc import Mapping
from typing import Any

from proofdesk.core import retry_after
from proofdesk.indexing.embeddings.provider import EmbeddingError, ProviderBusy, ProviderFailed, TextsRefused
from proofdesk.indexing.embeddings.responses import ProviderProblem

_REFUSED_STATUSES = (400, 413, 422)  # compatible servers answer these to too long or too many texts
_BUSY_STATUSES = (408, 409, 425, 429)
# Of OpenAI, Moonshot, One API, Alibaba's Bailian.
_QUOTA_CODES = frozenset(
    {
        *("insufficient_quota", "billing_hard_limit_reached", "billing_not_active"),
        *("exceeded_current_quota_error", "insufficient_user_quota", "arrearage"),
    }
)


def to_embedding_error(problem: ProviderProblem, headers: Mapping[str, str], details: dict[str, Any]) -> EmbeddingError:
    """Return `ProviderFailed` until somebody acts, `TextsRefused` for these texts, or `ProviderBusy` for now."""
    status, message = problem.status, problem.message
    if problem.codes & _QUOTA_CODES or status == 402:
        what = f"The quota of the OpenAI account is used up ({status})."
        return ProviderFailed(f"{what} Raise it, then run the embeddings again.", details=details)
    if _is_key_error(problem):  # the message of the server may contain the key
        return ProviderFailed(
            f"The embedding provider refused the key ({status}). Check OPENAI_API_KEY.", details=details
        )
    should_retry = headers.get("x-should-retry")  # OpenAI's client obeys this header before the status
    if should_retry == "true" or status in _BUSY_STATUSES or status >= 500:
        return _busy(problem, headers, details, retryable=should_retry != "false")
    if status in _REFUSED_STATUSES:
        return TextsRefused(
            f"The embedding provider refused the text ({status}): {message}",
            details=details,
            max_texts=problem.max_texts,
        )
    if 300 <= status < 400:
        where = headers.get("location", "another address")[:200]
        what = f"The embedding provider redirects to {where} ({status})."
        return ProviderFailed(f"{what} Set OPENAI_BASE_URL to that address.", details=details)
    return ProviderFailed(
        f"The embedding provider refused the request ({status}): {message} {_hint(status)}", details=details
    )


def _is_key_error(problem: ProviderProblem) -> bool:
    # Gemini answers 400 to a wrong key; so does LiteLLM without a database, in which it looks the key up.
    is_named = problem.mentions("api key not valid", "api_key_invalid", "invalid api key", "no connected db")
    return problem.status == 401 or (problem.status in (400, 403) and is_named)


def _busy(
    problem: ProviderProblem, headers: Mapping[str, str], details: dict[str, Any], *, retryable: bool
) -> ProviderBusy:
    wait = retry_after.seconds(headers)
    return ProviderBusy(
        f"The embedding provider is busy or failing ({problem.status}): {problem.message}",
        details=details,
        retry_after=problem.wait if wait is None else wait,
        throttled=problem.status == 429,
        retryable=retryable,
    )


def _hint(status: int) -> str:
    if status in (404, 405):
        return (
            "Check EMBEDDING_MODEL, OPENAI_BASE_URL (the address before /embeddings, often ending in /v1; for Azure "
            "that of the deployment, with ?api-version=) and the permissions of the key."
        )
    return "Check EMBEDDING_MODEL, OPENAI_BASE_URL and the permissions of the key."
