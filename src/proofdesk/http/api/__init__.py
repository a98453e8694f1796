"""JSON routes, one module per subject, all under /v1. `routing` maps the other prefixes to /v1."""

from proofdesk.http.api import (
    answers,
    audit,
    auth,
    commitments,
    conversations,
    events,
    health,
    incidents,
    jobs,
    openapi,
    outbound,
    policies,
    projects,
    runbooks,
    search,
    sending,
    signup,
    suppressions,
)

# A path is matched in this order, so the most frequent routes come first.
ROUTERS = [
    health.router,
    conversations.router,
    projects.router,
    jobs.router,
    events.router,
    search.router,
    answers.router,
    commitments.router,
    policies.router,
    sending.router,
    suppressions.router,
    outbound.router,
    audit.router,
    runbooks.router,
    incidents.router,
    auth.router,
    signup.router,
    openapi.router,
]
