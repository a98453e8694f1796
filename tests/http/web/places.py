"""The pages that are checked with axe in both themes, weighed, and photographed for the documentation."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """A page; `name` is the name of its screenshot. `click` is followed first, from the page at `path`.

    `heaviest` is how many bytes a browser with an empty cache may load. Pages of other makers may be heavier than ours.
    """

    name: str
    path: str
    signed_in: bool = True
    click: str = ""
    heaviest: int = 150 * 1024


PAGES = (
    Look("login", "/login", signed_in=False),
    Look("overview", "/"),
    Look("search", "/search?q=delivery"),
    Look("search-thread", "/search?q=delivery", click=".hit-open"),
    Look("search-start", "/search"),
    Look("search-answer", "/search?q=when+will+the+delivery+arrive%3F"),
    Look("answers", "/answers"),
    Look("search-nothing", "/search?q=xylophone&mode=text&status=open"),
    Look("conversations", "/conversations"),
    Look("thread", "/conversations", click=".row-link"),
    Look("contacts", "/contacts"),
    Look("contact", "/contacts", click=".row-link"),
    Look("commitments", "/commitments"),
    Look("outbound", "/outbound"),
    Look("outbound-message", "/outbound", click="#messages .row-link"),
    Look("outbound-compose", "/outbound?compose=1"),
    Look("outbound-policies", "/outbound/policies"),
    Look("jobs", "/jobs"),
    Look("audit", "/audit"),
    Look("incidents", "/incidents"),
    Look("digest", "/digest"),
    Look("runbooks", "/runbooks"),
    Look("runbook", "/runbooks/search-returns-no-results", click=".card .button.main"),
    Look("projects", "/projects"),
    Look("settings", "/settings"),
    Look("help", "/help/", heaviest=400 * 1024),
    Look("help-page", "/help/architecture/", heaviest=500 * 1024),
    Look("api-reference", "/docs", heaviest=750 * 1024),
    Look("not-found", "/nowhere"),
)
