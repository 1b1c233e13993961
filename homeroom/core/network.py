"""Private mode: only this machine and the addresses on the allow-list are ever called.

`go_private` puts a guard where Python itself opens connections and looks up names (an audit hook, PEP 578), so that no
library of ours or of others can go round it. The few places that start other programs which reach out (git, pip) and
those that know what an address is for ask `refuse_unless_allowed` first, and say it in words a person can act on.

A command works on one course, whose list holds until it ends. A server works on several at once: there `privately`
holds for one piece of work, and leaves the others alone.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import sys
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from homeroom.core.errors import RefusedError

HINT = "Private mode is on: put the host under `network.allow` in the recipe, or set `network.private` to false."
_LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname")
_CONNECTS = ("socket.connect", "socket.sendto", "socket.sendmsg")


@dataclass(frozen=True, slots=True)
class _Allowed:
    """The addresses that may be called."""

    hosts: frozenset[str]  # names and addresses, lower case
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]

    def holds(self, name: str) -> bool:
        """Say whether `name`, a host in lower case, is this machine or among them."""
        if name in ("localhost", "") or name in self.hosts:  # "" binds or looks up this machine
            return bool(name)
        try:
            address = ipaddress.ip_address(name.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None) or address
        if mapped.is_loopback or any(mapped in network for network in self.networks):
            return True
        return str(address) in _addresses_of(self.hosts)


class _Guard:
    """What is allowed in the whole process; the hook is one for good, since none can be taken away."""

    allowed: _Allowed | None = None
    is_hooked = False


_here: ContextVar[_Allowed | None] = ContextVar("what this piece of work may call", default=None)


def go_private(allow: Sequence[str] = ()) -> None:
    """From now on refuse every address but this machine's and those of `allow`, in the whole process.

    Args:
        allow: Host names, addresses, or networks as "10.1.0.0/16"; a name's addresses are looked up when it is used.
    """
    _Guard.allowed = _allowed(allow)
    _hook()


@contextlib.contextmanager
def privately(allow: Sequence[str] = ()) -> Iterator[None]:
    """Inside, refuse every address but this machine's and those of `allow`; what other threads do is left alone.

    A thread that is begun inside is another thread: what begins some is made private by `go_private`.
    """
    before = _here.set(_allowed(allow))
    _hook()
    try:
        yield
    finally:
        _here.reset(before)


def _allowed(allow: Sequence[str]) -> _Allowed:
    networks, hosts = [], set()
    for entry in allow:
        try:
            networks.append(ipaddress.ip_network(entry.strip(), strict=False))
        except ValueError:
            hosts.add(entry.strip().lower().rstrip("."))
    return _Allowed(frozenset(hosts), tuple(networks))


def _hook() -> None:
    if not _Guard.is_hooked:
        _Guard.is_hooked = True
        sys.addaudithook(_audit)


def go_public() -> None:
    """End private mode."""
    _Guard.allowed = None


def is_private() -> bool:
    """Return whether private mode is on."""
    return _Guard.allowed is not None or _here.get() is not None


def refuse_unless_allowed(host: str, *, where: str = "") -> None:
    """Do nothing where `host` may be called.

    Raises:
        RefusedError: private mode is on, and `host` is neither this machine nor allowed.
    """
    if not is_allowed(host):
        raise RefusedError(f"{host[:200] or 'an address on the network'} must not be called", where=where, hint=HINT)


def is_allowed(host: str) -> bool:
    """Return whether private mode, where it is on, lets `host` be called."""
    name = host.lower().rstrip(".").strip("[]")
    return all(allowed.holds(name) for allowed in (_Guard.allowed, _here.get()) if allowed is not None)


def _addresses_of(names: frozenset[str]) -> set[str]:
    found = set()
    for name in names:
        try:
            found |= {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(name, None)}
        except OSError:
            continue
    return found


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if not event.startswith("socket.") or not is_private():
        return
    if event in _LOOKUPS:
        host = args[0]
        text = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        if isinstance(text, str) and text:
            refuse_unless_allowed(text)
    elif event in _CONNECTS and isinstance(args[1], tuple):  # a path is a socket of this machine
        refuse_unless_allowed(str(args[1][0]))
