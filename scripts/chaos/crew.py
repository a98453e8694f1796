"""The workers, and who kills them."""

import random
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self


class Crew:
    """So many `proofdesk worker` processes, for as long as the `with` block lasts."""

    def __init__(self, workers: int, environment: dict[str, str], home: Path, chance: random.Random):
        self._workers, self._environment, self._home, self._chance = workers, environment, home, chance
        self._running: list[subprocess.Popen[bytes]] = []
        self.started = self.kills = 0
        self.died_alone: list[str] = []

    def __enter__(self) -> Self:
        self.look_after()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for worker in self._running:
            worker.terminate()
        for worker in self._running:
            try:
                worker.wait(30)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()

    def look_after(self) -> None:
        """Replace the workers that are not there (any more); one that ended by itself is noted."""
        for worker in [w for w in self._running if w.poll() is not None]:
            self._running.remove(worker)
            self.died_alone.append(f"a worker ended by itself with status {worker.returncode}; see {self._home}")
        while len(self._running) < self._workers:
            self.started += 1
            with (self._home / f"worker-{self.started}.log").open("wb") as log:
                command = [sys.executable, "-m", "proofdesk", "worker"]
                self._running.append(subprocess.Popen(command, env=self._environment, stdout=log, stderr=log))

    def kill_one(self, at_work: set[int]) -> bool:
        """SIGKILL for one of those that have come up (by process id), and somebody new in his place."""
        self.look_after()
        victims = [worker for worker in self._running if worker.pid in at_work]
        if not victims:
            return False
        victim = self._chance.choice(victims)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        self._running.remove(victim)
        self.kills += 1
        self.look_after()
        return True
