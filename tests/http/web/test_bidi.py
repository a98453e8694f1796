"""Names that would reorder the page around them: none can, on any page, in any attribute, in any template."""

import itertools
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import psycopg
import pytest
from playwright.async_api import Locator, Page

from proofdesk.database.pool import Database
from proofdesk.http.web import layout
from tests.http.web import names
from tests.http.web.names import BODY, FORMATTING, LABEL
from tests.support.browser import Visit
from tests.support.pages import HTML, PART
from tests.support.server import Cast

TEMPLATES = Path(layout.__file__).parent / "templates"
ISOLATING = {"a", "b", "bdi", "blockquote", "caption", "code", "dd", "div", "dt", "h1", "h2", "h3", "label", "legend",
             "li", "mark", "option", "p", "span", "strong", "summary", "td", "textarea", "th", "time"}  # fmt: skip
"""Elements that are blocks, that browsers isolate, or that `base.css` does; what is shown is all that they hold."""
OURS = {
    "binding.user_id", "card.by_meaning", "card.by_words", "check.expected", "check.fix", "code",
    "commitment.confidence", "commitment.side", "commitment.suggestion", "conversation.number", "day",
    "entry.count", "entry.count_label", "entry.label", "fix.label", "group.conversation", "hour", "incident.lasted",
    "inside", "job.label", "key.prefix", "label", "message.max_retries", "message.retry_count", "minutes",
    "o.label", "part.text", "policy.cap", "policy.channel", "policy.hours", "policy.sent", "preview.channel",
    "request_id", "row.channel", "row.entity", "row.id", "run.trigger", "runbook.slug", "sent.label", "sent.status",
    "start.conversations", "start.messages", "start.ready", "status", "thread.number", "took_ms", "value",
    "version.number",
}  # fmt: skip
"""What may stand beside other words: numbers and words of our own, and the parts of a snippet, which is one text."""


@pytest.fixture
async def read(cast: Cast, db: Database) -> Cast:
    """The member's project holds the account with hostile names, and its own name is one; so is a draft's text."""
    project = cast.member.project_id
    assert project is not None
    await names.read(db, project)
    renamed = await cast.member.client.patch(f"/projects/{project}", json={"name": "Project \u202eA\u2067"})
    assert renamed.status_code == 200, renamed.text
    return cast


async def _drafted(read: Cast, conn: psycopg.Connection) -> str:
    """A draft to the hostile contact, with evidence; its id."""
    message = conn.execute(
        "SELECT account_id, message_id FROM cw_messages WHERE content = %s LIMIT 1", [BODY]
    ).fetchone()
    assert message is not None
    project = read.member.project_id
    made = await read.member.client.post(
        "/outbound/draft",
        json={
            "channel": "chatwoot",
            "recipient_ref": f"cwc:{project}:1:{_number(conn, names.CONTACT)}",
            "payload": {"text": BODY},
            "idempotency_key": "one",
            "evidence_refs": [{"source": "cw_messages", "ref": f"cwmsg:{project}:{message[0]}:{message[1]}"}],
        },
    )
    assert made.status_code == 201, made.text
    return made.json()["outbound"]["id"]


def _number(conn: psycopg.Connection, name: str) -> int:
    row = conn.execute("SELECT contact_id FROM cw_contacts WHERE name = %s", [name]).fetchone()
    assert row is not None, name
    return row[0]


def _conversation(conn: psycopg.Connection, inbox: str) -> int:
    row = conn.execute(
        "SELECT c.conversation_id FROM cw_conversations c JOIN cw_inboxes i USING (project_id, inbox_id)"
        " WHERE i.name = %s",
        [inbox],
    ).fetchone()
    assert row is not None, inbox
    return row[0]


