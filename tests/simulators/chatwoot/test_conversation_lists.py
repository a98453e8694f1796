"""The list of conversations, its parameters, the filter and the counts."""

import httpx2
import pytest

from proofdesk_simulators.chatwoot import ChatwootSimulator


def ids(answer: httpx2.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return [row["id"] for row in body.get("data", body)["payload"]]


def walk(client: httpx2.Client, query: str) -> list[int]:
    found: list[int] = []
    for page in range(1, 100):
        rows = ids(client.get(f"/conversations?{query}&page={page}"))
        if not rows:
            break
        found += rows
    return found


def test_only_open_ones_come_without_a_status(client: httpx2.Client, simulator: ChatwootSimulator):
    wanted = {row.id for row in simulator.account().conversations.values() if row.status == "open"}
    assert set(walk(client, "q=")) == wanted


def test_all_pages_contain_all_conversations_and_the_last_is_empty(client: httpx2.Client, simulator: ChatwootSimulator):
    found = walk(client, "status=all&sort_by=created_at_asc")
    assert found == sorted(simulator.account().conversations)
    beyond = client.get("/conversations?status=all&page=9").json()["data"]
    assert beyond["payload"] == []
    assert beyond["meta"]["all_count"] == len(found)


def test_display_ids_have_gaps(client: httpx2.Client):
    found = walk(client, "status=all&sort_by=created_at_asc")
    assert len(found) < found[-1] - found[0] + 1


def test_the_page_size_is_a_setting_of_the_server(client: httpx2.Client, simulator: ChatwootSimulator):
    simulator.switches.page_size = 7
    assert len(ids(client.get("/conversations?status=all"))) == 7
    assert len(walk(client, "status=all")) == 62


def test_a_text_search_ignores_the_status(client: httpx2.Client):
    found = client.get("/conversations?q=inv-2026-0417").json()["data"]["payload"]
    assert [row["status"] for row in found] == ["resolved"]


def test_an_unknown_order_falls_back_to_the_newest_activity(client: httpx2.Client):
    default = ids(client.get("/conversations?status=all"))
    assert ids(client.get("/conversations?status=all&sort_by=updated_at_desc")) == default
    assert ids(client.get("/conversations?status=all&sort=created_at_asc")) == default


@pytest.mark.parametrize(
    ("sort_by", "key"), [("last_activity_at_asc", "last_activity_at"), ("created_at_asc", "created_at")]
)
def test_orders_follow_their_field(sort_by: str, key: str, client: httpx2.Client):
    rows = client.get(f"/conversations?status=all&sort_by={sort_by}").json()["data"]["payload"]
    values = [row[key] for row in rows]
    assert values == sorted(values)


def test_priority_order_starts_with_the_urgent(client: httpx2.Client):
    rows = client.get("/conversations?status=all&sort_by=priority_desc").json()["data"]["payload"]
    assert rows[0]["priority"] == "urgent"


def test_updated_within_is_not_paged(client: httpx2.Client, simulator: ChatwootSimulator):
    seconds = 200 * 86_400
    everything = ids(client.get(f"/conversations?status=all&updated_within={seconds}&page=4"))
    assert len(everything) == 62
    assert ids(client.get("/conversations?status=all&updated_within=60")) == []
    simulator.set_labels(101, ["quote"])
    assert ids(client.get("/conversations?status=all&updated_within=60")) == [101]
    assert ids(client.get("/conversations?updated_within=60")) == []  # 101 is resolved


def test_invalid_page_numbers_mean_the_first_page(client: httpx2.Client):
    first = ids(client.get("/conversations?status=all"))
    assert all(ids(client.get(f"/conversations?status=all&page={page}")) == first for page in ("0", "x", "-3"))


def test_lists_filter_by_inbox_team_labels_and_source(client: httpx2.Client, simulator: ChatwootSimulator):
    account = simulator.account()
    inbox = {row.id for row in account.conversations.values() if row.inbox.id == 3}
    assert set(walk(client, "status=all&inbox_id=3")) == inbox
    assert ids(client.get("/conversations?status=all&inbox_id=99")) == []
    assert client.get("/conversations?status=all&team_id=99").status_code == 404
    assert {account.conversations[n].team for n in walk(client, "status=all&team_id=1")} == {account.teams[1]}
    both = set(walk(client, "status=all&labels[]=refund&labels[]=domain"))
    assert both == set(walk(client, "status=all&labels=refund,domain"))
    assert all(set(account.conversations[n].labels) & {"refund", "domain"} for n in both)
    row = account.conversations[101]
    assert 101 in ids(client.get(f"/conversations?status=all&source_id={row.contact_inbox.source_id}"))


def test_lists_accept_several_statuses(client: httpx2.Client, simulator: ChatwootSimulator):
    found = walk(client, "status[]=pending&status[]=snoozed")
    assert {simulator.conversation(n).status for n in found} == {"pending", "snoozed"}
    assert ids(client.get("/conversations?status=closed")) == []


def test_counts_ignore_the_assignee_type(client: httpx2.Client):
    everything = client.get("/conversations?status=all").json()["data"]["meta"]
    mine = client.get("/conversations?status=all&assignee_type=me").json()["data"]
    assert mine["meta"] == everything
    assert len(mine["payload"]) <= everything["mine_count"]
    assert everything["assigned_count"] + everything["unassigned_count"] == everything["all_count"] == 62
    assert client.get("/conversations/meta?status=all").json() == {"meta": everything}


def condition(key: str, operator: str, *values: object, join: str | None = None) -> dict[str, object]:
    return {"attribute_key": key, "filter_operator": operator, "values": list(values), "query_operator": join}


def test_the_filter_compares_whole_days_and_has_no_default_status(client: httpx2.Client, simulator: ChatwootSimulator):
    body = {"payload": [condition("last_activity_at", "is_greater_than", "2026-11-18")]}
    answer = client.post("/conversations/filter?page=1", json=body).json()
    midnight = 1_795_046_400  # 2026-11-19 00:00 UTC
    wanted = {row.id for row in simulator.account().conversations.values() if row.last_activity_at >= midnight}
    assert {row["id"] for row in answer["payload"]} == wanted
    assert set(answer["meta"]) == {"mine_count", "unassigned_count", "all_count"}


def test_and_binds_tighter_than_or_in_the_filter(client: httpx2.Client, simulator: ChatwootSimulator):
    conditions = [
        condition("labels", "equal_to", "refund", join="OR"),
        condition("status", "equal_to", "open", join="AND"),
        condition("inbox_id", "equal_to", 3),
    ]
    found = set(ids(client.post("/conversations/filter", json={"payload": conditions})))
    for row in simulator.account().conversations.values():
        wanted = "refund" in row.labels or (row.status == "open" and row.inbox.id == 3)
        assert (row.id in found) == wanted


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        ([condition("no_such_key", "equal_to", 1)], 422),
        ([condition("status", "contains", "op")], 422),
        ([condition("status", "equal_to")], 422),
        ([condition("created_at", "is_less_than", "soon")], 422),
        ([condition("status", "equal_to", "all", join="XOR"), condition("inbox_id", "equal_to", 1)], 422),
        ([], 500),
    ],
)
def test_an_invalid_filter_is_rejected(payload: list[object], status: int, client: httpx2.Client):
    assert client.post("/conversations/filter", json={"payload": payload}).status_code == status


def test_a_filter_body_without_payload_is_a_server_error(client: httpx2.Client):
    answer = client.post("/conversations/filter", json=[condition("status", "equal_to", "all")])
    assert (answer.status_code, answer.json()) == (500, {"status": 500, "error": "Internal Server Error"})
