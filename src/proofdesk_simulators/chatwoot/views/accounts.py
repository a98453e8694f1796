"""The account and the server itself."""

from datetime import UTC, datetime

from proofdesk_simulators.chatwoot.records import Account, Attributes
from proofdesk_simulators.chatwoot.views.times import iso


def account(row: Account, version: str) -> Attributes:
    """`GET /api/v1/accounts/{id}`."""
    return {
        "settings": {},
        "created_at": iso(row.created_at),
        "domain": row.domain,
        "features": row.features,
        "id": row.id,
        "locale": row.locale,
        "name": row.name,
        "support_email": row.support_email,
        "status": row.status,
        "cache_keys": cache_keys(row),
        "latest_chatwoot_version": version,
        "subscribed_features": [],
    }


def cache_keys(row: Account) -> Attributes:
    """Return values that change when labels, inboxes or teams change: Unix seconds."""
    return {name: f"{int(row.settings_changed_at[name]):010d}" for name in ("label", "inbox", "team")}


def server(version: str, now: float) -> Attributes:
    """`GET /api`."""
    return {
        "version": version,
        "timestamp": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "queue_services": "ok",
        "data_services": "ok",
    }
