"""What every test gets: no network, no hub, a clean skip where torch is not installed, and golden files.

Helpers that tests import by name lie beside this file (`tiny_student.py`): `tests/` is on the path.
"""

from __future__ import annotations

import ast
import importlib.util
import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from homeroom.core import network

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports huggingface_hub, which reads it once
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

HAS_TORCH = importlib.util.find_spec("torch") is not None
TORCH_MODULES = (
    "torch",
    "transformers",
    "tiny_student",
    "trl_reference",
    "homeroom.train",
    "homeroom.models.torch_engine",
)
GOLDEN = Path(__file__).parent.parent / "golden"


# -- without torch -------------------------------------------------------------------------------------------------


class WithoutTorch(pytest.Module):
    """A test file that cannot be imported here; it counts as one skipped test."""

    def collect(self) -> list[pytest.Item]:
        pytest.skip("needs torch: make setup", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Skip files that import torch, at their top or through us, where it is not installed (`make test TORCH=none`)."""
    if HAS_TORCH or not imports_torch(module_path.read_text(encoding="utf-8")):
        return None
    return WithoutTorch.from_parent(parent, path=module_path)


def imports_torch(source: str) -> bool:
    """Return whether importing a file with this source needs torch: what functions import does not count."""
    names: list[str] = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return any(name == torch or name.startswith(f"{torch}.") for name in names for torch in TORCH_MODULES)


# -- no network ----------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def public_again() -> Iterator[None]:
    """End a private mode that a test's recipe asked for: it holds for the whole process."""
    yield
    network.go_public()


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a test reach this machine's loopback and nothing else; `real_student` may fetch the student once."""
    if request.node.get_closest_marker("real_student"):
        yield
        return
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not is_loopback(address[0]):  # type: ignore[index]
            raise AssertionError(f"a test tried to reach {address}")
        return connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)
    yield


def is_loopback(host: str) -> bool:
    """Return whether an address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# -- golden files --------------------------------------------------------------------------------------------------


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare a text with `golden/<name>`; `make golden` writes it instead, and the diff is reviewed like code."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("HOMEROOM_GOLDEN") == "write":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"golden/{name} does not exist: make golden"
        assert text == path.read_text(encoding="utf-8"), f"golden/{name} differs: make golden, and look at the diff"

    return compare
