"""The pages, as they are looked at: by axe in both themes, on the scales, and for the screenshots."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """A page worth looking at; `name` is that of its picture. `click` is followed first, from the page at `path`."""

    name: str
    path: str
    signed_in: bool = True
    click: str = ""


PAGES = (
    Look("login", "/login", signed_in=False),
    Look("overview", "/"),
    Look("search", "/search?q=delivery"),
    Look("search-thread", "/search?q=delivery", click=".hit-open"),
    Look("search-start", "/search"),
    Look("search-nothing", "/search?q=xylophone&mode=text&status=open"),
    Look("conversations", "/conversations"),
    Look("thread", "/conversations", click=".row-link"),
    Look("contacts", "/contacts"),
    Look("contact", "/contacts", click=".row-link"),
    Look("outbound", "/outbound"),
    Look("outbound-message", "/outbound", click="#messages .row-link"),
    Look("outbound-compose", "/outbound?compose=1"),
    Look("outbound-policies", "/outbound/policies"),
    Look("jobs", "/jobs"),
    Look("audit", "/audit"),
    Look("runbooks", "/runbooks"),
    Look("runbook", "/runbooks/search-returns-no-results", click=".card .button.main"),
    Look("projects", "/projects"),
    Look("settings", "/settings"),
    Look("help", "/help"),
    Look("help-page", "/help/architecture"),
    Look("api-reference", "/docs"),
    Look("not-found", "/nowhere"),
)
