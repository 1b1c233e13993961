"""A Hugging Face folder -> one GGUF file, for llama.cpp, Ollama, LM Studio and our own engine.

    config.json  *.safetensors  tokenizer.json  chat template  ->  model.gguf (F16 or Q8_0, template and stops inside)

The opposite of `models/gguf_import.py`, with the same tables of names; a test sends a model there and back. The `gguf`
package writes the file but converts nothing. Tensors are read, converted and written one at a time, so that a model of
8 GiB needs the memory of its largest tensor. What cannot be said in GGUF without loss is refused, never guessed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from homeroom.core.errors import ContentError, MachineError, UsageError
from homeroom.core.files import free_gib, read_json
from homeroom.models.gguf_import import ARCHITECTURES, LAYER_NAMES, OUTER_NAMES, SPLITS, splitter
from homeroom.models.student import end_tokens, load_tokenizer

TYPES = {"f16": ("F16", 1), "q8_0": ("Q8_0", 7)}  # ours -> (of a matrix, llama.cpp's number for such a file)
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5  # token types of GGUF
BLOCK = 32  # weights that share a scale in Q8_0; a row must be made of whole blocks
LARGEST_F16 = 65504.0
SPLITTERS = ("smollm", *SPLITS, "gpt-2")
# Cut differently by every splitter that we know: digits, contractions, spaces, line breaks, scripts, signs.
PROBE = "I'd say 12345 it's  fine,\n\n  don't\t7x! Größe 東京2024 — (a+b)==c_d\r\n  ...  WE'LL 3.14 end \n"


@dataclass(frozen=True, slots=True)
class _Tensor:
    """One tensor before it is written."""

    name: str  # GGUF's
    shape: tuple[int, ...]
    kind: str  # "F32", "F16" or "Q8_0"
    read: Callable[[], Any]  # -> float32 array


def export_gguf(folder: Path, out: Path, *, kind: str = "f16", name: str = "", licence: str = "") -> Path:
    """Write the model in `folder` as a GGUF file, whole or not at all; return `out`.

    Args:
        folder: A Hugging Face folder: safetensors, and a byte-level BPE tokenizer with a chat template.
        out: The file; an older one stays until the new one is complete.
        kind: "f16", or "q8_0" for half the size. Norms and biases stay float32.
        name: What programs call the model.
        licence: SPDX identifier, if known.

    Raises:
        UsageError: `kind` is neither.
        ContentError: GGUF, or llama.cpp, cannot say what the model is: its architecture, positions or tokenizer.
        MachineError: the `gguf` package is missing, or the disk is full.
    """
    if kind not in TYPES:
        raise UsageError(f"GGUF files are written as {' or '.join(TYPES)}, not {kind!r}")
    try:
        from gguf import GGUFWriter
    except ImportError:
        raise MachineError("writing GGUF files needs one more package", hint="pip install 'homeroom[train]'") from None
    config = _checked_config(folder)
    tensors = list(_tensors(folder, config, TYPES[kind][0]))
    size = sum(int(np.prod(t.shape)) * {"F32": 4.0, "F16": 2.0, "Q8_0": 1.0625}[t.kind] for t in tensors)
    if free_gib(out) < size * 1.05 / 2**30:
        raise MachineError(
            f"the file takes {size / 2**30:.1f} GiB, and the disk has {free_gib(out):.1f}", where=str(out)
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.part")
    writer = GGUFWriter(temporary, config["model_type"])
    try:
        _describe(writer, config, folder, TYPES[kind][1], name or folder.resolve().name, licence)
        _write(writer, tensors)
        writer.close()
        os.replace(temporary, out)
    except OSError as error:
        raise MachineError(f"the file could not be written ({error.strerror or error})", where=str(out)) from None
    finally:
        writer.close()
        temporary.unlink(missing_ok=True)
    return out


def _checked_config(folder: Path) -> dict[str, Any]:
    """Return `config.json`, once it is sure that llama.cpp computes the same from it as we do."""
    if not (folder / "config.json").is_file():
        raise ContentError("not a model: there is no config.json", where=str(folder))
    config = read_json(folder / "config.json")
    kind = str(config.get("model_type"))
    if kind not in ARCHITECTURES:
        raise ContentError(
            f"a model of the architecture {kind[:40]!r} is not written as GGUF",
            where=str(folder),
            hint=f"Known: {', '.join(ARCHITECTURES)}. llama.cpp's convert_hf_to_gguf.py knows more.",
        )
    positions = {**(config.get("rope_scaling") or {}), **(config.get("rope_parameters") or {})}
    odd = {
        "scaled positions": positions.get("rope_type", positions.get("type", "default")) != "default",
        "a sliding window": bool(config.get("use_sliding_window")),
        "biases": kind == "llama" and bool(config.get("attention_bias") or config.get("mlp_bias")),
        f"the activation {config.get('hidden_act')}": config.get("hidden_act", "silu") != "silu",
        "partial rotation": positions.get("partial_rotary_factor", 1.0) != 1.0,
    }
    if any(odd.values()):
        found = ", ".join(name for name, present in odd.items() if present)
        raise ContentError(f"the model has {found}, which is not written as GGUF", where=str(folder))
    config["rope_theta"] = positions.get("rope_theta", config.get("rope_theta", 10000.0))
    return config


def _tensors(folder: Path, config: dict[str, Any], matrix: str) -> Iterator[_Tensor]:
    """Give every tensor under GGUF's name.

    Raises:
        ContentError: there is one that has no name in GGUF, or one is missing.
    """
    names = {theirs: ours for ours, theirs in OUTER_NAMES.items()}
    layer = {theirs: ours for ours, theirs in LAYER_NAMES.items()}
    for number in range(config["num_hidden_layers"]):
        for theirs, ours in layer.items():
            for part in ("weight", "bias"):
                names[f"model.layers.{number}.{theirs}.{part}"] = f"blk.{number}.{ours}.{part}"
    seen = set()
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt") as file:
                found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ContentError(f"damaged ({error})", where=str(path)) from None
        for name, shape in found.items():
            if name == "lm_head.weight" and config.get("tie_word_embeddings"):
                continue
            if name not in names:
                raise ContentError(f"the tensor {name[:80]!r} has no name in GGUF", where=str(path))
            seen.add(name)
            whole = matrix == "F16" or shape[-1] % BLOCK == 0
            kind = "F32" if len(shape) == 1 else matrix if whole else "F16"
            yield _Tensor(names[name], shape, kind, _reader(path, name, config))
    table = "model.embed_tokens.weight"
    if (
        table not in seen
        or len({name for name in seen if name.endswith("q_proj.weight")}) < config["num_hidden_layers"]
    ):
        raise ContentError("weights are missing (*.safetensors)", where=str(folder))


def _reader(path: Path, name: str, config: dict[str, Any]) -> Callable[[], Any]:
    def read() -> Any:
        with safe_open(path, framework="pt") as file:
            weight = file.get_tensor(name).to(torch.float32).numpy()
        if config["model_type"] == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = config["num_attention_heads"]
            weight = _permute(weight, heads if "q_proj" in name else config.get("num_key_value_heads") or heads)
        return weight

    return read


def _permute(weight: Any, heads: int) -> Any:
    """Give the rows of a query or key matrix the order that llama.cpp's rotation of Llama models expects."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _write(writer: Any, tensors: list[_Tensor]) -> None:
    import gguf

    for tensor in tensors:
        kind = gguf.GGMLQuantizationType[tensor.kind]
        shape = tensor.shape
        dtype = {"F32": np.float32, "F16": np.float16, "Q8_0": np.uint8}[tensor.kind]
        if tensor.kind == "Q8_0":
            shape = gguf.quant_shape_to_byte_shape(tensor.shape, kind)
        nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        writer.add_tensor_info(tensor.name, shape, np.dtype(dtype), nbytes, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in tensors:
        weight = tensor.read()
        if tensor.kind == "F16" and not float(np.abs(weight).max(initial=0.0)) <= LARGEST_F16:
            raise ContentError(f"{tensor.name} has values that 16 bits cannot hold, or none", hint="Was it trained?")
        writer.write_tensor_data(np.ascontiguousarray(gguf.quantize(weight, gguf.GGMLQuantizationType[tensor.kind])))


# -- what the file says of the model -------------------------------------------------------------------------------


def _describe(writer: Any, config: dict[str, Any], folder: Path, file_type: int, name: str, licence: str) -> None:
    heads, width = config["num_attention_heads"], config["hidden_size"]
    head_width = config.get("head_dim") or width // heads
    writer.add_type("model")
    writer.add_name(name)
    if licence:
        writer.add_license(licence)
    writer.add_file_type(file_type)
    writer.add_quantization_version(2)
    writer.add_context_length(config.get("max_position_embeddings", 2048))
    writer.add_embedding_length(width)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    writer.add_key_length(head_width)
    writer.add_value_length(head_width)
    writer.add_rope_dimension_count(head_width)
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config.get("rms_norm_eps", 1e-6))
    writer.add_vocab_size(config["vocab_size"])
    _describe_tokenizer(writer, config, folder)


