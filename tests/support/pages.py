"""Requests to pages as a browser without scripts sends them."""

import httpx2

from tests.support.server import Person

HTML = {"accept": "text/html"}


PART = HTML | {"hx-request": "true", "hx-request-type": "partial"}


async def get_page(person: Person, path: str = "/settings") -> str:
    page = await person.client.get(path, headers=HTML)
    assert page.status_code == 200
    return page.text


async def submit_form(person: Person, path: str, **fields: str) -> httpx2.Response:
    """Submit a form as a browser without scripts does."""
    form = fields | {"csrf_token": person.csrf}
    kept = person.client.headers.pop("x-csrf-token", None)
    try:
        return await person.client.post(path, data=form)
    finally:
        if kept:
            person.client.headers["x-csrf-token"] = kept


async def submit_and_follow(person: Person, path: str, **fields: str) -> str:
    """Submit a form, check the redirect, and return the page that follows."""
    answer = await submit_form(person, path, **fields)
    assert answer.status_code == 303, answer.text
    return await get_page(person, answer.headers["location"])
