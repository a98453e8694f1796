"""Authentication and permissions of API callers."""

from proofdesk_simulators.chatwoot.installation import Caller, Installation
from proofdesk_simulators.chatwoot.records import Account, AgentBot, Conversation, Inbox, PlatformApp, User
from proofdesk_simulators.chatwoot.refusals import not_found, refuse


def authenticate(installation: Installation, token: str | None) -> Caller:
    """Return the owner of a token. Raises ChatwootRefusal 401 without a token, or for an unknown one."""
    if token is None:
        raise refuse("401_no_token")
    found = installation.tokens.get(token)
    if found is None:
        raise refuse("401_unknown_token")
    return found


def require_user(who: Caller) -> User:
    """Return the caller if it is a user. Raises ChatwootRefusal 401."""
    if not isinstance(who, User):
        raise refuse("401_bot")
    return who


def require_user_or_bot(who: Caller) -> User | AgentBot:
    """Return the caller if it is a user or a bot. Raises ChatwootRefusal 401 for a platform token."""
    if isinstance(who, PlatformApp):
        raise refuse("401_bot")
    return who


def get_account(installation: Installation, who: Caller, account_id: int) -> Account:
    """Return the account if the caller is a member. Others get 401, not 404."""
    account = installation.accounts.get(account_id)
    if account is None:
        raise not_found()
    if account.status == "suspended":
        raise refuse("401_suspended")
    inside = account_id in who.roles if isinstance(who, User) else getattr(who, "account_id", None) == account_id
    if not inside:
        raise refuse("401_not_member")
    return account


def is_administrator(who: Caller, account: Account) -> bool:
    """Return whether the caller is an administrator of the account."""
    return isinstance(who, User) and who.roles.get(account.id) == "administrator"


def require_administrator(who: Caller, account: Account) -> None:
    """Raise ChatwootRefusal 401 unless the caller is an administrator."""
    if not is_administrator(who, account):
        raise refuse("401_refused")


def visible_inboxes(who: Caller, account: Account) -> list[Inbox]:
    """Return all inboxes for administrators and bots, and the inboxes of an agent's memberships."""
    rows = sorted(account.inboxes.values(), key=lambda inbox: inbox.name.lower())
    if isinstance(who, User) and not is_administrator(who, account):
        return [inbox for inbox in rows if who.id in inbox.members]
    return rows


def get_conversation(who: Caller, account: Account, display_id: int) -> Conversation:
    """Return a conversation. An agent must be a member of its inbox or team."""
    found = account.conversations.get(display_id)
    if found is None:
        raise not_found()
    if isinstance(who, User) and not is_administrator(who, account):
        in_team = found.team is not None and who.id in found.team.members
        if who.id not in found.inbox.members and not in_team:
            raise refuse("401_refused")
    return found
