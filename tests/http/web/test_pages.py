"""Pages, over HTTP and without scripts."""

import re

import httpx2
import psycopg
import pytest

from proofdesk.accounts import accounts
from proofdesk.database.pool import Database
from proofdesk.http.web import assets, error_pages, layout, view_models
from tests.support import stories
from tests.support.pages import HTML, PART
from tests.support.server import Cast


@pytest.fixture
async def told(cast: Cast, db: Database, owner_conn: psycopg.Connection) -> Cast:
    """The member's project has conversations, cut into chunks."""
    assert cast.member.project_id is not None
    stories.insert_conversations(owner_conn, cast.member.project_id)
    await stories.make_searchable(db, cast.member.project_id)
    return cast


async def test_who_is_not_signed_in_comes_back_to_where_he_wanted(anyone: httpx2.AsyncClient, db: Database):
    await accounts.create(db, "amina", "long enough pw")
    sent = await anyone.get("/search?q=late+delivery&mode=text", headers=HTML)
    assert sent.status_code == 303
    form = await anyone.get(sent.headers["location"], headers=HTML)
    hidden = re.search(r'name="next" value="([^"]*)"', form.text)
    assert form.status_code == 200 and hidden
    fields = {"username": "amina", "password": "long enough pw", "next": hidden[1].replace("&amp;", "&")}
    done = await anyone.post("/login", data=fields)
    assert (done.status_code, done.headers["location"]) == (303, "/search?q=late+delivery&mode=text")
    again = await anyone.get("/login", headers=HTML)
    assert (again.status_code, again.headers["location"]) == (303, "/")


async def test_a_login_that_fails_shows_the_form_again_with_the_reason(anyone: httpx2.AsyncClient):
    answer = await anyone.post("/login", data={"username": '"><script>', "password": "x"})
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text and "password is wrong" in answer.text
    assert "<script>" not in answer.text.split("<body")[1]
    assert (await anyone.post("/login", data={"username": "", "password": ""})).status_code == 400
    for _ in range(3):
        answer = await anyone.post("/login", data={"username": "nobody", "password": "x"})
    assert answer.status_code == 429 and answer.headers["retry-after"] and "Too many" in answer.text


def test_after_login_one_stays_here():
    strange = ("//evil.example", "/\\evil.example", "\\\\evil", "https://evil.example", "", "/\t/evil", "/a\r\nx: y")
    for target in (*strange, "javascript:1", None):
        assert layout.safe_path(target) == "/"


def test_a_path_of_ours_is_kept():
    assert layout.safe_path("/search?q=a%2Fb&mode=text") == "/search?q=a%2Fb&mode=text"


async def test_htmx_leaves_a_page_only_for_another_page(anyone: httpx2.AsyncClient):
    opened = await anyone.get("/search?q=x", headers=HTML | {"hx-request": "true", "hx-request-type": "full"})
    assert (opened.status_code, opened.headers["hx-redirect"]) == (401, "/login?next=/search%3Fq%3Dx")
    part = await anyone.get("/search?q=x", headers=PART)
    assert (
        part.status_code == 401 and "hx-redirect" not in part.headers and '"unauthorized"' in part.headers["hx-trigger"]
    )


async def test_evidence_is_shown_with_its_author_place_and_time(told: Cast):
    page = (await told.member.client.get("/search?q=refund&mode=text", headers=HTML)).text
    assert "<mark>refund</mark>" in page
    assert "Amina Okafor" in page and "Website chat" in page and "#101" in page
    assert re.search(r'<time datetime="2026-03-0\dT\d\d:00:00Z">\d Mar 2026, \d\d:00 UTC</time>', page)
    assert "&lt;b&gt;today&lt;/b&gt;" in page and "<b>today" not in page
    assert 'aria-live="polite"' in page and "result" in page


async def test_a_page_and_its_update_share_their_rows(told: Cast):
    page = await told.member.client.get("/search?q=refund&mode=text", headers=HTML)
    part = await told.member.client.get("/search?q=refund&mode=text", headers=PART)
    assert "<html" in page.text and "<html" not in part.text
    assert part.text.count('class="hit"') == page.text.count('class="hit"') > 0


async def test_what_is_not_found_is_explained(told: Cast):
    page = await told.member.client.get("/search?q=xylophone&mode=text", headers=HTML)
    assert page.status_code == 200 and "No match" in page.text and "fewer filters" in page.text
    empty = await told.stranger.client.get("/search?q=refund&mode=text", headers=HTML)
    assert "This project has no conversations yet" in empty.text and "refund</mark>" not in empty.text


async def test_filters_are_kept_in_the_address_and_shown_again(told: Cast):
    query = "q=delivery&mode=text&inbox=1&sender=agent&status=open&label=vip&from=2026-03-01&to=2026-03-03"
    page = (await told.member.client.get(f"/search?{query}", headers=HTML)).text
    assert '<option value="1" selected>Website chat</option>' in page
    assert '<option value="vip" selected>vip</option>' in page
    assert 'value="2026-03-03"' in page and page.count("(remove this filter)") == 6
    without = (
        "/search?q=delivery&amp;mode=text&amp;inbox=1&amp;sender=agent&amp;status=open&amp;from=2026-03-01&amp;to="
    )
    assert f'href="{without}2026-03-03">label vip' in page
    wrong = await told.member.client.get("/search?q=delivery&from=2026-99-99", headers=HTML)
    assert wrong.status_code == 400 and "From is a day" in wrong.text


