"""The server and its worker as processes: where it listens, who may come in, and what ends with what.

The worker is a process of its own in a session of its own: if the server is killed it finishes what it has, and the
next server finds it at work (its folder is locked) and starts none. Ctrl-C ends both in order; the job waits on disk.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from homeroom.core.errors import RefusedError
from homeroom.web.desk import Desk
from homeroom.web.pages_trial import sweep

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")


def serve_pages(
    folder: Path,
    *,
    host: str,
    port: int,
    certificate: Path | None,
    key: Path | None,
    behind_tls: bool,
    names: tuple[str, ...],
    no_worker: bool,
    on_ready: Callable[[str], None],
    say: Callable[[str], None],
) -> None:
    """Answer until the process is told to stop.

    Raises:
        RefusedError: `host` lets others in, and there is no password or no TLS.
        MachineError: the port is taken.
    """
    import uvicorn

    from homeroom.serve.connections import AT_ONCE, PatientProtocol
    from homeroom.serve.server import listen
    from homeroom.web.app import make_app

    desk = Desk(folder.resolve(), is_proxied=behind_tls)
    check_host(host, tls=bool(certificate) or behind_tls, passwords=any(p.has_password for p in desk.store.people()))
    listener = listen(host, port)
    hosts = (*LOOPBACK, host, *names) if host in LOOPBACK or names else ("*",)
    app = make_app(desk, hosts=hosts, secure=bool(certificate) or behind_tls)
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        limit_concurrency=AT_ONCE,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=3,
        timeout_keep_alive=30,
        h11_max_incomplete_event_size=65_536,
        ssl_certfile=str(certificate) if certificate else None,
        ssl_keyfile=str(key) if key else None,
        forwarded_allow_ips="",
    )
    stop = threading.Event()
    keeper = threading.Thread(target=_keep_worker, args=(folder, stop, say), daemon=True)
    if not no_worker:
        keeper.start()
    threading.Thread(target=sweep, args=(desk,), daemon=True).start()
    for course in desk.courses():  # so that the first page need not wait for it
        threading.Thread(target=desk.tree, args=(course,), daemon=True).start()
    shown = names[0] if names else f"[{host}]" if ":" in host else host
    scheme = "https" if certificate else "http"
    with listener:
        on_ready(f"{scheme}://{shown}:{listener.getsockname()[1]}/enter/{desk.store.make_link('enter')}")
        try:
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            stop.set()
            desk.answers.stop()
            if keeper.is_alive():
                keeper.join(40)


def check_host(host: str, *, tls: bool, passwords: bool) -> None:
    """Refuse to let others in where they could read along, or where nobody has a password.

    Raises:
        RefusedError: saying what is missing.
    """
    try:
        inside = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        inside = False
    if inside:
        return
    if not passwords:
        hint = "Start it without --host first, come in by the link, and give yourself a password under your name."
        raise RefusedError("nobody has a password yet, so nobody else is let in", where=f"--host {host}", hint=hint)
    if not tls:
        hint = "Give --certificate and --key, or say --behind-tls if a proxy of yours speaks TLS."
        raise RefusedError("without TLS others on the way could read along", where=f"--host {host}", hint=hint)


def _keep_worker(folder: Path, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Keep a worker running until the server stops; one that is at work already is left alone."""
    command = [sys.executable, "-m", "homeroom.cli.main", "worker", str(folder), "--server", str(os.getpid())]
    wait, worker = 0.5, None
    while not stop.is_set():
        began = time.monotonic()
        worker = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while worker.poll() is None and not stop.wait(0.2):
            continue
        if stop.is_set():
            break
        wait = min(30.0, wait * 2) if time.monotonic() - began < 30 else 0.5
        if worker.returncode not in (0, 5):  # 5: another worker is at work
            say(f"worker: ended with {worker.returncode}; a new one starts in {wait:.0f} s")
        stop.wait(wait if worker.returncode != 5 else 10.0)
    if worker is not None and worker.poll() is None:
        worker.send_signal(signal.SIGTERM)
        worker.wait(35)
