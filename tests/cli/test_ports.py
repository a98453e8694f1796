"""A port belongs to one server. A second one is refused in one line."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping

import httpx2
import pytest

from tests.support.server import PLAIN, free_port
from tests.support.terminal import Terminal

PASSWORD = "a long enough password"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port with a listener that would share it."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def environment_of(database_url: str, port: int) -> dict[str, str]:
    """Return the variables of `serve`."""
    return {
        "DATABASE_URL": database_url,
        "AUTH_PASSWORD": PASSWORD,
        "PORT": str(port),
        "WEB_PROCESSES": "2",
        "EMBEDDING_PROVIDER": "local",
        "EMBEDDING_DIM": "256",
    }


@pytest.fixture
def served(tidy_url: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    """A port with a server of two processes, and the environment of a second one."""
    port = free_port()
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ}
    environment = environment_of(tidy_url, port)
    command = [sys.executable, "-m", "proofdesk", "serve"]
    with subprocess.Popen(command, env=kept | environment, stderr=subprocess.PIPE) as process:
        try:
            _await(port)
            yield port, environment
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def test_a_second_server_on_the_port_is_refused(served: tuple[int, Mapping[str, str]], terminal: Terminal):
    port, environment = served
    second = terminal(("serve",), environment)
    assert second.returncode == 1
    assert re.fullmatch(rf"proofdesk: Port {port} is in use by proofdesk \(process \d+\)\. .*PORT.*\n", second.stderr)
    body = {"username": "owner", "password": PASSWORD}
    statuses = [_post(port, body) for _ in range(8)]
    assert statuses == [200] * 8, "every login reaches the server that knows the password"


@pytest.mark.parametrize(
    "command",
    [
        ("serve",),
        ("up",),
        ("simulate", "chatwoot", "--empty", "--port", "{port}"),
        ("simulate", "openai", "--port", "{port}"),
        ("simulate", "telegram", "--port", "{port}"),
        ("simulate", "smtp", "--port", "{port}"),
        ("simulate", "smtp", "--control-port", "{port}", "--port", "0"),
    ],
    ids=" ".join,
)
def test_a_port_in_use_is_reported_in_one_line(terminal: Terminal, tidy_url: str, taken: int, command: tuple[str, ...]):
    arguments = tuple(part.format(port=taken) for part in command)
    done = terminal(arguments, environment_of(tidy_url, taken))
    assert done.returncode == 1 and done.stdout == ""
    assert re.fullmatch(rf"proofdesk: Port {taken} is in use by .* \(process {os.getpid()}\)\. .*\n", done.stderr)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-name.invalid", "not a name", "::zz"])
def test_an_address_of_another_machine_is_reported(terminal: Terminal, tidy_url: str, host: str):
    done = terminal(("serve",), environment_of(tidy_url, free_port()) | {"HOST": host})
    assert done.returncode == 1
    assert re.fullmatch(r"proofdesk: HOST='.*' is no address of this machine\. .*\n", done.stderr)


def _post(port: int, body: dict[str, str]) -> int:
    return httpx2.post(f"http://127.0.0.1:{port}/auth/login", json=body, trust_env=False, verify=PLAIN).status_code


def _await(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            if httpx2.get(f"http://127.0.0.1:{port}/health", trust_env=False, verify=PLAIN).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail("the server did not start")
