"""The pages of outbound: from evidence to what is sent, what an opt-out does, and what each state allows."""

import re

import psycopg
import pytest
from playwright.async_api import Page, expect

from proofdesk.database.pool import Database
from proofdesk_simulators.telegram import TelegramSimulator
from tests.support import stories
from tests.support.browser import Visit
from tests.support.pages import HTML, PART, get_page, submit_and_follow, submit_form
from tests.support.server import Cast, Person

CHAT = 4711
MAIL = {"channel": "email", "recipient_ref": "amina@example.com", "payload": {"subject": "News", "text": "Hello <b>"}}


@pytest.fixture
async def told(cast: Cast, db: Database, owner_conn: psycopg.Connection) -> Cast:
    """The member's project has conversations; its contact Amina has a chat with the bot too."""
    project = cast.member.project_id
    assert project is not None
    stories.insert_conversations(owner_conn, project)
    await stories.make_searchable(db, project)
    owner_conn.execute(
        "UPDATE cw_contacts SET additional_attributes = jsonb_build_object('social_telegram_user_id', %s::text)"
        " WHERE project_id = %s AND contact_id = 11",
        [str(CHAT), project],
    )
    return cast


@pytest.fixture
async def tab(told: Cast, server: str, visit: Visit) -> Page:
    """A tab of the member."""
    return await visit(server, told.member.token, locale="en-GB")


async def drafted(person: Person, key: str = "one", **more: object) -> str:
    """The address of a new draft."""
    made = await person.client.post("/outbound/draft", json={**MAIL, "idempotency_key": key, **more})
    assert made.status_code == 201, made.text
    return f"/outbound/{made.json()['outbound']['id']}"


def buttons(page: str) -> set[str]:
    """What the forms of a message's page lead to."""
    return set(re.findall(r'action="/outbound/[0-9a-f-]{36}/([a-z]+)"', page))


async def test_evidence_becomes_a_message_that_is_approved_and_sent(
    tab, told: Cast, telegram_server: tuple[TelegramSimulator, str], owner_conn: psycopg.Connection
):
    telegram_server[0].person(CHAT, "Amina")
    await tab.goto("/search?q=refund&mode=text")
    hit = tab.locator(".hit").filter(has_text="would like a refund")
    await hit.get_by_role("link", name="Use as evidence").click()
    await expect(tab.locator(".quoted blockquote")).to_contain_text("I would like a refund")
    await expect(tab.get_by_role("radio", name="Amina Okafor")).to_be_checked()

    await tab.get_by_label("Channel").select_option("telegram")
    async with tab.expect_response(lambda answer: "find=amina" in answer.url):
        await tab.get_by_label("To", exact=True).fill("amina")
    choice = tab.get_by_role("radio", name=f"Amina Okafor {CHAT}")
    await choice.check()
    await tab.get_by_label("Text", exact=True).fill("Your refund is on its way.")
    await expect(tab.locator("#preview .said")).to_have_text("Your refund is on its way.")
    await tab.get_by_role("button", name="Create draft").click()

    await expect(tab.get_by_role("heading", name="To Amina Okafor")).to_be_visible()
    await expect(tab.locator(".quoted blockquote")).to_contain_text("I would like a refund")
    await expect(tab.locator(".light.warn")).to_contain_text("Only an approved message can be sent")
    await tab.get_by_role("button", name="Approve message").click()
    await expect(tab.get_by_text("All checks pass.")).to_be_visible()
    await expect(tab.locator(".light.good")).to_have_count(8)

    await tab.get_by_role("button", name="Send message…").click()
    assert not telegram_server[0].sent or telegram_server[0].sent[-1].chat_id != CHAT
    await tab.get_by_role("dialog").get_by_role("button", name="Send message").click()
    await expect(tab.get_by_role("status").filter(has_text="Message sent.")).to_be_visible()
    await expect(tab.locator(".timeline")).to_contain_text("Attempt 1: accepted")
    sent = telegram_server[0].sent[-1]
    assert (sent.chat_id, sent.text) == (CHAT, "Your refund is on its way.")
    cited = owner_conn.execute("SELECT evidence_refs -> 0 ->> 'source' FROM outbound_messages").fetchone()
    assert cited == ("rag_chunks",)


