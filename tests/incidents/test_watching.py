"""Faults of a real installation open one incident each, notify people once, and close themselves."""

import asyncio
import json

import pytest
from pydantic import SecretStr

from proofdesk.accounts import telegram
from proofdesk.audit import events
from proofdesk.database import backup
from proofdesk.incidents import channels, incidents, notifications, watching
from proofdesk.jobs import catalog, in_process
from proofdesk.jobs.resources import open_resources
from proofdesk.settings import Settings
from tests.incidents.watched_desk import Desk
from tests.support.projects import new_project


async def test_healthy_installation_has_no_incident(desk: Desk):
    assert (await desk.watch(3))["opened"] == 0
    assert (desk.states(), desk.mails, desk.texts, desk.receiver.requests) == ([], [], [], [])


async def test_expired_token_is_one_incident_and_one_notification_per_channel(desk: Desk):
    old = desk.installation.settings["chatwoot_api_token"]
    desk.installation.set(chatwoot_api_token=SecretStr("expired"))
    desk.installation.failed_run(
        "chatwoot_sync", "Chatwoot refused", '{"upstream": {"service": "chatwoot", "status": 401}}'
    )
    await desk.watch(3)
    assert desk.states() == [("chatwoot-sync-fails", "token", "open")]
    assert desk.mails == ["[Proofdesk] Problem: Chatwoot rejects CHATWOOT_API_TOKEN: it is wrong or was replaced."]
    assert len(desk.texts) == 1 and "CHATWOOT_API_TOKEN" in desk.texts[0]
    [(path, headers, body)] = desk.receiver.requests
    event = json.loads(body)
    assert (path, event["event"], event["id"]) == ("/hook", "incident.opened", headers["x-proofdesk-notification"])
    assert event["incident"]["fix"]["label"] in event["text"] and event["incident"]["evidence"]
    assert event["incident"]["links"]["Runbook"] == "https://desk.example.com/runbooks/chatwoot-sync-fails"
    desk.installation.set(chatwoot_api_token=old)
    await desk.watch(2)  # the last run still counts as failed, which the incident explains
    assert desk.states() == [("chatwoot-sync-fails", "token", "closed")]
    assert desk.mails[1:] == ["[Proofdesk] Solved: Chatwoot rejects CHATWOOT_API_TOKEN: it is wrong or was replaced."]
    assert len(desk.texts) == 2 and json.loads(desk.receiver.requests[1][2])["event"] == "incident.closed"
    actions = desk.installation.rows("SELECT action FROM audit_events WHERE action LIKE 'incident%%' ORDER BY id")
    assert actions == [("incident.opened",), ("incident.closed",)]


@pytest.mark.parametrize(
    ("fault", "incident"),
    [
        (
            "UPDATE scheduled_jobs SET status = 'paused', paused_cause = 'worker_lost' WHERE job_type = 'maintenance'",
            ("scheduler-worker-failing", "paused", "open"),
        ),
        ("INSERT INTO backups (error) VALUES ('No space left on device.')", ("database-and-disk", "backup", "open")),
    ],
)
async def test_fault_opens_its_incident(desk: Desk, fault: str, incident: tuple[str, str, str]):
    desk.installation.sql(fault)
    await desk.watch(2)
    assert desk.states() == [incident]


async def test_full_disk_opens_an_incident(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: _Usage(10**12, 10**12, 10**6))
    await desk.watch(2)
    assert desk.states() == [("database-and-disk", "disk", "open")]


class _Usage:
    def __init__(self, total: int, used: int, free: int):
        self.total, self.used, self.free = total, used, free


async def test_server_watches_while_no_worker_is_alive(desk: Desk):
    other = await new_project(desk.installation.db, "Other")
    async with desk.resources() as resources:
        await watching.watch_without_worker(resources)
        assert desk.states() == []  # a worker is alive, and it is its task
        desk.installation.sql("DELETE FROM procrastinate_workers")
        desk.installation.sql("UPDATE worker_processes SET seen_at = now() - interval '1 hour', runner = 'there:1:1'")
        for _ in range(2):
            desk.pass_time("5 minutes")
            await watching.watch_without_worker(resources)
    assert desk.states() == [("scheduler-worker-failing", "worker", "open")]
    assert len(desk.mails) == 1  # for both projects
    async with desk.installation.db.scoped(other) as conn:
        cursor = await conn.execute("SELECT count(*) FROM incidents WHERE project_id IS NULL")
        assert await cursor.fetchone() == (1,)


