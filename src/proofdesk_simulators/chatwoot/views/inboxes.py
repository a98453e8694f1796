"""Inboxes: the full form, the slim form beside a source id, and the raw row of a contact's creation."""

from proofdesk_simulators.chatwoot.records import Attributes, Inbox
from proofdesk_simulators.chatwoot.views.times import iso

WIDGET_KEYS = (
    "allowed_domains", "widget_color", "website_url", "hmac_mandatory", "welcome_title", "welcome_tagline",
    "web_widget_script", "website_token", "selected_feature_flags", "reply_time",
)  # fmt: skip


def inbox(row: Inbox, *, administrator: bool) -> Attributes:
    """Return the full form. Administrators see secrets (tokens, mail passwords) in clear text."""
    view = _common(row)
    view |= {key: row.channel.get(key) for key in WIDGET_KEYS}
    view |= {"messaging_service_sid": None, "phone_number": row.phone_number, "provider": row.provider}
    view |= {key: value for key, value in row.channel.items() if key not in WIDGET_KEYS}
    if row.channel_type == "Channel::Api":
        view["webhook_url"] = row.webhook_url
    if administrator:
        view |= row.secrets
        if row.secret is not None:
            view["secret"] = row.secret
    return view


def slim(row: Inbox) -> Attributes:
    """Return the slim form beside a source id."""
    return {
        "id": row.id,
        "avatar_url": row.avatar_url,
        "channel_id": row.channel_id,
        "name": row.name,
        "channel_type": row.channel_type,
        "provider": row.provider,
    }


def raw(row: Inbox) -> Attributes:
    """Return the database row that only the creation of a contact shows."""
    return {
        "id": row.id,
        "channel_id": row.channel_id,
        "account_id": row.account_id,
        "name": row.name,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "channel_type": row.channel_type,
        "enable_auto_assignment": True,
        "greeting_enabled": row.greeting_message is not None,
        "greeting_message": row.greeting_message,
        "email_address": None,
        "working_hours_enabled": False,
        "out_of_office_message": None,
        "timezone": row.timezone,
        "enable_email_collect": True,
        "csat_survey_enabled": row.csat_survey_enabled,
        "allow_messages_after_resolved": True,
        "auto_assignment_config": {},
        "lock_to_single_conversation": row.lock_to_single_conversation,
        "portal_id": None,
        "sender_name_type": "friendly",
        "business_name": None,
        "csat_config": {},
    }


def _common(row: Inbox) -> Attributes:
    return {
        "id": row.id,
        "avatar_url": row.avatar_url,
        "channel_id": row.channel_id,
        "name": row.name,
        "channel_type": row.channel_type,
        "greeting_enabled": row.greeting_message is not None,
        "greeting_message": row.greeting_message,
        "working_hours_enabled": False,
        "enable_email_collect": True,
        "csat_survey_enabled": row.csat_survey_enabled,
        "csat_config": {},
        "enable_auto_assignment": True,
        "auto_assignment_config": {},
        "out_of_office_message": None,
        "working_hours": [_working_day(day) for day in range(7)],
        "timezone": row.timezone,
        "callback_webhook_url": row.callback_webhook_url,
        "allow_messages_after_resolved": True,
        "lock_to_single_conversation": row.lock_to_single_conversation,
        "sender_name_type": "friendly",
        "business_name": None,
    }


def _working_day(day: int) -> Attributes:
    closed = day in (0, 6)
    return {
        "day_of_week": day,
        "closed_all_day": closed,
        "open_hour": None if closed else 9,
        "open_minutes": None if closed else 0,
        "close_hour": None if closed else 17,
        "close_minutes": None if closed else 0,
        "open_all_day": False,
    }
