"""The JSON door: one file a room, all under /v1; `edge` lets the other prefixes in."""

from proofdesk.api import (
    audit,
    auth,
    health,
    jobs,
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
    search.router,
    review.router,
    audit.router,
    runbooks.router,
    reference.router,
    unsubscribe.router,
]
