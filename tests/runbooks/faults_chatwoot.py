"""Faults that cause a failed sync, each with the check that names it."""

from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from tests.runbooks.installation import Installation

SLUG = "chatwoot-sync-fails"
UPSTREAM = '{"upstream": {"service": "chatwoot", "method": "GET", "endpoint": "/api/v1/accounts/1/x", "status": 500}}'
FAULTS: dict[str, tuple[str, Callable[[Installation], Any]]] = {
    "no address": ("base-url", lambda i: i.set(chatwoot_base_url=None)),
    "an address without scheme": ("base-url", lambda i: i.set(chatwoot_base_url="chat.example.com")),
    "no token": ("api-token", lambda i: i.set(chatwoot_api_token=None)),
    "nobody there": ("reachable", lambda i: i.set(chatwoot_base_url="http://127.0.0.1:9")),
    "not Chatwoot": ("reachable", lambda i: i.set(chatwoot_base_url=i.settings["openai_base_url"])),
    "out of order": ("reachable", lambda i: i.chatwoot.faults.add("502")),
    "throttled": ("token", lambda i: i.chatwoot.faults.add("429", path="*/profile")),
    "a wrong token": ("token", lambda i: i.set(chatwoot_api_token=SecretStr("wrong"))),
    "an account that is not there": (
        "account",
        lambda i: (
            i.sql("UPDATE project_sources SET account_id = 77, external_id = '77'"),
            i.sql("UPDATE source_claims SET account_id = 77, external_id = '77'"),
        ),
    ),
    "/app in the address": ("base-url", lambda i: i.set(chatwoot_base_url=i.settings["chatwoot_base_url"] + "/app")),
    "/api in the address": ("base-url", lambda i: i.set(chatwoot_base_url=i.settings["chatwoot_base_url"] + "/api/v1")),
    "https to an http port": (
        "reachable",
        lambda i: i.set(chatwoot_base_url=i.settings["chatwoot_base_url"].replace("http:", "https:")),
    ),
    "a host that does not exist": ("reachable", lambda i: i.set(chatwoot_base_url="http://chat.invalid")),
    "a page in place of Chatwoot": ("reachable", lambda i: i.chatwoot.faults.add("200_page")),
    "a login page in place of the profile": ("token", lambda i: i.chatwoot.faults.add("200_page", path="*/profile")),
    "basic auth": ("token", lambda i: i.chatwoot.faults.add("401_basic", path="*/profile")),
    "a redirect to a login": ("token", lambda i: i.chatwoot.faults.add("302_login", path="*/profile")),
    "JSON of something else": ("token", lambda i: i.chatwoot.faults.add("200_strange", path="*/profile")),
    "an unpaid plan": ("access", lambda i: i.chatwoot.faults.add("402", path="*/conversations")),
    "throttled lists": ("access", lambda i: i.chatwoot.faults.add("429", path="*/conversations")),
    "a suspended account": ("access", lambda i: i.chatwoot.faults.add("401_suspended", path="*/conversations")),
    "failing lists": ("access", lambda i: i.chatwoot.faults.add("500", path="*/conversations")),
    "a slow Chatwoot": (
        "reachable",
        lambda i: (i.chatwoot.faults.add("delay", delay=1), i.set(chatwoot_timeout_seconds=0.2)),
    ),
    "a failed run": ("last-run", lambda i: i.failed_run("chatwoot_sync", "Chatwoot answered 500", UPSTREAM)),
}
