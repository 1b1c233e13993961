"""A server in this process, with a course, a maintainer (Ann) and a contributor (Ben)."""

import shutil
from pathlib import Path

import pytest

pytest.importorskip("starlette")
pytest.importorskip("argon2")

from web_client import Browser

from homeroom.web.app import COOKIE, make_app
from homeroom.web.desk import Desk

EXAMPLES = Path(__file__).resolve().parents[2] / "homeroom" / "data" / "examples"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMEROOM_HOME", str(tmp_path / "store"))
    folder = tmp_path / "courses"
    shutil.copytree(EXAMPLES / "insurance", folder / "insurance")
    return folder


@pytest.fixture
def desk(home):
    found = Desk(home)
    found.store.add_person("Ann", role="maintainer", email="ann@example.org")
    found.store.add_person("Ben", role="contributor")
    yield found
    found.answers.stop()


@pytest.fixture
def browser(desk):
    """Return a function that opens a browser, for somebody by name, or for nobody."""
    opened = []

    def of(name="", **options):
        app = make_app(desk, hosts=("testserver",))
        client = Browser(app, base_url="http://testserver", raise_server_exceptions=True, **options)
        person = next((p for p in desk.store.people() if p.name == name), None)
        if person is not None:
            client.cookies.set(COOKIE, desk.store.begin_session(person))
        opened.append(client)
        return client

    yield of
    for client in opened:
        client.close()
