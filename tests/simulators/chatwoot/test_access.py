"""Tokens, roles and the six forms of 401."""

from collections.abc import Callable

import httpx2
import pytest

from proofdesk_simulators.chatwoot import ChatwootSimulator, create_app
from proofdesk_simulators.chatwoot.foundation import BOT_TOKEN, PLATFORM_TOKEN
from proofdesk_simulators.chatwoot.records import User

from .conftest import InProcess

Clients = Callable[[str], httpx2.Client]
REFUSED = {"error": "You are not authorized to do this action"}
FOR_PEOPLE = {"error": "Access to this endpoint is not authorized for bots"}


def bare(simulator: ChatwootSimulator, headers: dict[str, str]) -> httpx2.Response:
    with httpx2.Client(transport=InProcess(create_app(simulator)), headers=headers) as client:
        return client.get("http://chatwoot/api/v1/accounts/1/conversations")


def test_both_spellings_of_the_header_are_accepted_but_not_together(simulator: ChatwootSimulator):
    token = simulator.admin_token
    assert bare(simulator, {"api_access_token": token}).status_code == 200
    assert bare(simulator, {"Api-Access-Token": token}).status_code == 200
    both = bare(simulator, {"Api-Access-Token": token, "api_access_token": token})
    assert both.json() == {"error": "Invalid Access Token"}


def test_a_proxy_may_drop_the_header_with_underscores(simulator: ChatwootSimulator):
    simulator.switches.drop_underscore_headers = True
    answer = bare(simulator, {"api_access_token": simulator.admin_token})
    assert answer.json() == {"errors": ["You need to sign in or sign up before continuing."]}


def test_there_is_no_bearer_form(simulator: ChatwootSimulator):
    answer = bare(simulator, {"Authorization": f"Bearer {simulator.admin_token}"})
    assert (answer.status_code, list(answer.json())) == (401, ["errors"])


def test_an_unknown_token_is_rejected(client_of: Clients):
    answer = client_of("nobody").get("/conversations")
    assert (answer.status_code, answer.json()) == (401, {"error": "Invalid Access Token"})


def test_a_user_of_another_account_gets_401(client_of: Clients, simulator: ChatwootSimulator):
    simulator.installation.add_user(User(9, "Stranger", "s@example.org", "stranger", {}))
    answer = client_of("stranger").get("/conversations")
    assert answer.json() == {"error": "You are not authorized to access this account"}


def test_a_suspended_account_answers_401(client: httpx2.Client, simulator: ChatwootSimulator):
    simulator.account().status = "suspended"
    assert client.get("/conversations").json() == {"error": "Account is suspended"}


def test_an_agent_sees_only_their_own_inboxes(client_of: Clients, simulator: ChatwootSimulator):
    agent = client_of("simulator-agent-3")  # Ines: website and mail
    rows = agent.get("/conversations?status=all&updated_within=99999999").json()["data"]["payload"]
    assert {row["inbox_id"] for row in rows} == {1, 2}
    assert [inbox["name"] for inbox in agent.get("/inboxes").json()["payload"]] == [
        "hello@kestrel.example.com",
        "Website chat",
    ]
    hidden = next(row for row in simulator.account().conversations.values() if row.inbox.id == 3)
    assert agent.get(f"/conversations/{hidden.id}/messages").json() == REFUSED
    hidden.team = simulator.account().teams[2]  # web: Ines is a member
    assert agent.get(f"/conversations/{hidden.id}").status_code == 200


def test_an_agent_cannot_list_webhooks_or_delete_a_conversation(client_of: Clients):
    agent = client_of("simulator-agent-3")
    assert agent.get("/webhooks").json() == REFUSED
    assert agent.delete("/conversations/101").json() == REFUSED


def test_secrets_of_an_inbox_are_for_administrators(client: httpx2.Client, client_of: Clients):
    assert client.get("/inboxes/2").json()["imap_password"] == "simulator-mail-password"
    shown = client_of("simulator-agent-3").get("/inboxes/2").json()
    assert shown["email"] == "hello@kestrel.example.com"
    assert not [key for key in shown if key.startswith(("imap_", "smtp_"))]


def test_a_bot_can_write_but_not_list(client_of: Clients):
    bot = client_of(BOT_TOKEN)
    assert bot.get("/conversations").json() == FOR_PEOPLE
    assert bot.get("/conversations/101/messages").json() == FOR_PEOPLE
    assert bot.get("/conversations/101").status_code == 200
    written = bot.post("/conversations/101/messages", json={"content": "beep"}).json()
    assert written["sender"] == {"id": 1, "name": "Door bot", "avatar_url": "", "type": "agent_bot"}
    assert bot.post("/conversations/101/toggle_status", json={"status": "open"}).status_code == 200
    assert bot.get("/conversations/101/labels").status_code == 200


def test_a_platform_token_has_no_access(client_of: Clients):
    platform = client_of(PLATFORM_TOKEN)
    assert platform.get("/conversations/101").json() == FOR_PEOPLE
    assert platform.post("/conversations/101/messages", json={"content": "x"}).status_code == 401


def test_a_token_can_be_rotated(client: httpx2.Client, client_of: Clients):
    new = client.post("http://chatwoot/api/v1/profile/reset_access_token").json()["access_token"]
    assert client.get("/conversations").json() == {"error": "Invalid Access Token"}
    assert client_of(new).get("/conversations").status_code == 200


def test_unknown_accounts_and_routes_are_404(client: httpx2.Client):
    assert client.get("http://chatwoot/api/v1/accounts/77/inboxes").json() == {"error": "Resource could not be found"}
    asked = client.get("/nonsense", headers={"Accept": "application/json"})
    assert (asked.status_code, asked.json()) == (404, {"status": 404, "error": "Not Found"})
    page = client.get("/nonsense")
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")


def test_version_and_health_need_no_token(simulator: ChatwootSimulator):
    with httpx2.Client(transport=InProcess(create_app(simulator)), base_url="http://chatwoot") as client:
        assert client.get("/api").json()["version"] == "4.15.1"
        assert client.get("/health").json() == {"status": "woot"}


def test_every_response_has_a_request_id(client: httpx2.Client):
    first, second = client.get("/labels"), client.get("/labels")
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/labels", "/teams", "/agents", "/inboxes", "/cache_keys"])
def test_cache_keys_and_lists_are_readable_by_agents(path: str, client_of: Clients):
    assert client_of("simulator-agent-4").get(path).status_code == 200
