"""What a watch does with an incident, without a database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from proofdesk.incidents import decisions
from proofdesk.incidents.problems import ObservedRunbook, Problem
from proofdesk.incidents.queries import Incident
from proofdesk.runbooks import registry
from proofdesk.runbooks.findings import Fix, Observation, fail, ok, skip

RUNBOOK = registry.get_runbook("chatwoot-sync-fails")
TOKEN = next(check for check in RUNBOOK.checks if check.id == "token")
LAST_RUN = next(check for check in RUNBOOK.checks if check.id == "last-run")
START = datetime(2026, 1, 1, tzinfo=UTC)


class Watcher:
    """Watches one check over and over, five minutes apart."""

    def __init__(self) -> None:
        self.now = START
        self.current: list[Incident] = []
        self.messages: list[str] = []

    def watch(self, observation: Observation, *, minutes: float = 5, symptom: bool = False) -> None:
        """Watch once; keep what is stored as the database would."""
        self.now += timedelta(minutes=minutes)
        check = LAST_RUN if symptom else TOKEN
        problems = []
        if observation.status == "fail":
            problems = [Problem(RUNBOOK.slug, check.id, check.title, check.cause, Fix("Do it."), False, symptom, ())]
        observed = [ObservedRunbook(RUNBOOK, [(check, observation)])]
        changes = decisions.decide(self.current, problems, observed, self.now)
        stored = {incident.id: incident for incident in [*self.current, *changes.stored]}
        self.current = [incident for incident in stored.values() if incident.id not in changes.unconfirmed]
        for name in ("opened", "reminded", "closed"):
            self.messages += [name] * len(getattr(changes, name))

    @property
    def state(self) -> str:
        return self.current[-1].state if self.current else ""


def test_incident_opens_at_second_failure_and_closes_when_check_passes():
    watcher = Watcher()
    watcher.watch(fail("401"))
    assert (watcher.state, watcher.messages) == ("suspected", [])
    watcher.watch(fail("401"))
    watcher.watch(fail("401"))
    assert (watcher.state, watcher.messages) == ("open", ["opened"])
    watcher.watch(skip("Chatwoot is away."))
    assert watcher.state == "open"
    watcher.watch(ok("200"))
    assert (watcher.state, watcher.messages) == ("closed", ["opened", "closed"])


def test_single_failure_and_observations_of_the_same_moment_open_nothing():
    watcher = Watcher()
    for _ in range(5):
        watcher.watch(fail("401"))
        watcher.watch(fail("401"), minutes=0.02)
        watcher.watch(ok("200"))
    assert (watcher.current, watcher.messages) == ([], [])


def test_flapping_check_causes_fewer_and_fewer_notifications():
    watcher = Watcher()
    for _ in range(100):
        for observation in (fail("401"), fail("401"), ok("200")):
            watcher.watch(observation)
    assert watcher.messages.count("opened") <= 2
    assert watcher.messages.count("closed") <= 1
    for _ in range(3):
        watcher.watch(ok("200"))
    assert watcher.state == "closed"


def test_reminders_come_less_often_and_stop_when_somebody_acknowledges():
    watcher = Watcher()
    for _ in range(12 * 24 * 3):
        watcher.watch(fail("401"))
    assert watcher.messages == ["opened", *["reminded"] * 4]  # after 1, 5, 29 and 53 hours
    incident = watcher.current[-1]
    watcher.current = [replace(incident, acknowledged_by="ada", acknowledged_at=watcher.now, remind_at=None)]
    for _ in range(12 * 24 * 3):
        watcher.watch(fail("401"))
    assert watcher.messages.count("reminded") == 4


def test_symptom_of_an_open_or_just_closed_incident_opens_nothing():
    watcher = Watcher()
    for _ in range(3):
        watcher.watch(fail("401"))
    for _ in range(3):
        watcher.watch(fail("failed"), symptom=True)
    watcher.watch(ok("200"))
    for _ in range(3):
        watcher.watch(fail("failed"), symptom=True)
    assert watcher.messages == ["opened", "closed"]
    watcher.current = []  # as after two hours
    for _ in range(3):
        watcher.watch(fail("failed"), symptom=True)
    assert watcher.messages[2:] == ["opened"]
