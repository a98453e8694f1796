"""Who is believed about where a request comes from."""

from ipaddress import ip_address, ip_network

import pytest

from proofdesk import settings
from proofdesk.errors import Invalid
from proofdesk.http import forwarded

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48")]


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("10.0.0.1", ["203.0.113.5"], "203.0.113.5"),
        ("10.0.0.1", ["203.0.113.5, 10.0.0.9"], "203.0.113.5"),
        ("10.0.0.1", ["1.2.3.4, 203.0.113.5"], "203.0.113.5"),
        ("10.0.0.1", ["1.2.3.4", "203.0.113.5", "10.0.0.2"], "203.0.113.5"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["1.2.3.4, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["1.2.3.4, <script>, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["203.0.113.5:4711"], "203.0.113.5"),
        ("10.0.0.1", ["[2001:db8::5]:4711"], "2001:db8::5"),
        ("10.0.0.1", ["2001:db8::5"], "2001:db8::5"),
        ("10.0.0.1", ["203.0.113.5, ::ffff:10.0.0.2"], "203.0.113.5"),
        ("2001:db8:1::1", ["203.0.113.5"], "203.0.113.5"),
        ("192.0.2.1", ["203.0.113.5"], "192.0.2.1"),
        ("192.0.2.1", ["203.0.113.5, 10.0.0.1"], "192.0.2.1"),
    ],
)
def test_the_client_is_the_first_untrusted_address_from_the_right(peer: str, forwarded_for: list[str], client: str):
    assert forwarded.client_address(ip_address(peer), forwarded_for, TRUSTED) == ip_address(client)


def test_the_scheme_is_that_of_the_nearest_proxy():
    assert forwarded.scheme(["https"]) == "https"
    assert forwarded.scheme(["http, https"]) == forwarded.scheme(["http", "HTTPS "]) == "https"
    assert forwarded.scheme(["https, http"]) == "http"
    assert forwarded.scheme([]) is forwarded.scheme([""]) is forwarded.scheme(["javascript"]) is None


@pytest.mark.parametrize("text", ["proxy.internal", "10.0.0.1/8", "*", "0.0.0.0/0", "::/0", "127.0.0.1 10.0.0.1"])
def test_an_invalid_proxy_stops_the_start(monkeypatch: pytest.MonkeyPatch, text: str):
    monkeypatch.setenv("TRUSTED_PROXIES", text)
    with pytest.raises(Invalid) as refused:
        settings.load()
    assert refused.value.message.startswith(f"TRUSTED_PROXIES={text!r}: ") and "\n" not in refused.value.message


def test_proxies_are_addresses_and_networks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRUSTED_PROXIES", " 127.0.0.1, 10.0.0.0/8,::1 ,")
    assert [str(network) for network in settings.load().proxies] == ["127.0.0.1/32", "10.0.0.0/8", "::1/128"]
