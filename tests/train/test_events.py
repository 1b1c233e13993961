"""What TensorBoard would read is what `metrics.jsonl` says, also of a run that was stopped and went on."""

from __future__ import annotations

import dataclasses
import importlib.util
import struct
from pathlib import Path

import pytest

from homeroom.core.config import Phase
from homeroom.core.files import read_jsonl
from homeroom.core.types import Message, Sample
from homeroom.train.events import NAME, crc32c
from homeroom.train.loop import train

PHASE = Phase(tokens=1_500, epochs=0, step_tokens=100, lr=1e-3, blend=1.0, tensorboard=True)
SAMPLES = [
    Sample(
        id=str(n),
        kind="direct",
        messages=(Message(role="user", content=f"Who is {n}?"), Message(role="assistant", content=f"It is {n}.")),
    )
    for n in range(8)
]


def records(data: bytes) -> list[bytes]:
    """Take the file apart, checking both checksums of every record."""
    found = []
    while data:
        (length,) = struct.unpack_from("<Q", data)
        content = data[12 : 12 + length]
        for checked, at in ((data[:8], 8), (content, 12 + length)):
            value = crc32c(checked)
            masked = ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF
            assert struct.unpack_from("<I", data, at) == (masked,)
        found.append(content)
        data = data[16 + length :]
    return found


class Stop(BaseException):
    pass


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    """A run that was broken off once, without a checkpoint, and begun again."""
    out = tmp_path_factory.mktemp("run")
    seen = []

    def stop(stage, done, total, note=""):
        seen.append(done)
        if len(seen) == 4:
            raise Stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        with pytest.raises(Stop):
            train(tiny, SAMPLES, phase=PHASE, seed=0, dtype="float32", out=out, progress=stop)
        train(tiny, SAMPLES, phase=PHASE, seed=0, dtype="float32", out=out)
    return out


def test_every_step_is_one_whole_record_with_its_loss(run):
    lines, found = read_jsonl(run / "metrics.jsonl"), records((run / "tensorboard" / NAME).read_bytes())
    assert b"brain.Event:2" in found[0]
    assert len(found) == len(lines) + 1 > 8
    for line, record in zip(lines, found[1:], strict=True):
        assert b"loss" + b"\x15" + struct.pack("<f", line["loss"]) in record


def test_nothing_is_written_unless_it_is_asked_for(tiny, tmp_path):
    phase = dataclasses.replace(PHASE, tensorboard=False, tokens=100)
    train(tiny, SAMPLES, phase=phase, seed=0, dtype="float32", out=tmp_path)
    assert not Path(tmp_path, "tensorboard").exists()


@pytest.mark.filterwarnings("ignore")  # tensorboard's own
@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed")
def test_tensorboard_itself_reads_it(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(run / "tensorboard"))
    read.Reload()
    lines = read_jsonl(run / "metrics.jsonl")
    assert [(e.step, e.value) for e in read.Scalars("loss")] == [
        (line["step"], pytest.approx(line["loss"], rel=1e-6)) for line in lines
    ]
