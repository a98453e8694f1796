"""The JSON door: one file a room, all under /v1; `edge` lets the other prefixes in."""

from proofdesk.http.api import (
    audit,
    auth,
    conversations,
    events,
    health,
    jobs,
    openapi,
    outbound,
    policies,
    projects,
    runbooks,
    search,
    signup,
)

# A path is compared with one after the other: first what is asked for most.
ROUTERS = [
    health.router,
    conversations.router,
    projects.router,
    jobs.router,
    events.router,
    search.router,
    policies.router,
    outbound.router,
    audit.router,
    runbooks.router,
    auth.router,
    signup.router,
    openapi.router,
]
