#!/usr/bin/env python3
"""Smoke test of a running Proofdesk: signs in, syncs, embeds, searches and drafts. It sends no message.

    AUTH_USERNAME=owner AUTH_PASSWORD=… python3 deploy/smoke.py https://proofdesk.example.org --project "My agency"

It needs only Python. The exit status is 0 if every step succeeds, 1 at the first step that fails.
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


class StepFailed(Exception):
    """A step failed. The message says what was observed."""


class Site:
    """A client of a running Proofdesk, with one session."""

    def __init__(self, address: str):
        self._address = address.rstrip("/")
        self._cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies))

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Return the JSON of a path. Raises `StepFailed`."""
        return self._request("GET", f"{path}?{urllib.parse.urlencode(query)}" if query else path, None)

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """Post a body and return the JSON of the response. Raises `StepFailed`."""
        return self._request("POST", path, json.dumps(body).encode())

    def _request(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        headers = {"accept": "application/json", "content-type": "application/json"}
        headers["x-csrf-token"] = next((c.value or "" for c in self._cookies if c.name == "csrf_token"), "")
        request = urllib.request.Request(f"{self._address}{path}", body, headers, method=method)  # noqa: S310
        try:
            with self._opener.open(request, timeout=660) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise StepFailed(
                f"{method} {path} responded {error.code}: {error.read(2000).decode(errors='replace')}"
            ) from None
        except (OSError, ValueError) as error:
            raise StepFailed(f"{method} {path}: {error}") from None


def main() -> int:
    """Run every step. Return the exit status."""
    parser = argparse.ArgumentParser(description="Smoke test of a running Proofdesk. It sends no message.")
    parser.add_argument("address", help="URL of Proofdesk, such as https://proofdesk.example.org")
    parser.add_argument("--project", help="name of the project to use")
    parser.add_argument("--create", action="store_true", help="create the project if it does not exist")
    parser.add_argument("--source", help="source to bind if the project has none, such as 1 or 1:5")
    parser.add_argument("--query", default="invoice", help="query to search for")
    parser.add_argument("--wait", type=float, default=60, help="seconds to wait until it is ready")
    options = parser.parse_args()
    test = _SmokeTest(options)
    for title, step in test.steps():
        started = time.monotonic()
        try:
            observed = step()
        except StepFailed as failure:
            print(f"✗ {title}\n  {failure}")
            return 1
        print(f"✓ {title:32} {observed}  ({time.monotonic() - started:.1f} s)")
    return 0


class _SmokeTest:
    def __init__(self, options: argparse.Namespace):
        self.site, self.project, self.source = Site(options.address), options.project, options.source
        self.query, self.creates = options.query, options.create
        self.until = time.monotonic() + options.wait
        self.conversation = ""

    def steps(self) -> list[tuple[str, Callable[[], str]]]:
        return [
            ("alive", self.alive),
            ("ready", self.ready),
            ("signed in", self.sign_in),
            ("project selected", self.select_project),
            ("source bound", self.bind),
            ("conversations synced", self.sync),
            ("messages embedded", self.embed),
            ("evidence found", self.search),
            ("conversation shown", self.show_conversation),
            ("draft checked and cancelled", self.draft),
            ("audit event recorded", self.audit),
            ("signed out", self.sign_out),
        ]

    def alive(self) -> str:
        self._wait_for("/health")
        return ""

    def ready(self) -> str:
        self._wait_for("/ready")
        return "database, migrations, worker"

    def _wait_for(self, path: str) -> None:
        while True:
            try:
                self.site.get(path)
            except StepFailed:
                if time.monotonic() > self.until:
                    raise
                time.sleep(0.5)
            else:
                return

    def sign_in(self) -> str:
        username, password = os.environ.get("AUTH_USERNAME", "owner"), os.environ.get("AUTH_PASSWORD", "")
        if not password:
            raise StepFailed("Set AUTH_PASSWORD, and AUTH_USERNAME if it is not `owner`.")
        return str(self.site.post("/auth/login", username=username, password=password)["username"])

    def select_project(self) -> str:
        projects = {p["name"]: p for p in self.site.get("/projects")["projects"]}
        name = self.project or (next(iter(projects)) if len(projects) == 1 else None)
        if name is None:
            raise StepFailed(f"Select a project with --project: {', '.join(projects) or 'none exists'}.")
        if name not in projects and not self.creates:
            known = ", ".join(projects) or "none"
            raise StepFailed(f"There is no project {name!r}. Projects: {known}. --create creates it.")
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
        return ", ".join(s["external_id"] for s in bound) or "CHATWOOT_ACCOUNT_ID, bound by the first sync"

    def sync(self) -> str:
        result = _result(self.site.post("/jobs/chatwoot/sync", wait=600))
        return f"{result['conversations']} conversations, {result['messages']} messages new or changed"

    def embed(self) -> str:
        _result(self.site.post("/jobs/embeddings/run", wait=600))
        counts = self.site.get("/jobs/status")["rag_counts"]
        if not counts["ready"]:
            raise StepFailed(f"No chunk is ready: {counts}. See /runbooks/embeddings-fail.")
        return f"{counts['ready']} chunks ready, {counts['failed']} failed"

    def search(self) -> str:
        response = self.site.post("/search", query=self.query, topK=5)
        if not response["results"]:
            raise StepFailed(f"No results for {self.query!r}: {response.get('diagnosis')}. Try another --query.")
        self.conversation = response["results"][0]["conversation_global_id"]
        return f"{len(response['results'])} hits in {response['took_ms']['total']:.0f} ms"

    def show_conversation(self) -> str:
        thread = self.site.get(f"/conversations/{urllib.parse.quote(self.conversation, safe=':')}/thread")
        return f"{len(thread['messages'])} messages"

    def draft(self) -> str:
        key = f"smoke-{uuid.uuid4()}"
        payload = {"text": "Smoke test: never approved."}
        message = self.site.post(
            "/outbound/draft",
            channel="chatwoot",
            recipient_ref=self.conversation,
            payload=payload,
            idempotency_key=key,
        )["outbound"]
        gates = self.site.get(f"/outbound/{message['id']}/preflight")["gates"]
        self.site.post(f"/outbound/{message['id']}/cancel")
        return ", ".join(f"{g['gate']} {'passes' if g['pass'] else 'blocks'}" for g in gates)

    def audit(self) -> str:
        return f"newest event: {self.site.get('/audit', limit=1)['events'][0]['action']}"

    def sign_out(self) -> str:
        self.site.post("/auth/logout")
        if self.site.get("/auth/me")["authenticated"]:
            raise StepFailed("The session is still active.")
        return ""


def _result(response: dict[str, Any]) -> dict[str, Any]:
    if response["result"] is None:
        raise StepFailed(
            f"The run is still {response['run']['status']} after ten minutes. Check /ready: a worker must be alive."
        )
    return response["result"]


if __name__ == "__main__":
    sys.exit(main())
