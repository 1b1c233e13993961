"""Private mode: nothing but this machine and the allow-list is called, whoever tries."""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from homeroom.core import network
from homeroom.core.errors import RefusedError
from homeroom.models.endpoint import Endpoint

OUTSIDE = "203.0.113.7"  # TEST-NET-3: nobody's (RFC 5737)


def test_only_this_machine_and_the_list_are_allowed():
    network.go_private(["GPU.corp.example", "10.1.0.0/16", "192.0.2.9"])
    for host in ("127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "::ffff:127.0.0.1", "gpu.corp.example.",
                 "10.1.255.3", "192.0.2.9"):  # fmt: skip
        assert network.is_allowed(host), host
    for host in ("", OUTSIDE, "10.2.0.1", "corp.example", "evil-gpu.corp.example", "localhost.evil.example", "0.0.0.0",
                 "::ffff:203.0.113.7", "2130706433", "127.0.0.1.evil.example"):  # fmt: skip
        assert not network.is_allowed(host), host


def test_nothing_is_refused_unless_it_is_on():
    network.refuse_unless_allowed(OUTSIDE)
    network.go_private()
    with pytest.raises(RefusedError, match="must not be called") as caught:
        network.refuse_unless_allowed(OUTSIDE, where="the recipe")
    assert "network.allow" in caught.value.hint
    assert caught.value.exit_code == 5


def test_a_piece_of_work_is_private_and_others_beside_and_after_it_are_not():
    def allowed(host: str) -> bool:
        with ThreadPoolExecutor(1) as beside:
            return beside.submit(network.is_allowed, host).result()

    with network.privately(["mine.example"]):
        assert network.is_private()
        assert network.is_allowed("mine.example")
        with pytest.raises(RefusedError):
            socket.getaddrinfo("theirs.example", 443)
        assert allowed("theirs.example")
        with network.privately(["theirs.example"]):
            assert not network.is_allowed("mine.example")
        network.go_private(["theirs.example"])
        for host in ("mine.example", "theirs.example"):
            assert not network.is_allowed(host), "what holds for the process holds for a piece of work too"
        assert network.is_allowed("127.0.0.1")
        network.go_public()
    assert not network.is_private()
    assert network.is_allowed("theirs.example")


def test_an_endpoint_outside_is_refused_before_anything_is_sent():
    network.go_private()
    with pytest.raises(RefusedError):
        Endpoint("https://api.example.org/v1", "m")
    Endpoint("http://localhost:8080/v1", "m")


def test_no_library_gets_round_it(monkeypatch: pytest.MonkeyPatch):
    tried: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: tried.append(address))  # the house's own guard
    network.go_private()
    with pytest.raises(RefusedError):
        socket.getaddrinfo("example.org", 443)
    with pytest.raises(RefusedError):
        socket.create_connection((OUTSIDE, 443), timeout=0.1)
    with pytest.raises(RefusedError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.sendto(b"out", (OUTSIDE, 53))
    for fetch in (lambda: urllib.request.urlopen("http://example.org/", timeout=0.1),
                  lambda: httpx.get("http://example.org/", timeout=0.1),
                  lambda: asyncio.run(_get("http://example.org/"))):  # fmt: skip
        with pytest.raises((OSError, httpx.HTTPError)) as caught:
            fetch()
        assert "must not be called" in repr(caught.value) + repr(caught.value.__cause__) + repr(
            caught.value.__context__
        )


async def _get(url: str) -> None:
    async with httpx.AsyncClient(timeout=0.1) as client:
        await client.get(url)


def test_the_names_on_the_list_are_called_by_their_addresses(monkeypatch: pytest.MonkeyPatch):
    known = {"gpu.corp.example": "198.51.100.4"}

    def lookup(host, *args, **kwargs):
        if host not in known:
            raise socket.gaierror("unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (known[host], 0))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    network.go_private(["gpu.corp.example", "gone.corp.example"])
    assert network.is_allowed("198.51.100.4")
    assert not network.is_allowed("198.51.100.5")
