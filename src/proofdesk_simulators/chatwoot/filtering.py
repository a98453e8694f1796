"""`POST conversations/filter`: conditions are joined left to right; AND binds tighter than OR."""

from datetime import UTC, date, datetime, timedelta

from proofdesk_simulators.chatwoot import access
from proofdesk_simulators.chatwoot.installation import Caller
from proofdesk_simulators.chatwoot.records import Account, Attributes, Conversation
from proofdesk_simulators.chatwoot.refusals import refuse, rule_violation

EQUALITY = {"equal_to", "not_equal_to"}
PRESENCE = EQUALITY | {"is_present", "is_not_present"}
CONTAINMENT = EQUALITY | {"contains", "does_not_contain"}
DATES = {"is_greater_than", "is_less_than", "days_before"}

OPERATORS: dict[str, set[str]] = {
    "status": EQUALITY, "priority": EQUALITY, "contact_id": EQUALITY,
    "assignee_id": PRESENCE, "inbox_id": PRESENCE, "team_id": PRESENCE,
    "campaign_id": PRESENCE, "labels": PRESENCE,
    "display_id": CONTAINMENT, "referer": CONTAINMENT, "mail_subject": CONTAINMENT,
    "browser_language": EQUALITY, "conversation_language": EQUALITY,
    "created_at": DATES, "last_activity_at": DATES,
}  # fmt: skip


def filter_conversations(account: Account, who: Caller, body: object, now: float) -> list[Conversation]:
    """Return matching conversations of every status, newest activity first. Raises ChatwootRefusal."""
    groups = _groups(body)
    visible = {inbox.id for inbox in access.visible_inboxes(who, account)}
    rows = [
        row
        for row in account.conversations.values()
        if row.inbox.id in visible and any(all(_holds(row, c, now) for c in group) for group in groups)
    ]
    return sorted(rows, key=lambda row: -row.last_activity_at)


def _groups(body: object) -> list[list[Attributes]]:
    """Split the conditions at OR: the outer list is joined by OR, the inner lists by AND."""
    payload = body.get("payload") if isinstance(body, dict) else None
    if not isinstance(payload, list) or not payload:
        raise refuse("500")
    groups: list[list[Attributes]] = [[]]
    for position, condition in enumerate(payload):
        if not isinstance(condition, dict):
            raise refuse("500")
        groups[-1].append(_checked(condition))
        joiner = condition.get("query_operator")
        if position < len(payload) - 1:
            if not isinstance(joiner, str) or joiner.upper() not in ("AND", "OR"):
                raise rule_violation('Query operator must be either "AND" or "OR".')
            if joiner.upper() == "OR":
                groups.append([])
    return groups


def _checked(condition: Attributes) -> Attributes:
    key, operator = str(condition.get("attribute_key")), str(condition.get("filter_operator"))
    allowed = OPERATORS.get(key)
    if allowed is None:
        raise rule_violation(f"Invalid attribute key - [{key}]. The key should be one of [{', '.join(OPERATORS)}]")
    if operator not in allowed:
        raise rule_violation(f"Invalid operator. The allowed operators for {key} are [{', '.join(sorted(allowed))}].")
    values = condition.get("values")
    if not operator.endswith("present") and (not isinstance(values, list) or not values):
        raise rule_violation(f"Invalid value. The values provided for {key} are invalid")
    if allowed is DATES:
        _day(key, operator, values, 0.0)
    return condition


def _holds(row: Conversation, condition: Attributes, now: float) -> bool:
    key, operator = str(condition["attribute_key"]), str(condition["filter_operator"])
    values = condition.get("values")
    wanted = [str(value) for value in values] if isinstance(values, list) else []
    if OPERATORS[key] is DATES:
        at = row.created_at if key == "created_at" else row.last_activity_at
        day = datetime.fromtimestamp(at, UTC).date()
        limit = _day(key, operator, values, now)
        return day > limit if operator == "is_greater_than" else day < limit
    if key == "status" and "all" in wanted:
        return operator == "equal_to"
    actual = _values(row, key)
    if operator.endswith("present"):
        return bool(actual) == (operator == "is_present")
    if operator in ("contains", "does_not_contain"):
        hit = any(value.lower() in text.lower() for value in wanted for text in actual)
        return hit == (operator == "contains")
    return bool(set(wanted) & set(actual)) == (operator == "equal_to")


def _values(row: Conversation, key: str) -> list[str]:
    found: dict[str, object] = {
        "status": row.status,
        "priority": row.priority,
        "contact_id": row.contact.id,
        "assignee_id": row.human.id if row.human else None,
        "inbox_id": row.inbox.id,
        "team_id": row.team.id if row.team else None,
        "display_id": row.id,
    }
    if key == "labels":
        return row.labels
    value = found[key] if key in found else row.additional_attributes.get(key)
    return [] if value is None else [str(value)]


def _day(key: str, operator: str, values: object, now: float) -> date:
    """Dates compare whole UTC days."""
    try:
        text = str(values[0]) if isinstance(values, list) else ""
        if operator == "days_before":
            return datetime.fromtimestamp(now, UTC).date() - timedelta(days=int(text))
        return date.fromisoformat(text)
    except (ValueError, OverflowError):
        raise rule_violation(f"Invalid value. The values provided for {key} are invalid") from None
