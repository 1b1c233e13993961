"""Debian's chromium by its own protocol (CDP), by the standard library: enough to type and to see what it loads."""

import base64
import contextlib
import json
import secrets
import shutil
import socket
import struct
import subprocess
import time
import urllib.request
from urllib.parse import urlsplit

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"
OPTIONS = [*QUIET.split(), "--disable-component-update", "--disable-quic", "--remote-debugging-port=0"]


class Page:
    """One page; `events` holds everything that the browser told."""

    def __init__(self, url):
        place = urlsplit(url)
        self.socket = socket.create_connection((place.hostname, place.port), timeout=120)
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        head = f"GET {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self.socket.sendall(f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.socket.recv(1)
        self.number, self.events = 0, []
        for part in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{part}.enable")

    def call(self, method, **params):
        self.number += 1
        self._send(json.dumps({"id": self.number, "method": method, "params": params}).encode())
        while (told := self._receive()).get("id") != self.number:
            self.events.append(told)
        assert "error" not in told, told
        return told["result"]

    def js(self, expression):
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return found["result"].get("value")

    def until(self, expression, seconds=60):
        end = time.monotonic() + seconds
        while not (found := self.js(f"!!({expression})")):  # a node has no value of its own
            assert time.monotonic() < end, f"never true: {expression}"
            time.sleep(0.1)
        return found

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.until(f"location.href.startsWith({json.dumps(url)}) && document.readyState == 'complete'")

    def type(self, id, text):
        self.js(f"document.getElementById({json.dumps(id)}).focus()")
        self.call("Input.insertText", text=text)

    def told(self, method):
        return [event["params"] for event in self.events if event["method"] == method]

    def _send(self, data):
        length = len(data)
        size = bytes([0x80 | length]) if length < 126 else bytes([0x80 | 127]) + struct.pack(">Q", length)
        mask = secrets.token_bytes(4)
        self.socket.sendall(b"\x81" + size + mask + bytes(c ^ mask[i % 4] for i, c in enumerate(data)))

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            data += self.socket.recv(count - len(data))
        return data

    def _receive(self):
        whole = b""
        while True:
            first, second = self._exactly(2)
            length = second & 127
            if length == 126:
                length = struct.unpack(">H", self._exactly(2))[0]
            elif length == 127:
                length = struct.unpack(">Q", self._exactly(8))[0]
            whole += self._exactly(length)
            if first & 0x80:
                return json.loads(whole)


@contextlib.contextmanager
def chromium(folder):
    """Yield a page of a browser that nobody has used."""
    command = [PROGRAM, *OPTIONS, f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        address = next(line.split("ws://")[1].split("/")[0] for line in process.stderr if "DevTools listening" in line)
        with urllib.request.urlopen(f"http://{address}/json", timeout=120) as listed:
            target = next(t for t in json.load(listed) if t["type"] == "page")
        page = Page(target["webSocketDebuggerUrl"])
        with contextlib.closing(page.socket):
            yield page
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
