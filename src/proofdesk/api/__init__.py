"""The JSON door: one file a room, all under /v1; `edge` lets the other prefixes in."""

from proofdesk.api import (
    audit,
    auth,
    events,
    health,
    jobs,
    outbound,
    policies,
    projects,
    reference,
    review,
    runbooks,
    search,
    signup,
    unsubscribe,
)

ROUTERS = [
    health.router,
    auth.router,
    signup.router,
    projects.router,
    jobs.router,
    events.router,
    search.router,
    review.router,
    policies.router,
    outbound.router,
    audit.router,
    runbooks.router,
    reference.router,
    unsubscribe.router,
]
