"""What a GGUF file's header says about memory, and headers that lie."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from homeroom.core.errors import ContentError, MachineError
from homeroom.models import memory
from homeroom.models.memory import check_memory, kv_bytes_per_token, needed_gib, read_numbers

U32, TEXT, LIST = 4, 8, 9


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def number(name: str, value: int) -> bytes:
    return text(name) + struct.pack("<II", U32, value)


def header(*keys: bytes) -> bytes:
    return struct.pack("<4sIQQ", b"GGUF", 3, 0, len(keys)) + b"".join(keys)


TEACHER = (
    text("general.name") + struct.pack("<I", TEXT) + text("Qwen"),
    number("qwen2.block_count", 28),
    number("qwen2.embedding_length", 1536),
    number("qwen2.attention.head_count", 12),
    number("qwen2.attention.head_count_kv", 2),
    text("tokenizer.ggml.tokens") + struct.pack("<IIQ", LIST, TEXT, 10**12),  # never read that far
)


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    path = tmp_path / "teacher.gguf"
    path.write_bytes(header(*TEACHER))
    return path


def test_keys_and_values_are_counted_from_the_header(teacher: Path):
    assert kv_bytes_per_token(teacher) == 28 * 2 * (128 + 128) * 2


def test_where_heads_differ_by_layer_the_most_counts(tmp_path: Path):
    heads = text("x.attention.head_count_kv") + struct.pack("<IIQ", LIST, U32, 3) + struct.pack("<III", 1, 8, 2)
    path = tmp_path / "a.gguf"
    path.write_bytes(header(heads))
    assert read_numbers(path) == {"x.attention.head_count_kv": 8}


def test_more_slots_need_more_memory(teacher: Path):
    one = needed_gib(teacher, slots=1, context_tokens=2048, cache_mib=0)
    four = needed_gib(teacher, slots=4, context_tokens=2048, cache_mib=0)
    assert four - one == pytest.approx(3 * 2048 * 28672 / 2**30)


def test_too_little_memory_is_said_with_both_figures(teacher: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "memory", lambda: (2.0, 0.3))
    with pytest.raises(MachineError, match=r"needs about 0\.4 GiB of memory, 0\.3 GiB are available"):
        check_memory(teacher, slots=1, context_tokens=512, cache_mib=0)
    monkeypatch.setattr(memory, "memory", lambda: (2.0, 1.5))
    check_memory(teacher, slots=1, context_tokens=512, cache_mib=0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a model at all, but long enough",
        struct.pack("<4sIQQ", b"GGUF", 3, 0, 2**60),
        header(struct.pack("<Q", 2**62) + b"name"),
        header(text("a") + struct.pack("<I", 99)),
        header(text("a") + struct.pack("<IIQ", LIST, U32, 2**60)),
        header(number("a.block_count", 1))[:-2],
    ],
)
def test_a_header_that_makes_no_sense_is_refused(tmp_path: Path, data: bytes):
    path = tmp_path / "a.gguf"
    path.write_bytes(data)
    with pytest.raises(ContentError, match="not a GGUF model file"):
        read_numbers(path)


def test_lists_within_lists_do_not_exhaust_the_stack(tmp_path: Path):
    nested = b"".join(struct.pack("<IQ", LIST, 1) for _ in range(100_000))
    path = tmp_path / "a.gguf"
    path.write_bytes(header(text("a") + struct.pack("<I", LIST) + nested))
    with pytest.raises(ContentError):
        read_numbers(path)
