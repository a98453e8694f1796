"""Users, bots, teams and labels."""

from proofdesk_simulators.chatwoot.records import Account, AgentBot, Attributes, Label, Team, User
from proofdesk_simulators.chatwoot.views.times import iso


def agent(user: User, account_id: int) -> Attributes:
    """Return the form of the agent list and of `meta.assignee`."""
    return {
        "id": user.id,
        "account_id": account_id,
        "availability_status": user.availability,
        "auto_offline": user.auto_offline,
        "confirmed": user.confirmed,
        "email": user.email,
        "provider": user.provider,
        "available_name": user.available_name,
        "name": user.name,
        "role": user.roles.get(account_id, "agent"),
        "thumbnail": user.avatar_url,
        "custom_role_id": None,
    }


def user_sender(user: User) -> Attributes:
    """Return the form of a message's sender, without e-mail address."""
    return {
        "id": user.id,
        "name": user.name,
        "available_name": user.available_name,
        "avatar_url": user.avatar_url,
        "type": "user",
        "availability_status": user.availability,
        "thumbnail": user.avatar_url,
    }


def bot_sender(bot: AgentBot) -> Attributes:
    """Return the form of a bot that wrote a message."""
    return {"id": bot.id, "name": bot.name, "avatar_url": bot.avatar_url, "type": "agent_bot"}


def bot_assignee(bot: AgentBot) -> Attributes:
    """Return the slim form of `meta.assignee`."""
    return {
        "id": bot.id,
        "name": bot.name,
        "description": bot.description,
        "thumbnail": bot.avatar_url,
        "outgoing_url": bot.outgoing_url,
        "bot_type": bot.bot_type,
    }


def team(row: Team, viewer_id: int | None) -> Attributes:
    """Return the view of a team. `is_member` is about the caller."""
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "allow_auto_assign": row.allow_auto_assign,
        "account_id": row.account_id,
        "is_member": viewer_id in row.members,
    }


def label(row: Label) -> Attributes:
    """Return the view of a label."""
    return {
        "id": row.id,
        "title": row.title,
        "description": row.description,
        "color": row.color,
        "show_on_sidebar": row.show_on_sidebar,
    }


def profile(user: User, accounts: list[Account]) -> Attributes:
    """Return `GET /api/v1/profile`, which contains the caller's own token."""
    first = accounts[0].id if accounts else None
    return {
        "access_token": user.token,
        "account_id": first,
        "available_name": user.available_name,
        "avatar_url": user.avatar_url,
        "confirmed": user.confirmed,
        "display_name": user.display_name,
        "message_signature": None,
        "email": user.email,
        "id": user.id,
        "inviter_id": user.inviter_id,
        "name": user.name,
        "provider": user.provider,
        "pubsub_token": f"simulator-pubsub-{user.id}",
        "role": user.roles.get(first, "agent") if first is not None else None,
        "ui_settings": {},
        "uid": user.email,
        "type": None,
        "accounts": [_membership(user, account) for account in accounts],
    }


def _membership(user: User, account: Account) -> Attributes:
    role = user.roles[account.id]
    return {
        "id": account.id,
        "name": account.name,
        "status": account.status,
        "onboarding_step": None,
        "active_at": iso(user.active_at),
        "role": role,
        "permissions": [role],
        "availability": user.availability,
        "availability_status": user.availability,
        "auto_offline": user.auto_offline,
        "custom_role_id": None,
        "custom_role": None,
    }
