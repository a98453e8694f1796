"""Exim as a mail relay with limits on this machine: a real mail server, started for one test."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

PROGRAM = shutil.which("exim4", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
USER = "Debian-exim"


def missing() -> str:
    """Return why Exim cannot be run here, empty when it can."""
    if PROGRAM is None:
        return "exim4 is not installed (Debian: exim4-daemon-light)"
    with suppress(KeyError):
        pwd.getpwnam(USER)
        return "" if os.geteuid() == 0 else "Exim needs root to be run as a test process"
    return f"there is no user {USER}"


class Relay:
    """A running Exim. `url` is for SMTP_URL."""

    def __init__(self, home: Path, port: int):
        self.home = home
        self.url = f"smtp://desk:secret@127.0.0.1:{port}?tls=none"

    def emails(self) -> list[EmailMessage]:
        """Return the e-mails that it has delivered."""
        messages = (message_from_bytes(p.read_bytes(), policy=policy.default) for p in self._files())
        return [message for message in messages if isinstance(message, EmailMessage)]

    def raw(self) -> list[bytes]:
        """Return the e-mails as bytes."""
        return [p.read_bytes() for p in self._files()]

    def wait_for(self, number: int, within: float = 60) -> list[EmailMessage]:
        """Wait until this number of e-mails is delivered, and return them."""
        until = time.monotonic() + within
        while len(self._files()) < number and time.monotonic() < until:
            time.sleep(0.05)
        return self.emails()

    def log(self) -> str:
        """Return its log, with refusals."""
        return "".join(p.read_text(errors="replace") for p in sorted((self.home / "log").glob("*log")))

    def _files(self) -> list[Path]:
        return sorted((self.home / "mail" / "new").glob("*"))


@contextmanager
def running(*, sessions: int = 50, per_session: int = 1000, messages: str = "", logins: str = "") -> Iterator[Relay]:
    """Run Exim until the block ends. `messages` and `logins` are rates such as `30 / 5s`."""
    assert PROGRAM is not None
    user = pwd.getpwnam(USER)
    # Exim's user cannot read the folders of pytest.
    home = Path(tempfile.mkdtemp(prefix="proofdesk-exim-"))
    home.chmod(0o755)
    for name in ("spool", "log", "mail"):
        (home / name).mkdir()
        os.chown(home / name, user.pw_uid, user.pw_gid)
    for name in ("mainlog", "rejectlog", "paniclog"):  # otherwise the first writer, perhaps root, owns them
        (home / "log" / name).touch()
        os.chown(home / "log" / name, user.pw_uid, user.pw_gid)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    limits = {"sessions": sessions, "per_session": per_session, "messages": messages, "logins": logins}
    (home / "conf").write_text(_configuration(home, port, limits))
    with (home / "out").open("wb") as out:
        process = subprocess.Popen([PROGRAM, "-C", str(home / "conf"), "-bdf"], stdout=out, stderr=out)
    try:
        _wait_until_listening(port, process, home)
        yield Relay(home, port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        shutil.rmtree(home, ignore_errors=True)


def _wait_until_listening(port: int, process: "subprocess.Popen[bytes]", home: Path) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"Exim does not listen: {(home / 'out').read_text()}")


def _configuration(home: Path, port: int, limits: dict[str, int | str]) -> str:
    rate = f"""
  defer ratelimit = {limits["messages"]} / per_mail / strict / messages
        message = 450 4.7.1 Error: too much mail from $sender_host_address""" if limits["messages"] else ""  # fmt: skip
    logins = f"""
  defer ratelimit = {limits["logins"]} / per_cmd / strict / logins
        message = 454 4.7.0 Too many login attempts, please try again later""" if limits["logins"] else ""  # fmt: skip
    return f"""
primary_hostname = relay.test
exim_user = {USER}
exim_group = {USER}
spool_directory = {home}/spool
log_file_path = {home}/log/%slog
pid_file_path = {home}/exim.pid
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
keep_environment =
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
smtputf8_advertise_hosts = *
message_size_limit = 1M
smtp_accept_max = 100
smtp_accept_max_per_host = {limits["sessions"]}
smtp_accept_max_per_connection = {limits["per_session"]}
smtp_accept_queue_per_connection = 0
auth_advertise_hosts = *
acl_smtp_auth = check_auth
acl_smtp_mail = check_mail
acl_smtp_rcpt = check_rcpt
begin acl
check_auth:{logins}
  accept
check_mail:
  deny !authenticated = *
       message = 530 5.7.0 Authentication required{rate}
  accept
check_rcpt:
  deny local_parts = nobody
       message = 550 5.1.1 No such mailbox
  accept
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${{if and{{{{eq{{$auth2}}{{desk}}}}{{eq{{$auth3}}{{secret}}}}}}}}
  server_set_id = $auth2
begin routers
keep:
  driver = accept
  transport = keep
begin transports
keep:
  driver = appendfile
  directory = {home}/mail
  create_directory
  maildir_format
  envelope_to_add
  user = {USER}
  group = {USER}
"""
