"""A tiny OpenAI-compatible server whose answers a test writes: the teacher of the tests.

    with scripted_server(lambda messages: messages[-1]["content"].upper()) as url:
        ...  # url is "http://127.0.0.1:<port>/v1"

A word counts as a token. What the script returns may be a text, or a `Raw` to send a status, headers and body as they
are; a script with two parameters gets the whole request as well. `server.asked` holds every request.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Raw:
    """An answer that is sent as it is."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class ScriptedUrl(str):
    """The address of a scripted server, with what it was asked."""

    asked: list[dict[str, Any]]
    headers: list[dict[str, str]]
    server: Server

    def settle(self) -> None:
        """Wait until everything that clients, which have ended since, sent is in `asked`."""
        urllib.request.urlopen(f"{self.removesuffix('/v1')}/health", timeout=120).read()  # theirs were taken before it
        end = time.monotonic() + 120
        while self.server.num_open:
            assert time.monotonic() < end, "a client is still there"
            time.sleep(0.005)


class Server(ThreadingHTTPServer):
    """Says nothing of clients that gave up, or were killed."""

    request_queue_size = 64
    num_open = 0  # connections

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._counting = threading.Lock()

    def process_request(self, *connection: Any) -> None:
        with self._counting:
            self.num_open += 1
        super().process_request(*connection)

    def process_request_thread(self, *connection: Any) -> None:
        try:
            super().process_request_thread(*connection)
        finally:
            with self._counting:
                self.num_open -= 1

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def scripted_server(answer: Callable[..., str | Raw], *, model: str = "scripted") -> Iterator[ScriptedUrl]:
    """Serve `answer` on a free port of 127.0.0.1 and yield the address."""
    takes_request = "request" in inspect.signature(answer).parameters
    asked: list[dict[str, Any]] = []
    headers: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def send(self, raw: Raw) -> None:
            self.send_response(raw.status)
            for name, value in {"Content-Type": "application/json", **raw.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw.body)))
            self.end_headers()
            self.wfile.write(raw.body)

        def do_GET(self) -> None:
            models = {"object": "list", "data": [{"id": model, "object": "model"}]}
            known = {"/v1/models": models, "/health": {"status": "ok"}}
            found = known.get(self.path)
            self.send(Raw(body=json.dumps(found).encode()) if found else Raw(status=404, body=b"{}"))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if len(body) < int(self.headers["Content-Length"]):
                return  # the client was killed in the middle of a word
            request = json.loads(body)
            asked.append(request)
            headers.append(dict(self.headers))
            if self.path != "/v1/chat/completions":
                self.send(Raw(status=404, body=b'{"error": {"message": "no such path"}}'))
                return
            said = answer(request["messages"], request) if takes_request else answer(request["messages"])
            if isinstance(said, Raw):
                self.send(said)
            elif request.get("stream"):
                self.send(Raw(body=stream_of(said, model), headers={"Content-Type": "text/event-stream"}))
            else:
                self.send(Raw(body=json.dumps(completion(said, request, model)).encode()))

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    url = ScriptedUrl(f"http://127.0.0.1:{server.server_port}/v1")
    url.asked, url.headers, url.server = asked, headers, server
    try:
        yield url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def completion(text: str, request: dict[str, Any], model: str) -> dict[str, Any]:
    """Return a chat completion; a text of more words than `max_tokens` is cut there."""
    words, most = text.split(), request.get("max_tokens") or 10**9
    is_cut = len(words) > most
    prompt = sum(len(message["content"].split()) for message in request["messages"])
    content = " ".join(words[:most]) if is_cut else text
    choice = {"index": 0, "message": {"role": "assistant", "content": content}}
    choice["finish_reason"] = "length" if is_cut else "stop"
    usage = {"prompt_tokens": prompt, "completion_tokens": min(len(words), most)}
    return {"id": "chatcmpl-1", "object": "chat.completion", "model": model, "choices": [choice], "usage": usage}


def stream_of(text: str, model: str) -> bytes:
    """Return a chat completion as server-sent events, a word each."""
    words = [word if index == 0 else f" {word}" for index, word in enumerate(text.split(" "))]
    chunks = [{"delta": {"role": "assistant", "content": ""}, "finish_reason": None}]
    chunks += [{"delta": {"content": word}, "finish_reason": None} for word in words]
    chunks += [{"delta": {}, "finish_reason": "stop"}]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": model}
    lines = [json.dumps(head | {"choices": [{"index": 0, **chunk}]}) for chunk in chunks]
    return "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()
