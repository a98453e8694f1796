#!/usr/bin/env python3
"""Walks the whole loop on a running Proofdesk: signs in, reads, embeds, searches, drafts. Sends nothing.

    AUTH_USERNAME=owner AUTH_PASSWORD=… python3 deploy/smoke.py https://proofdesk.example.org --project "My agency"

Needs Python alone. Exit status 0 when every step did what it should, 1 at the first that did not.
"""

import argparse
import http.cookiejar
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any


class Failed(Exception):
    """A step did not do what it should; the text says what was seen."""


class Site:
    """A running Proofdesk as a browser with one session sees it."""

    def __init__(self, address: str):
        self._address = address.rstrip("/")
        self._cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies))

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """The JSON of a path. Raises `Failed`."""
        return self._ask("GET", f"{path}?{urllib.parse.urlencode(query)}" if query else path, None)

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """The JSON that a body gets. Raises `Failed`."""
        return self._ask("POST", path, json.dumps(body).encode())

    def _ask(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        headers = {"accept": "application/json", "content-type": "application/json"}
        headers["x-csrf-token"] = next((c.value or "" for c in self._cookies if c.name == "csrf_token"), "")
        request = urllib.request.Request(f"{self._address}{path}", body, headers, method=method)  # noqa: S310
        try:
            with self._opener.open(request, timeout=660) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise Failed(
                f"{method} {path} answered {error.code}: {error.read(2000).decode(errors='replace')}"
            ) from None
        except (OSError, ValueError) as error:
            raise Failed(f"{method} {path}: {error}") from None


def main() -> int:
    """Every step in turn."""
    parser = argparse.ArgumentParser(description="Walks the whole loop on a running Proofdesk. Sends nothing.")
    parser.add_argument("address", help="such as https://proofdesk.example.org")
    parser.add_argument("--project", help="name of the project to walk in; it is made when there is none")
    parser.add_argument("--source", help="source to bind to a project that has none, such as 1 or 1:5")
    parser.add_argument("--query", default="invoice", help="what to search for")
    parser.add_argument("--wait", type=float, default=60, help="seconds that it may take to come up")
    given = parser.parse_args()
    walk = _Walk(Site(given.address), given.project, given.source, given.query, given.wait)
    for title, step in walk.steps():
        started = time.monotonic()
        try:
            seen = step()
        except Failed as failure:
            print(f"✗ {title}\n  {failure}")
            return 1
        print(f"✓ {title:32} {seen}  ({time.monotonic() - started:.1f} s)")
    return 0


class _Walk:
    def __init__(self, site: Site, project: str | None, source: str | None, query: str, wait: float):
        self.site, self.project, self.source, self.query = site, project, source, query
        self.until = time.monotonic() + wait
        self.conversation = ""

    def steps(self) -> list[tuple[str, Callable[[], str]]]:
        return [
            ("alive", self.alive),
            ("ready", self.ready),
            ("signed in", self.sign_in),
            ("project chosen", self.choose),
            ("source bound", self.bind),
            ("conversations read", self.sync),
            ("messages embedded", self.embed),
            ("evidence found", self.search),
            ("conversation shown", self.thread),
            ("draft checked and cancelled", self.draft),
            ("all of it recorded", self.audit),
            ("signed out", self.sign_out),
        ]

    def alive(self) -> str:
        self._await("/health")
        return ""

    def ready(self) -> str:
        self._await("/ready")
        return "database, migrations and a worker"

    def _await(self, path: str) -> None:
        while True:
            try:
                self.site.get(path)
            except Failed:
                if time.monotonic() > self.until:
                    raise
                time.sleep(0.5)
            else:
                return

    def sign_in(self) -> str:
        username, password = os.environ.get("AUTH_USERNAME", "owner"), os.environ.get("AUTH_PASSWORD", "")
        if not password:
            raise Failed("Set AUTH_PASSWORD, and AUTH_USERNAME unless it is `owner`.")
        return str(self.site.post("/auth/login", username=username, password=password)["username"])

    def choose(self) -> str:
        projects = {p["name"]: p for p in self.site.get("/projects")["projects"]}
        name = self.project or (next(iter(projects)) if len(projects) == 1 else None)
        if name is None:
            raise Failed(f"Name one with --project: {', '.join(projects) or 'there is none yet'}.")
        project = projects.get(name) or self.site.post("/projects", name=name)["project"]
        self.site.post(f"/projects/{project['id']}/select")
        self.project = project["id"]
        return name

    def bind(self) -> str:
        path = f"/projects/{self.project}/sources"
        if self.source and not self.site.get(path)["sources"]:
            kind = "chatwoot_inbox" if ":" in self.source else "chatwoot_account"
            self.site.post(path, source_kind=kind, external_id=self.source)
        bound = self.site.get(path)["sources"]
        return ", ".join(s["external_id"] for s in bound) or "CHATWOOT_ACCOUNT_ID, on the first sync"

    def sync(self) -> str:
        result = _finished(self.site.post("/jobs/chatwoot/sync", wait=600))
        return f"{result['conversations']} conversations, {result['messages']} messages new or changed"

    def embed(self) -> str:
        _finished(self.site.post("/jobs/embeddings/run", wait=600))
        counts = self.site.get("/jobs/status")["rag_counts"]
        if not counts["ready"]:
            raise Failed(f"No chunk is ready: {counts}. See /runbooks/embeddings-fail.")
        return f"{counts['ready']} chunks ready, {counts['failed']} failed"

    def search(self) -> str:
        found = self.site.post("/search", query=self.query, topK=5)
        if not found["results"]:
            raise Failed(f"Nothing was found for {self.query!r}: {found.get('diagnosis')}. Try another --query.")
        self.conversation = found["results"][0]["conversation_global_id"]
        return f"{len(found['results'])} hits in {found['took_ms']['total']:.0f} ms"

    def thread(self) -> str:
        thread = self.site.get(f"/conversations/{urllib.parse.quote(self.conversation, safe=':')}/thread")
        return f"{len(thread['messages'])} messages"

    def draft(self) -> str:
        key = f"smoke-{uuid.uuid4()}"
        payload = {"text": "Smoke test: never approved."}
        made = self.site.post(
            "/outbound/draft",
            channel="chatwoot",
            recipient_ref=self.conversation,
            payload=payload,
            idempotency_key=key,
        )["outbound"]
        gates = self.site.get(f"/outbound/{made['id']}/preflight")["gates"]
        self.site.post(f"/outbound/{made['id']}/cancel")
        return ", ".join(f"{g['gate']} {'passes' if g['pass'] else 'holds'}" for g in gates)

    def audit(self) -> str:
        return f"newest: {self.site.get('/audit', limit=1)['events'][0]['action']}"

    def sign_out(self) -> str:
        self.site.post("/auth/logout")
        if self.site.get("/auth/me")["authenticated"]:
            raise Failed("The session is still valid.")
        return ""


def _finished(answer: dict[str, Any]) -> dict[str, Any]:
    if answer["result"] is None:
        raise Failed(f"The run is still {answer['run']['status']} after ten minutes. Is a worker alive? See /ready.")
    return answer["result"]


if __name__ == "__main__":
    sys.exit(main())
