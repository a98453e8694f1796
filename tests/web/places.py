"""The pages, as they are looked at: by axe in both themes, on the scales, and for the screenshots."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """A page worth looking at. `name` is that of its picture; `open` is what a click opens first, if anything."""

    name: str
    path: str
    signed_in: bool = True


PAGES = (
    Look("login", "/login", signed_in=False),
    Look("search", "/search?q=refund+for+a+late+delivery"),
    Look("search-start", "/search"),
    Look("audit", "/audit"),
    Look("projects", "/projects"),
    Look("settings", "/settings"),
    Look("api-reference", "/docs"),
    Look("not-found", "/nowhere"),
)
