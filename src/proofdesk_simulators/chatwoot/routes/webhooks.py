"""Webhook subscriptions, for administrators."""

from proofdesk_simulators.chatwoot import access, webhooks
from proofdesk_simulators.chatwoot.records import Attributes, Webhook
from proofdesk_simulators.chatwoot.refusals import not_found, rule_violation
from proofdesk_simulators.chatwoot.routes.call import Call, Empty


def index(call: Call) -> object:
    """GET webhooks"""
    access.require_administrator(call.caller, call.account)
    return {"payload": {"webhooks": [webhooks.view(row) for row in call.account.webhooks.values()]}}


def create(call: Call) -> object:
    """POST webhooks"""
    access.require_administrator(call.caller, call.account)
    row = webhooks.create(call.installation, call.account, _values(call))
    return {"payload": {"webhook": webhooks.view(row)}}


def update(call: Call) -> object:
    """PATCH webhooks/{id}"""
    row = _webhook(call)
    return {"payload": {"webhook": webhooks.view(webhooks.update(call.account, row, _values(call)))}}


def delete(call: Call) -> object:
    """DELETE webhooks/{id}: an empty response."""
    del call.account.webhooks[_webhook(call).id]
    return Empty()


def _webhook(call: Call) -> Webhook:
    access.require_administrator(call.caller, call.account)
    found = call.account.webhooks.get(call.path["webhook_id"])
    if found is None:
        raise not_found()
    return found


def _values(call: Call) -> Attributes:
    """Return the values of the body, or of its `webhook`."""
    values = call.attributes("webhook") or call.values
    if not values:
        raise rule_violation("param is missing or the value is empty: webhook")
    return values
