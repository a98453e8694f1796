"""The door for people: pages, one file a room. A page and its htmx update share a partial."""

from proofdesk.web import (
    audit,
    contacts,
    conversations,
    jobs,
    login,
    overview,
    people,
    projects,
    reference,
    runbooks,
    search,
    settings,
    signup,
    threads,
    unsubscribe,
)

ROUTERS = [
    login.router,
    overview.router,
    projects.router,
    search.router,
    jobs.router,
    conversations.router,
    threads.router,
    contacts.router,
    reference.router,
    signup.router,
    settings.router,
    people.router,
    audit.router,
    runbooks.router,
    unsubscribe.router,
]
