"""What `homeroom.pyz` does: make its own environment, show how far that is in the browser, then open the page.

    homeroom.pyz [FOLDER]      the courses; `Homeroom` in your home folder, if none is named

The file holds the package's wheel, the list of pinned packages with their hashes, and `dev/setup.py`, which does the
work as it does for a clone; all of it goes into one folder of this person's own. What was cut off goes on where it was
when the file is started again. The page of progress is for this machine alone, at an address that cannot be guessed.
Standard library only.
"""

from __future__ import annotations

import argparse
import contextlib
import html
import http.server
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
import webbrowser
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)
STEPS = {"venv": "A place of its own", "packages": "Packages", "homeroom": "Homeroom", "torch": "What learns"}
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">{refresh}<title>Homeroom</title><style>body{{font:1.1rem/1.6 system-ui;
max-width:36rem;margin:4rem auto;padding:0 1rem}}li{{padding:.3rem 0}}.soft{{opacity:.7}}pre{{white-space:pre-wrap;
overflow-wrap:anywhere;border:1px solid;padding:1rem;border-radius:8px}}</style>
<main><h1>{title}</h1>{body}</main></html>"""


@dataclass
class Progress:
    """What the page shows."""

    token: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    done: dict[str, str] = field(default_factory=dict)  # step -> what was said of it last
    failed: str = ""
    link: str = ""  # of the server, once it answers
    again: threading.Event = field(default_factory=threading.Event)

    def take(self, line: str) -> None:
        """Take a line of the set-up down: "[2/4] packages: 15 s, Downloading numpy"."""
        if found := re.match(r"\[\d/4\] (\w+): (.*)", line):
            self.done[found[1]] = found[2]

    def html(self) -> str:
        """Return the page as it is now."""
        if self.failed:
            body = f"<pre>{html.escape(self.failed)}</pre><p>What was finished is kept.</p>"
            body += '<form method="post"><button>Try again</button></form>'
            return PAGE.format(title="The set-up could not go on", refresh="", body=body)
        rows = ""
        for name, words in STEPS.items():
            said = self.done.get(name, "to come")
            mark = "✓" if re.match("done|up to date", said) else "…" if name in self.done else "○"
            rows += f"<li>{mark} <strong>{words}</strong> <span class=soft>{html.escape(said)}</span></li>"
        body = f"<p>This happens once. It takes some minutes, and about two gigabytes of disk.</p><ol>{rows}</ol>"
        body += "<p class=soft>You may close this page: the work goes on. This page turns into Homeroom by itself.</p>"
        refresh = '<meta http-equiv="refresh" content="2">'
        return PAGE.format(title="Homeroom is getting ready", refresh=refresh, body=body)


def serve(progress: Progress) -> http.server.ThreadingHTTPServer:
    """Show the progress at a free port of this machine."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def _is_ours(self) -> bool:
            host = self.headers.get("Host", "").partition(":")[0]
            good = self.path == f"/{progress.token}" and host in ("127.0.0.1", "localhost")
            if not good:
                self.send_error(404)
            return good

        def do_GET(self) -> None:
            if not self._is_ours():
                return
            if progress.link:
                self.send_response(303)
                self.send_header("Location", progress.link)
                self.end_headers()
                return
            content = progress.html().encode()
            self.send_response(200)
            for name, value in (
                ("Content-Type", "text/html; charset=utf-8"),
                ("Content-Length", str(len(content))),
                ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"),
                ("Cache-Control", "no-store"),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            if self._is_ours():
                progress.again.set()
                self.send_response(303)
                self.send_header("Location", self.path)
                self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def app_folder() -> Path:
    """Return where the environment lives: HOMEROOM_APP, else this system's place for what a program keeps."""
    if named := os.environ.get("HOMEROOM_APP"):
        return Path(named)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "Homeroom" / "app"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "homeroom" / "app"


def unpack(pyz: Path, app: Path) -> str:
    """Put what the file holds into the folder, and return the wheel's name."""
    app.mkdir(parents=True, exist_ok=True, mode=0o700)
    with zipfile.ZipFile(pyz) as file:
        names = [n for n in file.namelist() if n.startswith("app/") and not n.endswith("/")]
        for name in names:
            place, content = app / name.removeprefix("app/"), file.read(name)
            if not place.is_file() or place.read_bytes() != content:
                place.parent.mkdir(parents=True, exist_ok=True)
                part = place.with_name(f"{place.name}.part")
                part.write_bytes(content)
                part.replace(place)
    wheel = next(n for n in names if n.endswith(".whl")).removeprefix("app/")
    for old in app.glob("*.whl"):
        if old.name != wheel:
            old.unlink()
    return wheel


def set_up(app: Path, wheel: str, torch: str, progress: Progress) -> bool:
    """Run the set-up, telling the page each line; say whether it is done."""
    command = [sys.executable, str(app / "dev" / "setup.py"), "--wheel", wheel, "--torch", torch]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    complaints: list[str] = []
    assert child.stdout
    assert child.stderr
    reader = threading.Thread(target=lambda: complaints.extend(child.stderr or ()))
    reader.start()
    try:
        for line in child.stdout:
            print(line, end="", flush=True)
            progress.take(line)
    finally:
        if child.poll() is None:
            child.terminate()
        child.wait()
        reader.join()
    text = "".join(complaints).replace("make setup TORCH=", "homeroom.pyz --torch ").strip()
    progress.failed = "" if child.returncode == 0 else text or f"It ended with code {child.returncode}."
    return child.returncode == 0


def open_page(app: Path, folder: Path, port: int, progress: Progress) -> int:
    """Start the server, hand its link to the page of progress, and wait for its end."""
    folder.mkdir(parents=True, exist_ok=True)
    python = app / ".venv" / "bin" / "python"
    for wanted in (port, 0):  # any free one, if another program has the usual one
        command = [str(python), "-m", "homeroom.cli.main", "web", str(folder), "--port", str(wanted)]
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert server.stderr
        said = ""
        try:
            for line in server.stderr:
                said += line
                print(line, end="", file=sys.stderr, flush=True)
                if found := re.search(r"https?://\S+/enter/\S+", line):
                    progress.link = found[0]
        finally:
            if server.poll() is None:
                server.terminate()
            server.wait()
        if progress.link or "the port is taken" not in said:
            break
    progress.failed = "" if progress.link else said
    return server.returncode


def main() -> int:
    """Do it all, and return the exit code."""
    parser = argparse.ArgumentParser(prog="homeroom.pyz", description="Teach a small model what you know, on a page.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path.home() / "Homeroom", help="of the courses")
    parser.add_argument("--port", type=int, default=8600)
    parser.add_argument("--torch", default="auto", help="auto (fits this machine), none, or anything that pip takes")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    asked = parser.parse_args()
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        print(f"homeroom.pyz: this is Python {sys.version.split()[0]}; 3.11, 3.12 or 3.13 is needed", file=sys.stderr)
        return 4
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(6))
    progress, app = Progress(), app_folder()
    server = serve(progress)
    address = f"http://127.0.0.1:{server.server_address[1]}/{progress.token}"
    print(f"Open this page if it does not open by itself:\n\n  {address}\n\nCtrl-C stops Homeroom.", flush=True)
    if not asked.no_browser:
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    try:
        wheel = unpack(Path(sys.argv[0]).resolve(), app)
        while not set_up(app, wheel, asked.torch, progress):
            print(f"{progress.failed}\n\nTry again on the page, or stop with Ctrl-C.", file=sys.stderr, flush=True)
            while not progress.again.wait(0.5):
                continue
            progress.again.clear()
            progress.failed = ""
        return open_page(app, asked.folder, asked.port, progress)
    except KeyboardInterrupt:
        return 130
    finally:
        with contextlib.suppress(KeyboardInterrupt):
            time.sleep(0.1)
            server.shutdown()


if __name__ == "__main__":
    sys.exit(main())