async def test_the_first_visit_tells_what_there_is(told: Cast):
    page = (await told.member.client.get("/search", headers=HTML)).text
    assert "9 messages of 2 conversations" in page and "searchable by meaning" in page
    empty = (await told.stranger.client.get("/search", headers=HTML)).text
    assert "This project is empty" in empty and 'action="/jobs/chatwoot/sync"' in empty


async def test_a_thread_shows_the_message_that_was_found(told: Cast):
    project = told.member.project_id
    thread = f"/conversations/cw:{project}:7:101/thread?hit=cwmsg:{project}:7:10103"
    part = await told.member.client.get(thread, headers=PART)
    assert part.text.count('aria-current="true"') == 1 and "<html" not in part.text
    assert "Private note" in part.text and part.text.count("<time") == len(stories.DELIVERY)
    page = await told.member.client.get(thread, headers=HTML)
    assert "<html" in page.text and "Conversation #101" in page.text
    refused = await told.stranger.client.get(thread, headers=PART)
    assert refused.status_code == 404 and "Amina" not in refused.text


async def test_a_long_thread_is_shown_around_the_message(told: Cast, owner_conn: psycopg.Connection):
    project = told.member.project_id
    assert project is not None
    long = [stories.StoryMessage("contact", "Noor", f"Number {n}.") for n in range(80)]
    stories._conversation(owner_conn, project, 300, 1, 30, "open", [], long)
    thread = f"/conversations/cw:{project}:7:300/thread?hit=cwmsg:{project}:7:30040"
    part = (await told.member.client.get(thread, headers=PART)).text
    assert part.count("<time") == 31 and "25 earlier messages" in part and "24 later messages" in part
    assert (await told.member.client.get(thread + "&all=1", headers=HTML)).text.count("<time") == 80


async def test_projects_are_made_and_switched_by_forms(cast: Cast):
    owner = cast.owner
    none = (await owner.client.get("/search", headers=HTML)).text
    assert "Choose a project" in none and owner.csrf in none
    del owner.client.headers["x-csrf-token"]
    assert (await owner.client.post("/projects", data={"name": "New"})).status_code == 403
    refused = await owner.client.post("/projects", data={"name": "x", "csrf_token": owner.csrf})
    assert refused.status_code == 400 and "2 to 160" in refused.text
    made = await owner.client.post("/projects", data={"name": "New", "csrf_token": owner.csrf})
    assert (made.status_code, made.headers["location"]) == (303, "/")
    page = (await owner.client.get("/search", headers=HTML)).text
    assert '<span class="name clip">New</span>' in page and page.count('aria-current="true"') == 1
    fields = {"project_id": str(cast.member.project_id), "csrf_token": owner.csrf}
    assert (await owner.client.post("/projects/select", data=fields)).status_code == 303
    assert (await owner.client.get("/auth/me")).json()["active_project_id"] == str(cast.member.project_id)


async def test_signing_out_ends_at_the_login_page(cast: Cast):
    done = await cast.member.client.post("/logout", data={"csrf_token": cast.member.csrf})
    assert (done.status_code, done.headers["location"]) == (303, "/login")
    assert (await cast.member.client.get("/search", headers=HTML)).status_code == 303


async def test_a_missing_page_is_told_with_the_request_id(cast: Cast):
    page = await cast.member.client.get("/nowhere", headers=HTML | {"x-request-id": "find-me"})
    assert (
        page.status_code == 404 and "There is no page or route with this URL." in page.text and "find-me" in page.text
    )


async def test_an_error_leaves_somebody_signed_in_among_the_pages(cast: Cast, anyone: httpx2.AsyncClient):
    member, refused = cast.member, cast.stranger
    await member.client.put(f"/projects/{member.project_id}/members/stranger", json={"role": "member"})
    form = {"csrf_token": member.csrf}
    for status, doing in (
        (404, member.client.get("/nowhere", headers=HTML)),
        (404, member.client.get("/static/nothing", headers=HTML)),
        (403, refused.client.post(f"/projects/{member.project_id}/archive", data=form | {"csrf_token": refused.csrf})),
        (403, member.client.post("/projects", data={"name": "x", "csrf_token": ""}, headers={"x-csrf-token": "no"})),
        (409, cast.owner.client.post("/jobs/chatwoot/sync", data={"csrf_token": cast.owner.csrf})),
        (400, member.client.post("/jobs/scheduler/chatwoot_sync", data=form | {"cadence_seconds": "1"})),
    ):
        page = await doing
        assert page.status_code == status and 'aria-label="Pages"' in page.text, (status, page.status_code)
        hint = error_pages.HINTS["csrf_invalid"] if "csrf_invalid" in page.text else error_pages.HINTS[status]
        assert hint in page.text and page.headers["x-request-id"] in page.text
    stranger = await anyone.get("/nowhere", headers=HTML)
    assert stranger.status_code == 404 and 'aria-label="Pages"' not in stranger.text