async def test_an_opt_out_on_the_page_blocks_what_was_approved(tab, told: Cast):
    at = await drafted(told.member, channel="telegram", recipient_ref=str(CHAT), payload={"text": "Hello"})
    await told.member.client.post(f"{at}/approve", json={})
    await tab.goto(at)
    await tab.get_by_label("Reason for the opt-out").fill("Asked on the phone")
    await tab.get_by_role("button", name="Record opt-out").click()
    await expect(tab.get_by_role("status").filter(has_text="Policy changed.")).to_be_visible()
    await expect(tab.locator(".light.bad")).to_contain_text("has opted out")
    await tab.get_by_role("button", name="Send message…").click()
    await tab.get_by_role("dialog").get_by_role("button", name="Send message").click()
    await expect(tab.get_by_role("alert")).to_contain_text("The message was blocked")
    assert (await told.member.client.get(at)).json()["outbound"]["status"] == "blocked_opt_out"

    await expect(tab.get_by_role("button", name="Return to draft")).to_have_count(0)
    await tab.get_by_label("Reason for the opt-in").fill("Wrote that news are welcome")
    await tab.get_by_role("button", name="Record opt-in").click()
    await tab.get_by_role("button", name="Return to draft").click()
    await expect(tab.get_by_role("button", name="Approve message")).to_be_visible()


async def test_a_message_offers_what_its_state_allows(told: Cast, owner_conn: psycopg.Connection):
    member = told.member
    at = await drafted(member)
    assert buttons(await get_page(member, at)) == {"approve", "assign", "cancel"}
    assert buttons(await submit_and_follow(member, f"{at}/approve")) == {"send", "cancel"}
    page = await submit_form(member, f"{at}/send")
    assert page.status_code == 502 and "SMTP_URL" in page.text and "not configured" in page.text
    assert "Cancelled by member" in (cancelled := await submit_and_follow(member, f"{at}/cancel"))
    assert buttons(cancelled) == {"redraft"}
    assert (await submit_form(member, f"{at}/cancel")).status_code == 409
    assert buttons(await submit_and_follow(member, f"{at}/redraft")) == {"approve", "assign", "cancel"}
    await submit_and_follow(member, f"{at}/approve")
    owner_conn.execute("UPDATE outbound_messages SET status = 'sending', next_attempt_at = NULL")
    owner_conn.execute("UPDATE outbound_messages SET status = 'failed', last_error = 'delivery_unknown'")
    failed = await get_page(member, at)
    assert buttons(failed) == {"retry", "redraft", "cancel"} and "The recipient may get it twice" in failed
    assert buttons(await submit_and_follow(member, f"{at}/retry")) == {"send", "cancel"}


async def test_strangers_find_nothing_and_change_nothing(told: Cast):
    at = await drafted(told.member)
    for path in (at, f"{at[:-1]}x"):
        assert (await told.stranger.client.get(path, headers=HTML)).status_code == 404
    for verb in ("approve", "assign", "send", "cancel", "retry", "redraft"):
        assert (await submit_form(told.stranger, f"{at}/{verb}")).status_code == 404, verb
    assert "amina" not in await get_page(told.stranger, "/outbound")
    found = await told.stranger.client.get("/outbound/recipients?find=amina&channel=email", headers=PART)
    assert "Amina" not in found.text
    told.member.client.headers.pop("x-csrf-token")
    assert (await told.member.client.post(f"{at}/approve", data={})).status_code == 403


async def test_messages_are_listed_by_state_channel_and_words(told: Cast):
    member = told.member
    at = await drafted(member)
    await drafted(member, "two", recipient_ref="someone@example.org", payload={"text": "Other words"})
    await member.client.post(f"{at}/approve", json={})
    page = await get_page(member, "/outbound")
    assert "Amina Okafor" in page and "someone@example.org" in page and "1 to 2 of 2" in page
    assert re.search(r'status=approved"[^>]*>Approved<span class="count">1<', page)
    approved = await get_page(member, "/outbound?status=approved")
    assert "Amina Okafor" in approved and "someone@" not in approved
    part = await member.client.get("/outbound?q=Other", headers=PART)
    assert "<html" not in part.text and "someone@" in part.text and "Amina" not in part.text
    assert "No matching messages." in await get_page(member, "/outbound?channel=chatwoot")
    overview = await get_page(member, "/")
    assert re.search(r'class="step draft"[^>]*><b>1</b>', overview)
    assert re.search(r'class="step approved"[^>]*><b>1</b>', overview)


