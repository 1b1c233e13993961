"""Does a GGUF file say what the student in torch says? Top-1 agreement over 5,000 tokens, and the final exam twice.

    python benchmarks/gguf_parity.py COURSE [--model FOLDER] [--kinds f16,q8_0] [--tokens 5000] [--exam]

COURSE has its training data and its exam in `out/`, and a tuned student, unless `--model` names another one.
Teacher-forced: both read the same conversations, and at every token we ask both for the likeliest next one. With
`--exam` both answer the final exam, the file through the local engine's own chat endpoint, which writes the prompt from
the template inside the file; three minutes for 96 questions. One JSON a kind in `results/gguf-parity-KIND.json`; a cell
that is there is skipped.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import httpx
import torch

from homeroom.core.files import read_jsonl, write_json
from homeroom.core.types import Message, Request, Sample
from homeroom.evaluate.exam import examine, read_exam
from homeroom.evaluate.statistics import difference
from homeroom.models.endpoint import ask_all
from homeroom.models.engine import local_engine
from homeroom.models.student import load_student, use_cores
from homeroom.models.torch_engine import TorchEngine
from homeroom.train.gguf_export import export_gguf
from homeroom.train.template import encode_all

RESULTS = Path(__file__).resolve().parent / "results"
CONTEXT = 1024


def rows_of(student: Any, samples: list[Sample], tokens: int) -> list[list[int]]:
    """Return conversations and texts as token ids, the longest first, until there are that many places to compare."""
    encoded = encode_all(samples, student.tokenizer, eos_id=student.eos_ids[0], max_tokens=CONTEXT // 2)
    rows, places = [], 0
    for one in sorted(encoded, key=lambda e: -len(e.ids)):
        if places >= tokens:
            break
        rows.append(list(one.prefix + one.ids))
        places += len(rows[-1])
    return rows


@torch.inference_mode()
def compare(student: Any, gguf: Path, rows: list[list[int]], tokens: int) -> dict[str, Any]:
    """Return how often both find the same token likeliest, and how close the two likeliest were where they do not."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(gguf)
    params.n_ctx, params.n_parallel, params.hostnames, params.port = CONTEXT, 1, ["127.0.0.1"], 0
    params.verbosity = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = torch.get_num_threads()
    server, http = xllamacpp.Server(params), httpx.Client(trust_env=False, timeout=60)
    same = asked = 0
    gaps = []
    for row in rows:
        logits_TV = student.model(input_ids=torch.tensor([row])).logits[0].float()
        for place in range(1, len(row) + 1):
            if asked == tokens:
                break
            ask = {"prompt": row[:place], "n_predict": 1, "temperature": 0, "cache_prompt": True, "return_tokens": True}
            theirs = http.post(f"{server.listening_address}/completion", json=ask).json()["tokens"][0]
            ours = int(logits_TV[place - 1].argmax())
            asked, same = asked + 1, same + (ours == theirs)
            if ours != theirs:
                gaps.append(float(logits_TV[place - 1][ours] - logits_TV[place - 1][theirs]))
    return {
        "tokens": asked,
        "same": same,
        "agreement": round(same / asked, 5),
        "logit_gaps": [round(g, 4) for g in gaps],
    }


def exam(course: Path, model: Path, gguf: Path) -> dict[str, Any]:
    """Return how both answer the final exam, paired."""
    questions = [q for q in read_exam(course / "out" / "exam" / "final.jsonl") if q.split == "final"]

    def through_engine(conversations: list[tuple[Message, ...]], *, max_tokens: int) -> list[str]:
        requests = [Request(messages=tuple(c), max_tokens=max_tokens) for c in conversations]
        return [reply.text for reply in ask_all(endpoint, requests, keep=None)]

    with (
        tempfile.TemporaryDirectory() as logs,
        local_engine(gguf, context_tokens=CONTEXT, log=Path(logs) / "log") as endpoint,
    ):
        theirs = examine(questions, through_engine, max_tokens=64)
    ours = examine(questions, TorchEngine(model).answer, max_tokens=64)
    return {
        "questions": len(questions),
        "torch": sum(s.correct for s in ours),
        "gguf": sum(s.correct for s in theirs),
        "same_answers": sum(a.answer == b.answer for a, b in zip(ours, theirs, strict=True)),
        "difference": dataclasses.asdict(difference([s.correct for s in ours], [s.correct for s in theirs])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("course", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--kinds", default="f16,q8_0")
    parser.add_argument("--tokens", type=int, default=5000)
    parser.add_argument("--exam", action="store_true")
    args = parser.parse_args()
    use_cores()
    model = args.model or args.course / "out" / "model"
    student = None if args.exam else load_student(model)
    samples = read_jsonl(args.course / "out" / "dataset" / "train.jsonl", Sample)
    rows = rows_of(student, samples, args.tokens) if student else []
    for kind in args.kinds.split(","):
        place = RESULTS / f"gguf-parity-{kind}{'-exam' * args.exam}.json"
        if place.is_file():
            print(f"{place.name}: there")
            continue
        with tempfile.TemporaryDirectory() as folder:
            gguf = export_gguf(model, Path(folder) / f"{kind}.gguf", kind=kind)
            size = gguf.stat().st_size
            found = exam(args.course, model, gguf) if args.exam else compare(student, gguf, rows, args.tokens)
        write_json(place, {"version": 1, "kind": kind, "bytes": size, **found})
        print(f"{place.name}: {found}")


if __name__ == "__main__":
    main()
