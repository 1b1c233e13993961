"""Private mode: only this machine and the addresses on the allow-list are ever called.

`go_private` puts a guard where Python itself opens connections and looks up names (an audit hook, PEP 578), so that no
library of ours or of others can go round it. The few places that start other programs which reach out (git, pip) and
those that know what an address is for ask `refuse_unless_allowed` first, and say it in words a person can act on.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Sequence
from typing import Any

from homeroom.core.errors import RefusedError

HINT = "Private mode is on: put the host under `network.allow` in the recipe, or set `network.private` to false."
_LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname")
_CONNECTS = ("socket.connect", "socket.sendto", "socket.sendmsg")


class _Guard:
    """What is allowed now; one for the process, since an audit hook cannot be taken away."""

    is_private = False
    is_hooked = False
    hosts: frozenset[str] = frozenset()  # names and addresses, lower case
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()


def go_private(allow: Sequence[str] = ()) -> None:
    """From now on refuse every address but this machine's and those of `allow`.

    Args:
        allow: Host names, addresses, or networks as "10.1.0.0/16"; a name's addresses are looked up when it is used.
    """
    networks, hosts = [], set()
    for entry in allow:
        try:
            networks.append(ipaddress.ip_network(entry.strip(), strict=False))
        except ValueError:
            hosts.add(entry.strip().lower().rstrip("."))
    _Guard.hosts, _Guard.networks, _Guard.is_private = frozenset(hosts), tuple(networks), True
    if not _Guard.is_hooked:
        _Guard.is_hooked = True
        sys.addaudithook(_audit)


def go_public() -> None:
    """End private mode."""
    _Guard.is_private = False


def is_private() -> bool:
    """Return whether private mode is on."""
    return _Guard.is_private


def refuse_unless_allowed(host: str, *, where: str = "") -> None:
    """Do nothing where `host` may be called.

    Raises:
        RefusedError: private mode is on, and `host` is neither this machine nor allowed.
    """
    if _Guard.is_private and not is_allowed(host):
        raise RefusedError(f"{host[:200] or 'an address on the network'} must not be called", where=where, hint=HINT)


def is_allowed(host: str) -> bool:
    """Return whether private mode lets `host` be called."""
    name = host.lower().rstrip(".").strip("[]")
    if name in ("localhost", "") or name in _Guard.hosts:  # "" binds or looks up this machine
        return bool(name)
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    if mapped.is_loopback or any(mapped in network for network in _Guard.networks):
        return True
    return str(address) in _addresses_of(_Guard.hosts)


def _addresses_of(names: frozenset[str]) -> set[str]:
    found = set()
    for name in names:
        try:
            found |= {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(name, None)}
        except OSError:
            continue
    return found


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if not _Guard.is_private or not event.startswith("socket."):
        return
    if event in _LOOKUPS:
        host = args[0]
        text = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        if isinstance(text, str) and text:
            refuse_unless_allowed(text)
    elif event in _CONNECTS and isinstance(args[1], tuple):  # a path is a socket of this machine
        refuse_unless_allowed(str(args[1][0]))
