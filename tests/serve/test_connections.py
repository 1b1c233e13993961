"""Connections that send no request make room; those that are being answered, or rest in between, are left alone."""

import asyncio
import contextlib
import socket
import threading
import time

import pytest
import uvicorn

from homeroom.serve import connections
from homeroom.serve.server import listen

WHOLE = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def app(scope, receive, send):
    await asyncio.sleep(1.5)  # longer than a head may take here
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def connect(monkeypatch):
    monkeypatch.setattr(connections, "HEAD_S", 1.0)
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(app, http=connections.PatientProtocol, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    with contextlib.ExitStack() as opened:
        yield lambda: opened.enter_context(socket.create_connection(listener.getsockname(), timeout=120))
        server.should_exit = True
        thread.join(120)
    listener.close()


def test_a_connection_that_asks_nothing_is_closed(connect):
    assert connect().recv(10) == b""


def test_a_head_that_comes_byte_by_byte_is_given_up(connect):
    slow, end = connect(), time.monotonic() + 120
    with contextlib.suppress(ConnectionError):
        while time.monotonic() < end:
            slow.sendall(b"G")
            time.sleep(0.02)
    assert time.monotonic() < end


def test_an_answer_may_take_its_time_and_a_second_request_comes_on_the_same_connection(connect):
    patient = connect()
    for _ in range(2):
        patient.sendall(WHOLE)
        said = b""
        while not said.endswith(b"ok"):
            said += patient.recv(1000)
        assert said.startswith(b"HTTP/1.1 200")


def test_the_second_head_may_not_take_longer_than_the_first(connect):
    slow = connect()
    slow.sendall(WHOLE)
    said = b""
    while not said.endswith(b"ok"):
        said += slow.recv(1000)
    slow.sendall(WHOLE[:9])
    assert slow.recv(10) == b""
