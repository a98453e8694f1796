"""The server, the profile, the account and its lists: agents, labels, teams, inboxes."""

from proofdesk_simulators.chatwoot import access
from proofdesk_simulators.chatwoot.installation import members
from proofdesk_simulators.chatwoot.records import User
from proofdesk_simulators.chatwoot.refusals import not_found, refuse
from proofdesk_simulators.chatwoot.routes.call import Call
from proofdesk_simulators.chatwoot.views import accounts, inboxes, people


def server(call: Call) -> object:
    """GET /api"""
    return accounts.server(call.simulator.switches.version, call.installation.now())


def health(call: Call) -> object:
    """GET /health"""
    return {"status": "woot"}


def profile(call: Call) -> object:
    """GET /api/v1/profile"""
    user = access.require_user(call.caller)
    return people.profile(user, [call.installation.accounts[number] for number in user.roles])


def reset_access_token(call: Call) -> object:
    """POST /api/v1/profile/reset_access_token"""
    user = access.require_user(call.caller)
    del call.installation.tokens[user.token]
    user.token = f"simulator-token-{user.id}-{call.installation.other_ids.take()}"
    call.installation.tokens[user.token] = user
    return profile(call)


def show(call: Call) -> object:
    """GET the account"""
    return accounts.account(call.account, call.simulator.switches.version)


def cache_keys(call: Call) -> object:
    """GET cache_keys"""
    return {"cache_keys": accounts.cache_keys(call.account)}


def list_inboxes(call: Call) -> object:
    """GET inboxes: those the caller may see"""
    administrator = access.is_administrator(call.caller, call.account)
    rows = access.visible_inboxes(call.caller, call.account)
    return {"payload": [inboxes.inbox(row, administrator=administrator) for row in rows]}


def show_inbox(call: Call) -> object:
    """GET inboxes/{id}: 401 for an agent who is no member of it.

    Read from chatwoot/chatwoot, `app/policies/inbox_policy.rb` (`show?`).
    """
    row = call.account.inboxes.get(call.path["inbox_id"])
    if row is None:
        raise not_found()
    administrator = access.is_administrator(call.caller, call.account)
    if not administrator and row not in access.visible_inboxes(call.caller, call.account):
        raise refuse("401_refused")
    return inboxes.inbox(row, administrator=administrator)


def list_agents(call: Call) -> object:
    """GET agents: a bare array"""
    return [people.agent(user, call.account.id) for user in members(call.installation, call.account)]


def list_labels(call: Call) -> object:
    """GET labels"""
    return {"payload": [people.label(row) for row in call.account.labels.values()]}


def list_teams(call: Call) -> object:
    """GET teams: a bare array"""
    viewer = call.caller.id if isinstance(call.caller, User) else None
    return [people.team(row, viewer) for row in call.account.teams.values()]
