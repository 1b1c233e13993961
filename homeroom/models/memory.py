"""How much memory a GGUF file needs when it runs, said before it starts.

The weights (mapped, and partly copied into the order that the CPU likes), the keys and values of every slot, the cache
of prompts, and room to compute. Measured with the embedded teacher, 1 slot: 1.8 GiB in use, 1.9 GiB estimated.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from homeroom.core.errors import ContentError, MachineError
from homeroom.models.machine import GIB, memory

COMPUTE_GIB = 0.35  # activations, and scores over a vocabulary of 150,000
MAX_KEYS = 10_000
MAX_TEXT_BYTES = 2**20

_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # by GGUF's number of the type
_FORMATS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 10: "<Q", 11: "<q"}
_TEXT, _LIST = 8, 9


def check_memory(gguf: Path, *, slots: int, context_tokens: int, cache_mib: int) -> None:
    """Do nothing where the model fits into what is available now.

    Raises:
        MachineError: it does not fit; says how much is needed and how much there is.
        ContentError: the file is not GGUF.
    """
    needed = needed_gib(gguf, slots=slots, context_tokens=context_tokens, cache_mib=cache_mib)
    _, available = memory()
    if 0 < available < needed:
        raise MachineError(
            f"needs about {needed:.1f} GiB of memory, {available:.1f} GiB are available",
            where=str(gguf),
            hint="Close other programs, take a smaller model, or a server elsewhere: --teacher http://host:port/v1",
        )


def needed_gib(gguf: Path, *, slots: int, context_tokens: int, cache_mib: int) -> float:
    """Estimate the memory, in GiB, that an engine with this file takes."""
    weights = gguf.stat().st_size
    keys_and_values = kv_bytes_per_token(gguf) * slots * context_tokens
    return (weights + keys_and_values + cache_mib * 2**20) / GIB + COMPUTE_GIB


def kv_bytes_per_token(gguf: Path) -> int:
    """Return the bytes that the keys and values of one token take in 16 bits; an upper bound where heads differ."""
    numbers = read_numbers(gguf)
    by_name = {name.partition(".")[2]: value for name, value in numbers.items()}
    layers, heads = by_name.get("block_count", 0), by_name.get("attention.head_count", 1) or 1
    width = by_name.get("embedding_length", 0) // heads
    per_head = by_name.get("attention.key_length", width) + by_name.get("attention.value_length", width)
    return layers * by_name.get("attention.head_count_kv", heads) * per_head * 2


def read_numbers(gguf: Path) -> dict[str, int]:
    """Return the whole numbers in a GGUF file's header, up to where the tokenizer begins.

    Raises:
        ContentError: the file is not GGUF, or its header makes no sense.
    """
    found: dict[str, int] = {}
    try:
        with gguf.open("rb") as file:
            magic, _, _, num_keys = struct.unpack("<4sIQQ", file.read(24))
            if magic != b"GGUF" or num_keys > MAX_KEYS:
                raise ValueError("no GGUF header")
            for _ in range(num_keys):
                name = _read_text(file)
                (kind,) = struct.unpack("<I", file.read(4))
                if name.startswith("tokenizer."):
                    break
                value = _read_value(file, kind)
                if value is not None:
                    found[name] = value
    except (struct.error, ValueError, KeyError, OverflowError) as error:
        raise ContentError(f"not a GGUF model file ({error})", where=str(gguf)) from None
    return found


def _read_value(file: BinaryIO, kind: int) -> int | None:
    if kind == _TEXT:
        _read_text(file)
        return None
    if kind == _LIST:
        item, length = struct.unpack("<IQ", file.read(12))
        if length > MAX_KEYS or item == _LIST:
            raise ValueError("a list before the tokenizer is too long or too deep")
        values = [_read_value(file, item) for _ in range(length)]
        return max((v for v in values if v is not None), default=None)  # heads per layer: the most
    data = file.read(_SIZES[kind])
    return int(struct.unpack(_FORMATS[kind], data)[0]) if kind in _FORMATS else None


def _read_text(file: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > MAX_TEXT_BYTES:
        raise ValueError("a name is too long")
    return file.read(length).decode("utf-8", "replace")