async def test_composer_works_without_scripts_and_shows_errors_at_fields(told: Cast):
    member = told.member
    page = await get_page(member, "/outbound?compose=1&to=amina@example.com")
    key = re.search(r'name="idempotency_key" value="([0-9a-f]{32})"', page)
    assert key and 'value="amina@example.com" checked' in page
    form = {"channel": "email", "to": "amina@example.com", "text": "Hello", "idempotency_key": key[1]}
    for wrong, field in (
        ({"to": "", "find": "amina"}, "find-hint"),
        ({"text": " "}, "text-hint"),
        ({"channel": "pigeon"}, "channel-hint"),
        ({"scheduled_at": "soon"}, "scheduled_at-hint"),
        ({"evidence_refs": "cwmsg:x:1:1"}, "This reference was removed."),
    ):
        answer = await submit_form(member, "/outbound/draft", **(form | wrong))
        assert answer.status_code == 400 and field in answer.text, field
        assert (key[1] in answer.text and "Hello" in answer.text) or wrong.get("text"), field
    preview = await submit_form(member, "/outbound/draft", **(form | {"preview": "1"}))
    assert preview.status_code == 200 and '<p class="said" dir="auto">Hello</p>' in preview.text
    assert (await member.client.get("/outbound")).json()["total"] == 0
    made = await submit_form(member, "/outbound/draft", **form)
    again = await submit_form(member, "/outbound/draft", **form)
    assert made.status_code == 303 and made.headers["location"] == again.headers["location"]
    other = await submit_form(member, "/outbound/draft", **(form | {"text": "Changed"}))
    assert other.status_code == 409 and "Open that message" in other.text and key[1] not in other.text


async def test_policies_are_listed_and_changed_and_shown_with_the_contact(told: Cast):
    member = told.member
    at = await drafted(member)
    contact = f"cwc:{member.project_id}:{stories.ACCOUNT}:11"
    form = {"contact_global_id": contact, "channel": "email", "next": f"{at}?done=policy"}
    limits = {"frequency_cap": "7", "frequency_window_hours": "48", "stop_on_reply": "false"}
    assert 'value="7"' in await submit_and_follow(member, "/outbound/opt-out", **form, **limits)
    for wrong, told_why in (
        ({"frequency_cap": "x"}, "frequency_cap"),
        ({"opted_out": "true", "reason": " "}, "Enter a reason"),
    ):
        answer = await submit_form(member, "/outbound/opt-out", **form, **wrong)
        assert answer.status_code == 400 and told_why in answer.text and 'role="alert"' in answer.text
    assert "No matching policies." in await get_page(member, "/outbound/policies?opted_out=true")
    out = {"opted_out": "true", "reason": "Asked for it"}
    page = await submit_and_follow(member, "/outbound/opt-out", **(form | {"next": "https://elsewhere.example"}), **out)
    assert "Outbound" not in page.split("<title>")[1].split("<")[0]
    page = await get_page(member, "/outbound/policies?opted_out=true")
    assert "Amina Okafor" in page and ">opted out<" in page and "0 of 7 in 48 h" in page
    page = await get_page(member, f"/contacts/{contact}")
    assert ">opted out<" in page and at in page and "0 of 7 in 48 h" in page


async def test_all_sending_is_stopped_with_a_reason_and_allowed_again(tab: Page):
    await tab.goto("/outbound")
    await tab.get_by_role("button", name="Stop all sending…").click()
    await tab.get_by_label("Reason").fill("Wrong price list")
    await tab.get_by_role("button", name="Stop sending", exact=True).click()
    notice = tab.locator(".notice.bad")
    await expect(notice).to_contain_text("All sending is stopped.")
    await expect(notice).to_contain_text("member stopped it")
    await expect(notice).to_contain_text("Wrong price list")
    await tab.get_by_role("button", name="Allow sending again").click()
    await expect(tab.locator(".notice.bad")).to_have_count(0)


async def test_rules_of_the_project_are_changed_on_the_policies_page(tab: Page):
    await tab.goto("/outbound/policies")
    choice = tab.get_by_label("Send messages although Chatwoot cannot be asked")
    await choice.check()
    await tab.get_by_role("button", name="Save rules").click()
    await expect(tab.get_by_text("Rules changed.")).to_be_visible()
    await expect(choice).to_be_checked()
