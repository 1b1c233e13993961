from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """A million parameters gain nothing from more, and lose much where other work shares the cores."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The folder of a tiny student; read only."""
    from tiny_student import make_tiny_student

    return make_tiny_student(tmp_path_factory.mktemp("tiny"))
