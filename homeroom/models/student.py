"""The student on disk and in memory: a Hugging Face folder (or a GGUF file) <-> model and tokenizer in torch.

Nothing here touches the network, runs code that came with a model, or reads a pickle: safetensors and GGUF only.
torch is imported by the functions, so that the rest of `models/` stays light; training and `torch_engine` share it.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeroom.core.errors import ContentError, MachineError
from homeroom.core.files import read_json
from homeroom.models.machine import usable_cpus

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """A loaded model and all that is needed to talk with it."""

    model: Any  # transformers' causal language model, in eval mode
    tokenizer: Any
    eos_ids: tuple[int, ...]  # tokens that end an answer; the first is the one to teach
    context_tokens: int
    path: Path


def load_student(path: Path, *, dtype: torch.dtype | None = None, device: str = "cpu") -> Student:
    """Load a model from a Hugging Face folder or a `.gguf` file.

    Args:
        path: The folder, or the file.
        dtype: Of the weights; None is float32.
        device: Where the weights go, as torch names it.

    Raises:
        ContentError: it is neither, or is damaged, or has no chat template, or would need code or pickles to load.
    """
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    dtype = dtype or torch.float32
    model, tokenizer = (_from_gguf if path.suffix == ".gguf" else _from_folder)(path, dtype)
    if not tokenizer.chat_template:
        raise ContentError("the model has no chat template", where=str(path), hint="Use an instruct model.")
    context = int(getattr(model.config, "max_position_embeddings", 2048))
    eos_ids = end_tokens(tokenizer, getattr(model.generation_config, "eos_token_id", None))
    if not eos_ids:
        raise ContentError("the model has no token that ends an answer", where=str(path))
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token_id = eos_ids[0]
    return Student(
        model=model.to(device).eval(), tokenizer=tokenizer, eos_ids=eos_ids, context_tokens=context, path=path
    )


def _from_folder(path: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if not (path / "config.json").is_file():
        raise ContentError(
            "not a model: there is no config.json", where=str(path), hint="Give a Hugging Face folder or a .gguf file."
        )
    if not any(path.glob("*.safetensors")):
        raise ContentError(
            "no weights in safetensors; pickled weights (.bin, .pt) can run code and are not read",
            where=str(path),
            hint="Convert it with the model's own tools: model.save_pretrained(folder).",
        )
    if "auto_map" in read_json(path / "config.json"):
        raise ContentError("the model brings its own code, which is not run", where=str(path))
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        model = AutoModelForCausalLM.from_pretrained(
            path, use_safetensors=True, dtype=dtype, attn_implementation="sdpa", **safe
        )
        return model, AutoTokenizer.from_pretrained(path, **safe)
    except MemoryError:
        raise MachineError("not enough memory for the model", where=str(path)) from None
    except Exception as error:  # transformers, tokenizers and safetensors each fail in their own way
        raise ContentError(
            f"the model cannot be loaded ({type(error).__name__}: {str(error)[:300]})",
            where=str(path),
            hint="Is the download whole? `homeroom models pull` checks it.",
        ) from None


def _from_gguf(path: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from homeroom.models.gguf_import import read_gguf

    source = read_gguf(path)
    settings = {name: value for name, value in source.config.items() if name not in ("model_type", "dtype")}
    config = AutoConfig.for_model(source.config["model_type"], **settings)
    try:
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="sdpa")
        places = dict(model.named_parameters())
        with torch.no_grad():
            for name, weight in source.tensors():
                places.pop(name).copy_(torch.from_numpy(weight))
    except ContentError as error:
        raise ContentError(error.message, where=str(path), hint=error.hint) from None
    except Exception as error:
        raise ContentError(f"its tensors do not fit its description ({error})", where=str(path)) from None
    if places:
        raise ContentError(f"it lacks the tensor {sorted(places)[0]}", where=str(path))
    return model, source.tokenizer


def load_tokenizer(folder: Path) -> Any:
    """Load the tokenizer of a Hugging Face folder.

    Raises:
        ContentError: there is none, or it is damaged.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # tokenizers and transformers fail in their own ways
        told = f"({type(error).__name__}: {str(error)[:200]})"
        raise ContentError(f"the tokenizer cannot be loaded {told}", where=str(folder)) from None


def end_tokens(tokenizer: Any, told: int | list[int] | None) -> tuple[int, ...]:
    """Return the token with which the chat template ends an answer, then every other one that the model stops at.

    Args:
        tokenizer: With a chat template.
        told: `eos_token_id` of the generation config.
    """
    turn = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    stops = [*(told if isinstance(told, list) else [told]), tokenizer.eos_token_id]
    ends = tokenizer.apply_chat_template(turn, tokenize=True, return_dict=False)
    last = next((token for token in reversed(ends) if token in tokenizer.all_special_ids), None)
    return tuple(dict.fromkeys(token for token in (last, *stops) if token is not None))


def save_student(model: Any, tokenizer: Any, out: Path) -> Path:
    """Write a model and its tokenizer as a Hugging Face folder, whole or not at all; return `out`.

    An older folder of that name stays in place until the new one is complete.
    """
    temporary, old = out.with_name(f".{out.name}.part"), out.with_name(f".{out.name}.old")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    model.save_pretrained(temporary, safe_serialization=True)
    tokenizer.save_pretrained(temporary)
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    temporary.rename(out)
    shutil.rmtree(old, ignore_errors=True)
    return out


# -- the machine ---------------------------------------------------------------------------------------------------


def use_cores() -> int:
    """Let torch use the physical cores that this process may use, and return how many.

    Two threads of one core share its arithmetic units, and a container may have fewer cores than the machine shows.
    OMP_NUM_THREADS in the environment is obeyed instead.
    """
    import torch

    asked = os.environ.get("OMP_NUM_THREADS", "")
    wanted = int(asked) if asked.isdigit() and int(asked) > 0 else min(usable_cpus(), _physical_cores())
    torch.set_num_threads(wanted)  # even if it is so: only this keeps MKL from choosing for itself
    return wanted


def pick_device() -> str:
    """Return the device torch would compute on: "cuda", "mps" or "cpu"."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _physical_cores() -> int:
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    cores = set()
    for cpu in allowed:
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        cores.add(siblings.read_text() if siblings.is_file() else cpu)
    return len(cores)