async def test_no_page_holds_raw_formatting(read: Cast, owner_conn: psycopg.Connection):
    project = read.member.project_id
    draft = await _drafted(read, owner_conn)
    thread = f"/conversations/cw:{project}:1:{_conversation(owner_conn, names.INBOX)}/thread"
    contact = f"/contacts/cwc:{project}:1:{_number(owner_conn, names.CONTACT)}"
    hostile = "%E2%80%AE"
    pages = {
        "/": "", "/search?q=refund&mode=text": "Evegpj.exe", "/search": "viplabel", "/conversations": "Mallorygpj.exe",
        thread: "Mailboxgpj.exe", "/contacts": "Evegpj.exe", contact: "<title>Evegpj.exe · ", "/outbound": "Evegpj.exe",
        f"/outbound/{draft}": "<title>To Evegpj.exe · ", "/outbound/policies": "Evegpj.exe", "/jobs": "",
        "/audit": "refund", "/projects": "Project A", f"/projects/{project}/sources": "Mailboxgpj.exe",
        "/settings": "Project A",
        "/outbound?compose=1&evidence=x": "", f"/search?q={hostile}refund&mode=text": "<title>refund",
        f"/search?q=refund&mode=text&label=vip{hostile}label": "label viplabel", f"/contacts?q={hostile}x": "",
        f"/outbound?q={hostile}": "", f"/{hostile}": "", "/outbound/recipients?find=Eve": "Evegpj.exe",
    }  # fmt: skip
    for path, expected in pages.items():
        for headers in (HTML, PART):
            answer = await read.member.client.get(path, headers=headers)
            assert answer.status_code in (200, 404), (path, answer.text)
            assert not FORMATTING & set(answer.text), path
            assert headers is PART or expected in answer.text, path


async def test_fields_and_bodies_keep_what_was_written(read: Cast, owner_conn: psycopg.Connection):
    client = read.member.client
    thread = f"/conversations/cw:{read.member.project_id}:1:{_conversation(owner_conn, names.INBOX)}/thread"
    page = (await client.get(thread, headers=HTML)).text
    assert f'<p class="said" dir="auto">{BODY}</p>' in unescape(page)
    assert "Assigned to Mallorygpj.exe by Mallorygpj.exe</p>" in page, "Chatwoot's own sentences hold names"
    search = (await client.get("/search?q=%E2%80%AErefund&mode=text", headers=HTML)).text
    assert f'<option value="{LABEL}">viplabel</option>' in search.replace("&#x202E;", "\u202e")
    assert 'value="&#x202E;refund"' in search
    form = {"channel": "email", "find": "a@example.com", "subject": "S\u202e", "text": BODY, "preview": "1"}
    kept = (await client.post("/outbound/draft", data=form | {"csrf_token": read.member.csrf}, headers=HTML)).text
    assert 'value="S&#x202E;"' in kept and f">{BODY}</textarea>" in unescape(kept)
    assert '<h3 class="wrap-anywhere">S</h3>' in kept
    assert owner_conn.execute("SELECT count(*) FROM cw_contacts WHERE name = %s", [names.CONTACT]).fetchone() == (1,)


def test_a_toast_holds_no_formatting():
    assert (
        layout.toast_response("Sync of \u202eEve").headers["hx-trigger"]
        == '{"toast": {"text": "Sync of Eve", "tone": "good"}}'
    )


def test_only_the_layout_renders_templates():
    sources = [p for p in TEMPLATES.parent.rglob("*.py") if p.name != "layout.py"]
    rendering = re.compile(r"\bEnvironment\(|get_template|\.render\(")
    assert [p.name for p in sources if rendering.search(p.read_text("utf-8"))] == []
    assert (TEMPLATES.parent / "layout.py").read_text("utf-8").count("get_template(") == 1


AS_WRITTEN = re.compile(
    r' value="\{\{ [\w.]+ \| as_written \}\}"'
    r'|<(?P<tag>p|textarea)\b(?:\{%.*?%\}|\{\{.*?\}\}|[^<>{])* dir="auto"(?:\{%.*?%\}|\{\{.*?\}\}|[^<>{])*>'
    r"\{\{ [\w.]+ \| as_written \}\}</(?P=tag)>"
)


def test_only_fields_and_bodies_of_their_own_block_are_shown_as_written():
    for path in TEMPLATES.rglob("*.html"):
        template = path.read_text("utf-8")
        assert template.count("as_written") == len(list(AS_WRITTEN.finditer(template))), path
        assert not re.search(r"\|\s*safe\b|autoescape", template), path


