"""The door for people: pages, one file a room. A page and its htmx update share a partial."""

from proofdesk.web import login, projects, reference, search, threads

ROUTERS = [login.router, projects.router, search.router, threads.router, reference.router]
