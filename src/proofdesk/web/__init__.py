"""The door for people: pages, one file a room. A page and its htmx update share a partial."""

from proofdesk.web import (
    audit,
    jobs,
    login,
    people,
    projects,
    reference,
    search,
    settings,
    signup,
    threads,
    unsubscribe,
)

ROUTERS = [
    login.router,
    projects.router,
    search.router,
    jobs.router,
    threads.router,
    reference.router,
    signup.router,
    settings.router,
    people.router,
    audit.router,
    unsubscribe.router,
]
