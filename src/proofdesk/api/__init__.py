"""The JSON door: one file a room, all under /v1; `edge` lets the other prefixes in."""

from proofdesk.api import auth, health, jobs, projects, reference, review, search

ROUTERS = [
    health.router,
    auth.router,
    projects.router,
    jobs.router,
    search.router,
    review.router,
    reference.router,
]
