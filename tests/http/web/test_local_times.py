"""Times on pages are those of the reader, in the language of the page."""

import re

from playwright.async_api import expect

from tests.support.browser import Visit
from tests.support.server import Cast


async def test_a_time_is_typed_in_the_zone_of_the_reader(cast: Cast, server: str, visit: Visit):
    tab = await visit(server, cast.member.token, locale="de-DE", timezone_id="Asia/Tokyo")
    await tab.goto("/outbound?compose=1")
    await expect(tab.get_by_text("In your time zone, Asia/Tokyo.")).to_be_visible()
    await tab.get_by_label("Channel").select_option("email")
    await tab.get_by_label("To", exact=True).fill("amina@example.com")
    await tab.get_by_label("Text", exact=True).fill("Your refund is on its way.")
    await tab.get_by_label("Not before").fill("2099-03-04T08:30")
    await tab.get_by_role("button", name="Create draft").click()
    await expect(tab.get_by_role("heading", name="To amina@example.com")).to_be_visible()
    [message] = (await cast.member.client.get("/outbound")).json()["outbound"]
    assert message["scheduled_at"].startswith("2099-03-03T23:30")
    shown = await tab.locator("time[datetime^='2099']").first.inner_text()
    assert re.search(r"Mar 4, 2099.*08:30", shown)
    await tab.goto(f"/outbound/{message['id']}/edit")
    await expect(tab.get_by_label("Not before")).to_have_value("2099-03-04T08:30")


async def test_pages_past_the_end_say_so(cast: Cast):
    for path, what in (("/conversations", "conversation"), ("/contacts", "contact")):
        page = (await cast.member.client.get(f"{path}?page=9", headers={"accept": "text/html"})).text
        assert f"This page is past the last {what}." in page and "appear here after" not in page