def _describe_tokenizer(writer: Any, config: dict[str, Any], folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    if not tokenizer.chat_template:
        raise ContentError("the model has no chat template", where=str(folder), hint="Use an instruct model.")
    told = read_json(folder / "tokenizer.json")
    if told.get("model", {}).get("type") != "BPE" or (told["model"].get("byte_fallback") or False):
        raise ContentError("only byte-level BPE tokenizers are written as GGUF", where=str(folder))
    size, vocabulary = config["vocab_size"], tokenizer.get_vocab()
    if max(vocabulary.values()) >= size:
        raise ContentError(f"the tokenizer has more tokens than the model ({size:,})", where=str(folder))
    tokens = [f"[PAD{n}]" for n in range(size)]
    types = [UNUSED] * size
    for token, number in vocabulary.items():
        tokens[number], types[number] = token, NORMAL
    for number, added in tokenizer.added_tokens_decoder.items():
        types[number] = CONTROL if added.special else USER_DEFINED
    merges = [m if isinstance(m, str) else " ".join(m) for m in told["model"]["merges"]]
    eos_ids = stop_tokens(folder, tokenizer)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(splitter_name(tokenizer, where=str(folder)))
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    bos = tokenizer.bos_token_id
    writer.add_bos_token_id(eos_ids[0] if bos is None else bos)
    writer.add_eos_token_id(eos_ids[0])
    writer.add_eot_token_id(eos_ids[0])
    if tokenizer.pad_token_id is not None:
        writer.add_pad_token_id(tokenizer.pad_token_id)
    if tokenizer.unk_token_id is not None:
        writer.add_unk_token_id(tokenizer.unk_token_id)
    writer.add_add_bos_token(False)  # where a model wants one, its template writes it
    writer.add_add_space_prefix(False)
    writer.add_chat_template(tokenizer.chat_template)


def splitter_name(tokenizer: Any, *, where: str = "") -> str:
    """Return llama.cpp's name for how a tokenizer cuts text before merging, found by what it does with a probe.

    Raises:
        ContentError: it cuts as none that we know; the tokens would differ between training and llama.cpp.
    """
    backend = tokenizer.backend_tokenizer
    if backend.pre_tokenizer is not None:
        cut = backend.pre_tokenizer.pre_tokenize_str(PROBE)
        for name in SPLITTERS:
            if splitter(name).pre_tokenize_str(PROBE) == cut:
                return name
    raise ContentError("the tokenizer cuts text in a way that is not written as GGUF", where=where)


def stop_tokens(folder: Path, tokenizer: Any) -> tuple[int, ...]:
    """Return the tokens that end an answer; the first is the one to teach."""
    path = folder / "generation_config.json"
    told = read_json(path).get("eos_token_id") if path.is_file() else None
    ids = end_tokens(tokenizer, told)
    if not ids:
        raise ContentError("the model has no token that ends an answer", where=str(folder))
    return ids
