"""Fixes of messages that are not sent."""

from proofdesk.runbooks.findings import Fix

RETRY = Fix("Fix the cause, then retry the message.", "POST", "/outbound/{id}/retry", {})
SETTLE = Fix(
    "Send due messages. This also ends the attempts that a lost worker began.", "POST", "/outbound/process", {}
)
UNSCHEDULE = Fix(
    "Wait, or remove the time from the message and approve it again.", "PATCH", "/outbound/{id}", {"scheduled_at": None}
)
OPT_IN = Fix(
    "Record an explicit opt-in with a reason or evidence. Then create a new draft from the message.",
    "POST",
    "/outbound/opt-out",
    {"contact_global_id": "…", "channel": "…", "opted_out": False, "reason": "…"},
)
ALLOW = Fix("Read the reason. Then allow sending again.", "POST", "/outbound/kill-switch", {"on": False})
AFRESH = Fix("Read the reply, then create a new draft.", "POST", "/outbound/{id}/redraft", {})
CHATWOOT = Fix(
    "Run the runbook of Sync: it says why Chatwoot does not answer.", "POST", "/runbooks/chatwoot-sync-fails/run"
)
CAP = Fix(
    "Wait until the window ends, or change the cap.",
    "POST",
    "/outbound/opt-out",
    {"contact_global_id": "…", "channel": "…", "frequency_cap": 5},
)
