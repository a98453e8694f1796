"""The worker processes, and the process that kills them."""

import random
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self


class Crew:
    """So many `proofdesk worker` processes, inside the `with` block."""

    def __init__(self, workers: int, environment: dict[str, str], home: Path, random_source: random.Random):
        self._workers, self._environment, self._home, self._chance = workers, environment, home, random_source
        self._running: list[subprocess.Popen[bytes]] = []
        self.started = self.kills = 0
        self.unexpected_exits: list[str] = []

    def __enter__(self) -> Self:
        self.replace_missing()
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

    def replace_missing(self) -> None:
        """Start the missing workers. Record those that ended by themselves."""
        for worker in [w for w in self._running if w.poll() is not None]:
            self._running.remove(worker)
            self.unexpected_exits.append(f"a worker ended by itself with status {worker.returncode}; see {self._home}")
        while len(self._running) < self._workers:
            self.started += 1
            with (self._home / f"worker-{self.started}.log").open("wb") as log:
                command = [sys.executable, "-m", "proofdesk", "worker"]
                self._running.append(subprocess.Popen(command, env=self._environment, stdout=log, stderr=log))

    def kill_one(self, worker_pids: set[int]) -> bool:
        """Kill one of the workers with these process ids (SIGKILL) and start another."""
        self.replace_missing()
        victims = [worker for worker in self._running if worker.pid in worker_pids]
        if not victims:
            return False
        victim = self._chance.choice(victims)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        self._running.remove(victim)
        self.kills += 1
        self.replace_missing()
        return True