async def test_acknowledged_incident_sends_no_reminder(desk: Desk):
    desk.installation.sql("INSERT INTO backups (error) VALUES ('No space left on device.')")
    await desk.watch(2)
    desk.pass_time("2 hours")
    await desk.watch()
    assert desk.mails == [
        "[Proofdesk] Problem: The last backup failed.",
        "[Proofdesk] Still open: The last backup failed.",
    ]
    [row], total = await incidents.list_incidents(desk.installation.db, desk.installation.scope, "open", 10, 0)
    assert (total, len(row.notifications)) == (1, 6)
    await incidents.acknowledge(desk.installation.db, desk.installation.scope, row.id)
    desk.pass_time("3 days")
    await desk.watch()
    assert len(desk.mails) == 2


async def test_refused_notification_is_tried_again_and_the_others_are_not(desk: Desk):
    desk.receiver.status = 500
    desk.installation.sql("INSERT INTO backups (error) VALUES ('No space left on device.')")
    await desk.watch(2)
    desk.receiver.status = 200
    await desk.watch(2)
    ids = [json.loads(body)["id"] for _, _, body in desk.receiver.requests]
    assert len(ids) == 2 and ids[0] == ids[1]
    assert (len(desk.mails), len(desk.texts)) == (1, 1)


async def test_process_that_dies_neither_loses_nor_doubles_a_notification(desk: Desk):
    """One dies before its call, and another one before the first has sent anything: each is sent once."""
    desk.installation.sql("INSERT INTO backups (error) VALUES ('No space left on device.')")
    async with desk.resources() as resources:
        real, calls = await channels.configured_channels(resources), list[str]()

        async def die(notification: object) -> None:
            calls.append("died")
            raise asyncio.CancelledError

        desk.installation.set(notify_email=None)
        await desk.watch()
        dying = dict.fromkeys(real, die)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(notifications, "deliver", _nothing)
            await desk.watch()  # wrote the notifications and died
        with pytest.raises(asyncio.CancelledError):
            await notifications.deliver(resources, desk.installation.scope, dying)
        assert calls and await notifications.deliver(resources, desk.installation.scope, real) == 0  # still claimed
        desk.pass_time("10 minutes")
        assert await notifications.deliver(resources, desk.installation.scope, real) == 2
        assert await notifications.deliver(resources, desk.installation.scope, real) == 0
    assert (len(desk.texts), len(desk.receiver.requests)) == (1, 1)


async def _nothing(*_: object) -> int:
    return 0


async def test_worker_watches_as_a_job_and_pings_the_heartbeat(desk: Desk, receiver_server: tuple[object, str]):
    desk.installation.set(heartbeat_url=SecretStr(f"{receiver_server[1]}/beat"))
    settings, scope = Settings(**desk.installation.settings), desk.installation.scope
    async with open_resources(settings, observers={catalog.WATCH.name: watching.watch}) as resources:
        run = await in_process.execute(resources, scope, "chatwoot_sync", None, lambda *_: None)
        assert run.status == "ok", run.error
        assert [path for path, _, _ in desk.receiver.requests] == ["/beat"]
        watched = await in_process.execute(resources, scope, "incident_watch", None, lambda *_: None)
        assert watched.status == "ok" and watched.processed_count > 40
        desk.receiver.status = 500
        assert (await in_process.execute(resources, scope, "chatwoot_sync", None, lambda *_: None)).status == "ok"


async def test_failed_backup_is_recorded(desk: Desk, database_url: str):
    backup.record_backup(database_url, "There is no folder /mnt/backup.")
    await desk.watch(2)
    backup.record_backup(database_url)
    await desk.watch()
    assert desk.states() == [("database-and-disk", "backup", "closed")]


async def test_nobody_is_notified_without_channels(desk: Desk):
    desk.installation.set(notify_email=None, notify_webhook_url=None)
    await telegram.unbind(desk.installation.db, events.system_actor())
    desk.installation.sql("INSERT INTO backups (error) VALUES ('No space left on device.')")
    await desk.watch(2)
    assert desk.installation.rows("SELECT count(*) FROM incident_notifications") == [(0,)]
    assert await incidents.count_open(desk.installation.db, desk.installation.scope) == 1
