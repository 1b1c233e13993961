"""An engine that says its script, and the real server in a thread with such engines behind it."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from homeroom.core.types import Message
from homeroom.serve import server


class Script:
    """An engine that says its script, a word a token, and notes what it was asked."""

    def __init__(self, text: str = "the gate opens at nine", *, context_tokens: int = 50, delay_s: float = 0.0) -> None:
        self.text, self.context_tokens, self.delay_s = text, context_tokens, delay_s
        self.asked: list[tuple[tuple[Message, ...], dict]] = []
        self.num_tokens, self.at_once, self.most_at_once = 0, 0, 0

    def answer(self, conversations: list[tuple[Message, ...]], *, max_tokens: int) -> list[str]:
        return [self.text for _ in conversations]

    def stream(self, messages: tuple[Message, ...], *, max_tokens: int, **options: object) -> Iterator[str]:
        self.asked.append((messages, options))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            words = [word for word in self.text.split(" ") if word]
            for index, word in enumerate(words[:max_tokens]):
                time.sleep(self.delay_s)
                self.num_tokens += 1
                yield word if index == 0 else f" {word}"
        finally:
            self.at_once -= 1

    def count_tokens(self, messages: tuple[Message, ...]) -> int:
        return sum(len(message.content.split()) for message in messages)


def until(what: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait for what must come true, however busy the machine is."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


@contextlib.contextmanager
def serving(models: dict, *, made: dict | None = None, **options: object) -> Iterator[str]:
    """Run the real server in a thread on a free port; yields "http://127.0.0.1:<port>/v1"; the app is put in `made`."""
    import uvicorn

    listener = server.listen("127.0.0.1", 0)
    app = server.make_app(models, hosts=server.LOOPBACK, **options)
    (made if made is not None else {})["app"] = app
    running = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    until(lambda: running.started)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    running.should_exit = True
    thread.join(120)
    listener.close()


def body(text: str = "When does it open?", **fields: object) -> dict:
    return {"model": "tuned", "messages": [{"role": "user", "content": text}], **fields}
