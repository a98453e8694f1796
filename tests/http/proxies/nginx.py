"""A real nginx on a free port of this machine."""

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


MAIN = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


Proxy = Callable[[str], "contextlib.AbstractContextManager[str]"]


@contextlib.contextmanager
def nginx(site: str, port: int, folder: Path) -> Iterator[None]:
    """nginx with these sites, until the block ends."""
    if NGINX is None:
        reason = "nginx is not installed (apt-get install nginx-light)."
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    assert NGINX is not None
    (folder / "site.conf").write_text(site)
    main = folder / "nginx.conf"
    main.write_text(MAIN.format(folder=folder, user="user root;" if os.geteuid() == 0 else ""))
    errors = folder / "error.log"
    process = subprocess.Popen([NGINX, "-p", folder, "-e", errors, "-c", main], stderr=subprocess.DEVNULL)
    try:
        _await_port(port, process, errors)
        yield
    finally:
        process.terminate()
        process.wait(10)


def browser(url: str, certificate: tuple[Path, Path] | None = None, address: str = "127.0.0.9") -> httpx2.AsyncClient:
    """A client with an address of its own on this machine."""
    verify = ssl.create_default_context(cafile=certificate[0]) if certificate else True
    transport = httpx2.AsyncHTTPTransport(local_address=address, verify=verify)
    return httpx2.AsyncClient(transport=transport, base_url=url, timeout=30, trust_env=False)


def _await_port(port: int, process: "subprocess.Popen[bytes]", errors: Path) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    pytest.fail(f"nginx did not start:\n{errors.read_text() if errors.exists() else ''}")