def _inline(template: str) -> Iterator[str]:
    """The variables among a template's text that do not have an element that isolates them to themselves."""
    text = re.sub(r"\{#.*?#\}|\{% block title %\}.*?\{% endblock %\}", "", template, flags=re.DOTALL)
    text = re.sub(r"\{%.*?%\}", "", text, flags=re.DOTALL).replace("h{{ level }}", "h2")
    text = re.sub(r"<([a-z0-9]+)(?:\{\{.*?\}\}|[^<>{]|\{(?!\{))*>", r"<\1>", text, flags=re.DOTALL)
    for variable in re.finditer(r"\{\{ ?([\w.]+)(?: or \"\w+\")?(?: \| [\w()]+)? ?\}\}", text):
        element = re.search(r"<([a-z0-9]+)>\s*$", text[: variable.start()])
        alone = (
            element
            and element[1] in ISOLATING
            and re.match(r"\s*(\{\{ ?[\w.]+ or \"\w+\" ?\}\})?\s*</", text[variable.end() :])
        )
        if not alone:
            yield variable[1]


def test_every_name_in_a_template_is_isolated():
    guilty = []
    for path in sorted(TEMPLATES.rglob("*.html")):
        guilty += [f"{path.name}: {v}" for v in _inline(path.read_text("utf-8")) if v not in OURS]
    assert guilty == []


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("<p>with {{ a.assignee }}</p>", ["a.assignee"]),
        ('<p class="x{{ y }}">{{ a.assignee }} left</p>', ["a.assignee"]),
        ("<p>with <bdi>{{ a.assignee }}</bdi></p>", []),
        ('<td data-label="{{ a.b }}">{{ a.assignee }}</td>', []),
        ("<i>{{ a.assignee }}</i>", ["a.assignee"]),
    ],
)
def test_the_scan_of_templates_sees_what_is_not_isolated(template: str, expected: list[str]):
    assert list(_inline(template)) == expected


BOXES = """(element, words) => {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    const boxes = [];
    for (let node = walker.nextNode(); node; node = walker.nextNode())
        for (let at = 0; boxes.length < words.length; at++) {
            at = node.textContent.indexOf(words[boxes.length], at);
            if (at < 0) break;
            const range = document.createRange();
            range.setStart(node, at);
            range.setEnd(node, at + words[boxes.length].length);
            const { left, right, top } = range.getBoundingClientRect();
            boxes.push([left, right, top]);
        }
    return boxes;
}"""


async def _in_order(line: Locator, *words: str) -> None:
    """Each of the words is drawn to the right of the one before it, in the same line."""
    boxes = await line.first.evaluate(BOXES, list(words))
    assert len(boxes) == len(words), (words, boxes)
    for before, after in itertools.pairwise(boxes):
        assert before[1] <= after[0] + 1 and abs(before[2] - after[2]) < 8, (words, boxes)


@pytest.fixture
async def tab(read: Cast, server: str, visit: Visit) -> Page:
    """A tab of the member, wide enough for lines that do not wrap."""
    return await visit(server, read.member.token, viewport={"width": 1400, "height": 900}, locale="en-GB")


async def test_what_follows_a_name_in_a_thread_stands_in_its_place(
    read: Cast, tab: Page, owner_conn: psycopg.Connection
):
    for inbox, shown in ((names.INBOX, "Mailboxgpj.exe"), (names.HEBREW_INBOX, names.HEBREW_INBOX)):
        number = _conversation(owner_conn, inbox)
        await tab.goto(f"/conversations/cw:{read.member.project_id}:1:{number}/thread")
        words = (f"#{number}", shown, "assigned to", "Mallorygpj.exe", "viplabel", "42")
        await _in_order(tab.locator(".talk-head p"), *words)


async def test_what_follows_a_name_among_sources_stands_in_its_place(read: Cast, tab: Page):
    await tab.goto(f"/projects/{read.member.project_id}/sources")
    await _in_order(tab.locator(".entry .small"), *names.INBOXES)


async def test_what_follows_a_name_among_recipients_stands_in_its_place(read: Cast, server: str, visit: Visit):
    # Without scripts the list comes with the page and is not replaced while it is measured.
    tab = await visit(server, read.member.token, java_script_enabled=False, viewport={"width": 1400, "height": 900})
    for find, shown in (("Eve", "Evegpj.exe"), (names.HEBREW_CONTACT, names.HEBREW_CONTACT)):
        await tab.goto("/outbound?compose=1")
        await tab.get_by_label("Channel").select_option("email")
        await tab.get_by_label("To", exact=True).fill(find)
        await tab.get_by_role("button", name="Preview").click()
        await _in_order(tab.locator(".offers .wrap-anywhere", has_text=shown), shown, names.ADDRESSES[find])