async def test_what_stands_between_backticks_is_code_and_nothing_more(cast: Cast):
    page = (await cast.member.client.get("/runbooks/search-returns-no-results", headers=HTML)).text
    assert "<code>/search</code> returns no results" in page
    assert "<code>proofdesk worker</code>" in (await cast.member.client.get("/jobs", headers=HTML)).text
    assert layout.format_code("<b>`<i>`") == "&lt;b&gt;<code>&lt;i&gt;</code>"


async def test_built_files_are_compressed_and_kept_forever(anyone: httpx2.AsyncClient):
    response = await anyone.get(assets.asset("app.css"))
    assert response.status_code == 200 and response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert response.headers["content-encoding"] == "gzip" and "light-dark(" in response.text
    again = await anyone.get(assets.asset("app.css"), headers={"if-none-match": response.headers["etag"]})
    assert again.status_code == 304
    plain = await anyone.get(assets.asset("app.css"), headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers and plain.text == response.text
    font = await anyone.get(assets.asset("onest-latin-wght-normal.woff2"))
    assert font.headers["content-type"] == "font/woff2"
    for nothing in ("../layout.py", "app.css", "manifest.json", "help"):
        assert (await anyone.get(f"/static/{nothing}")).status_code == 404


async def test_pages_hold_no_script_or_style_of_their_own(told: Cast):
    for path in ("/search?q=refund&mode=text", "/search", "/docs", "/nowhere"):
        page = (await told.member.client.get(path, headers=HTML)).text
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?! src=\"/static/)", page), path
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page.replace('class="out" href="http', "")), path


async def test_pages_are_packed_and_their_length_tells_nothing(cast: Cast):
    sizes = set()
    for _ in range(12):
        async with cast.member.client.stream("GET", "/settings", headers=HTML) as page:
            assert page.headers["content-encoding"] == "gzip" and "Accept-Encoding" in page.headers["vary"]
            sizes.add(page.headers["content-length"])
    assert len(sizes) > 1
    plain = await cast.member.client.get("/settings", headers=HTML | {"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers and "</html>" in plain.text


async def test_jobs_are_asked_for_by_a_button(told: Cast):
    member = told.member
    form = {"csrf_token": member.csrf}
    asked = await member.client.post("/jobs/chatwoot/sync", data=form, headers=PART)
    assert (asked.status_code, asked.headers["hx-trigger"]) == (
        204,
        '{"toast": {"text": "Sync started.", "tone": "good"}}',
    )
    back = await member.client.post("/jobs/chatwoot/sync", data=form, headers={"referer": "http://x/search?q=a"})
    assert (back.status_code, back.headers["location"]) == (303, "/search?q=a")
    run = (await member.client.get("/jobs/runs")).json()["runs"]
    assert [r["job_type"] for r in run] == ["chatwoot_sync"]


async def test_the_thread_stands_beside_the_results_that_the_address_names(told: Cast):
    project = told.member.project_id
    address = f"/search?q=refund&mode=text&open=cwmsg:{project}:7:10103"
    page = (await told.member.client.get(address, headers=HTML)).text
    assert page.count("Private note") == 1 and 'id="cited"' in page and 'href="/search?q=refund&amp;mode=text"' in page
    assert "Private note" not in (await told.stranger.client.get(address, headers=HTML)).text
    around = await told.member.client.get(f"/messages/cwmsg:{project}:7:10103/thread", headers=PART)
    assert around.text.count('id="cited"') == 1


async def test_the_theme_is_drawn_as_it_was_chosen(anyone: httpx2.AsyncClient):
    for cookie, theme in (("dark", "dark"), ("light", "light"), ('"><b>', "auto")):
        page = await anyone.get("/login", headers=HTML | {"cookie": f"theme={cookie}"})
        assert f'data-theme="{theme}"' in page.text


def test_snippets_are_cut_at_their_marks():
    assert [(p.text, p.is_match) for p in view_models.split_snippet("a [[b]] c [[d]]")] == [
        ("a ", False), ("b", True), (" c ", False), ("d", True),
    ]  # fmt: skip
    assert [(p.text, p.is_match) for p in view_models.split_snippet("open [[ and ]] close")][1] == (" and ", True)
    assert "".join(p.text for p in view_models.split_snippet("never [[closed")) == "never [[closed"
    assert view_models.split_snippet("") == []


async def test_weak_hits_are_behind_show_weaker_matches(told: Cast):
    async def show(query: str) -> str:
        return (await told.member.client.get(f"/search?q={query}&mode=text", headers=HTML)).text

    weak = await show("delivery+xylophone+glacier+volcano")
    assert "No strong match" in weak and weak.index("Show weaker matches") < weak.index('class="hit"')
    assert "Show weaker matches" not in await show("delivery")
