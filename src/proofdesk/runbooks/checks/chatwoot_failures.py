"""What an error of Chatwoot proves: the cause and its fix."""

from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.runbooks import fixes
from proofdesk.runbooks.findings import Fix, Observation, fail

NOT_REACHED = "An earlier check failed."
_SLOW = fixes.set_variable("CHATWOOT_TIMEOUT_SECONDS", "to a higher number, or find out why Chatwoot is slow")
_ADDRESS = fixes.set_variable("CHATWOOT_BASE_URL", "to the scheme, host and port of Chatwoot")
_PROXY = Fix(
    "Correct CHATWOOT_BASE_URL if it is not Chatwoot's address, or let the proxy in front of it pass /api/.",
    command='curl -sSi -H "Api-Access-Token: $CHATWOOT_API_TOKEN" "$CHATWOOT_BASE_URL/api/v1/profile"',
)
_PAY = Fix("Settle the plan or the state of the account in Chatwoot, then run the Sync job.", command="proofdesk sync")
_THROTTLED = fixes.set_variable("CHATWOOT_CONCURRENCY=2", "or raise RACK_ATTACK_LIMIT in Chatwoot")
RETRY_LATER = Fix(
    "Repair Chatwoot; its log says what fails. Runs continue then.", command='curl -sSi "$CHATWOOT_BASE_URL/api"'
)


def describe_failure(error: ChatwootError) -> Observation:
    """Return the failure with the cause that the error proves."""
    if error.timed_out:
        return fail(error.message, "Chatwoot does not answer within CHATWOOT_TIMEOUT_SECONDS.", _SLOW)
    if error.wrong_address:
        return fail(error.message, "CHATWOOT_BASE_URL cannot be right.", _ADDRESS)
    if error.status is not None and error.status >= 500:
        return fail(error.message, "Chatwoot, or the proxy in front of it, fails.", RETRY_LATER)
    if error.status == 402:
        return fail(error.message, "Chatwoot asks for payment (402): its plan or account is limited.", _PAY)
    if error.status == 429:
        return fail(error.message, "Chatwoot throttles Proofdesk (429).", _THROTTLED)
    if error.from_proxy:
        page = "An HTML page, probably from a proxy," if error.html else "Something else, such as a proxy,"
        asks = " It asks for a login." if error.status in (401, 403) else ""
        return fail(error.message, f"{page} answers in place of Chatwoot.{asks}", _PROXY)
    if "suspended" in error.message.lower():
        return fail(error.message, "The account is suspended in Chatwoot.", _PAY)
    return fail(error.message)
