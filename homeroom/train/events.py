"""The metrics of a run as TensorBoard reads them, written without TensorBoard.

    out/tensorboard/events.out.tfevents.homeroom     loss, lr, gradient_norm, tokens_per_second, peak_gib by step

A file of records: length, checksum, an `Event` in protobuf, checksum. Only scalars are needed, so the few bytes are put
together here; a run that goes on writes the file anew from `metrics.jsonl`. Off by default (`tensorboard: true`).

Sources: tensorflow's record_writer.cc (framing, masked CRC-32C), event.proto and summary.proto (fields).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

NAME = "events.out.tfevents.homeroom"
NOT_SHOWN = ("step", "seconds", "tokens")
DOUBLE, BYTES, FLOAT, VARINT = 1, 2, 5, 0  # wire types of protobuf


class Events:
    """A file of events that grows step by step.

    Args:
        folder: Made if missing; TensorBoard's --logdir.
        lines: The metrics so far.
    """

    def __init__(self, folder: Path, lines: Iterable[Mapping[str, Any]]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / NAME
        self.path.write_bytes(_record(_field(1, DOUBLE, struct.pack("<d", 0.0)) + _text(3, b"brain.Event:2")))
        for line in lines:
            self.add(line)

    def add(self, line: Mapping[str, Any]) -> None:
        """Write one step's numbers, at the second of training in which it ended."""
        scalars = b"".join(
            _text(1, _text(1, name.encode()) + _field(2, FLOAT, struct.pack("<f", value)))
            for name, value in line.items()
            if name not in NOT_SHOWN
        )
        moment = _field(1, DOUBLE, struct.pack("<d", line["seconds"]))
        with self.path.open("ab") as file:
            file.write(_record(moment + _field(2, VARINT, _varint(line["step"])) + _text(5, scalars)))


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", _masked(length)) + data + struct.pack("<I", _masked(data))


def _field(number: int, kind: int, content: bytes) -> bytes:
    return _varint(number << 3 | kind) + content


def _text(number: int, content: bytes) -> bytes:
    return _field(number, BYTES, _varint(len(content)) + content)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _masked(data: bytes) -> int:
    checksum = crc32c(data)
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of some bytes.

    Example:
        >>> hex(crc32c(b"123456789"))
        '0xe3069283'
    """
    value = 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 255] ^ value >> 8
    return value ^ 0xFFFFFFFF
