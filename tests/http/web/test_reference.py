"""The API reference: Swagger UI draws every operation within the Content-Security-Policy."""

from tests.support.browser import Visit
from tests.support.pages import HTML
from tests.support.server import Cast


async def test_reference_shows_every_operation_within_the_policy(cast: Cast, server: str, visit: Visit):
    paths = (await cast.member.client.get("/v1/openapi.json")).json()["paths"]
    tags = [tag for operations in paths.values() for operation in operations.values() for tag in operation["tags"]]
    page = await visit(server, cast.member.token, silent=True)
    await page.goto("/docs")
    await page.locator(".opblock-tag").first.wait_for()
    for heading in await page.locator(".opblock-tag").all():
        await heading.click()
    shown = {path.replace("\u200b", "") for path in await page.locator(".opblock-summary-path").all_text_contents()}
    assert shown == set(paths) and await page.locator(".opblock-tag").count() == len(set(tags))
    assert await page.locator(".opblock").count() == len(tags)


async def test_reference_appears_after_a_boosted_link(cast: Cast, server: str, visit: Visit):
    page = await visit(server, cast.member.token, silent=True)
    await page.goto("/settings")
    await page.evaluate("document.querySelector('a[href=\"/docs\"]').click()")
    await page.locator(".opblock-tag").first.wait_for()


async def test_reference_needs_a_session(anyone):
    response = await anyone.get("/docs", headers=HTML)
    assert (response.status_code, response.headers["location"]) == (303, "/login?next=/docs")
