r"""The model inside a GGUF file as a Hugging Face folder: config, fp32 weights, tokenizer, chat template.

    GGUF file (quantized) -> read_gguf -> GgufModel -> import_gguf -> folder of safetensors

Our own reader, because transformers wants `accelerate` for it, drops the digit splitting of SmolLM2's tokenizer (so
"\n\n1" got other tokens than in llama.cpp), and refuses to save what it loaded. Weights are de-quantised one by one;
llama.cpp keeps the query and key rows of Llama models in another order, which is turned back here. A file is a
stranger: sizes are bounded, and anything odd is a `ContentError`.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeroom.core.errors import ContentError, MachineError

ARCHITECTURES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}
MAX_VOCABULARY = 1_000_000
MAX_LAYERS = 512
MAX_WIDTH = 65_536
CONTROL, USER_DEFINED = 3, 4  # token types of GGUF: special tokens, and words that are one token always

# GGUF's names of tensors -> Hugging Face's; {n} is the number of the layer.
OUTER_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
# How text is cut before byte-pair merging, by GGUF's name for it (llama.cpp's src/llama-vocab.cpp has the same).
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}DIGITS"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPLITS = {"qwen2": SPLIT.replace("DIGITS", ""), "llama-bpe": SPLIT.replace("DIGITS", "{1,3}")}


@dataclass(frozen=True, slots=True)
class GgufModel:
    """An opened GGUF file: what a Hugging Face folder would say of it, and its tensors when asked."""

    config: dict[str, Any]  # the content of config.json
    tokenizer: Any  # a transformers tokenizer
    reader: Any  # gguf.GGUFReader; the file stays mapped as long as this lives

    def tensors(self) -> Iterator[tuple[str, Any]]:
        """Give each tensor once: its Hugging Face name and an fp32 array."""
        import gguf

        for tensor in self.reader.tensors:
            name = _hugging_face_name(tensor.name)
            weight = gguf.dequantize(tensor.data, tensor.tensor_type)
            weight = weight.astype("float32", copy=not weight.flags.writeable)  # may be a view of the file
            if self.config["model_type"] == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
                heads = "num_attention_heads" if name.endswith("q_proj.weight") else "num_key_value_heads"
                weight = _unpermute(weight, self.config[heads])
            yield name, weight


def read_gguf(path: Path) -> GgufModel:
    """Open a GGUF file and check that it holds a model we can train.

    Raises:
        ContentError: not a GGUF file, damaged, or of an architecture or tokenizer that is not supported.
    """
    try:
        import gguf
    except ImportError:
        raise MachineError("reading GGUF files needs one more package", hint="pip install 'homeroom[laptop]'") from None
    try:
        reader = gguf.GGUFReader(path)
        fields = _fields(reader)
        return GgufModel(config=_config(fields, reader), tokenizer=_tokenizer(fields), reader=reader)
    except ContentError as error:
        raise ContentError(error.message, where=str(path), hint=error.hint) from None
    except FileNotFoundError:
        raise ContentError("the file does not exist", where=str(path)) from None
    except Exception as error:  # a damaged file fails in numpy, in gguf or in tokenizers, each with its own error
        raise ContentError(
            f"not a readable GGUF file ({type(error).__name__}: {str(error)[:200]})",
            where=str(path),
            hint="Fetch it again: `homeroom models pull` checks the digest.",
        ) from None


def import_gguf(path: Path, out: Path) -> Path:
    """Write the model in a GGUF file as a Hugging Face folder with fp32 weights, whole or not at all; return `out`.

    Raises:
        ContentError: see `read_gguf`; or its weights do not fit its own description.
    """
    from safetensors.numpy import save_file

    source = read_gguf(path)
    temporary = out.with_name(f".{out.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    eos = source.config["eos_token_id"]
    write = {"config.json": source.config, "generation_config.json": {"eos_token_id": eos, "pad_token_id": eos}}
    for name, value in write.items():
        (temporary / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    try:
        weights = dict(source.tensors())
    except Exception as error:
        raise ContentError(f"its tensors are damaged ({error})", where=str(path)) from None
    save_file(weights, temporary / "model.safetensors", metadata={"format": "pt"})
    source.tokenizer.save_pretrained(temporary)
    if out.exists():
        shutil.rmtree(out)
    temporary.rename(out)
    return out


# -- what the file says about itself -------------------------------------------------------------------------------


def _fields(reader: Any) -> dict[str, Any]:
    return {name: field.contents() for name, field in reader.fields.items()}


def _config(fields: dict[str, Any], reader: Any) -> dict[str, Any]:
    kind = str(fields.get("general.architecture", ""))
    if kind not in ARCHITECTURES:
        raise ContentError(
            f"the architecture {kind[:40]!r} cannot be trained from GGUF",
            hint=f"Give the model's Hugging Face folder instead (from GGUF: {', '.join(sorted(ARCHITECTURES))}).",
        )

    def number(name: str, largest: float, default: Any = None) -> Any:
        value = fields.get(f"{kind}.{name}", default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= largest:
            raise ContentError(f"{kind}.{name} is {str(value)[:40]}, which cannot be")
        return value

    names = {tensor.name for tensor in reader.tensors}
    if "rope_freqs.weight" in names or f"{kind}.rope.scaling.type" in fields or f"{kind}.expert_count" in fields:
        raise ContentError("scaled positions and experts are not supported from GGUF", hint="Give the HF folder.")
    heads, width = number("attention.head_count", 1024), number("embedding_length", MAX_WIDTH)
    eos = _token_id(fields, "eos")
    return {
        "architectures": [ARCHITECTURES[kind]],
        "model_type": kind,
        "hidden_size": width,
        "intermediate_size": number("feed_forward_length", 16 * MAX_WIDTH),
        "num_hidden_layers": number("block_count", MAX_LAYERS),
        "num_attention_heads": heads,
        "num_key_value_heads": number("attention.head_count_kv", 1024, heads),
        "head_dim": number("attention.key_length", 4096, width // heads),
        "max_position_embeddings": number("context_length", 2**24),
        "rms_norm_eps": round(number("attention.layer_norm_rms_epsilon", 1.0), 12),
        "rope_parameters": {"rope_type": "default", "rope_theta": number("rope.freq_base", 1e12, 10000.0)},
        "vocab_size": len(_tokens(fields)),
        "tie_word_embeddings": "output.weight" not in names,
        "hidden_act": "silu",
        "bos_token_id": _token_id(fields, "bos", eos),
        "eos_token_id": eos,
        "pad_token_id": _token_id(fields, "padding", eos),
        "dtype": "float32",
    }


def _hugging_face_name(name: str) -> str:
    if name in OUTER_NAMES:
        return OUTER_NAMES[name]
    found = re.fullmatch(r"blk\.(\d{1,3})\.([a-z_]+)\.(weight|bias)", name)
    if not found or found[2] not in LAYER_NAMES:
        raise ContentError(f"an unknown tensor, {name[:60]!r}", hint="Give the model's Hugging Face folder instead.")
    return f"model.layers.{found[1]}.{LAYER_NAMES[found[2]]}.{found[3]}"


def _unpermute(weight: Any, heads: int) -> Any:
    """Give the rows of a query or key matrix the order that Hugging Face's rotary embedding expects."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


# -- the tokenizer ---------------------------------------------------------------------------------------------------


def _tokens(fields: dict[str, Any]) -> list[str]:
    tokens = fields.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, list) or not 0 < len(tokens) <= MAX_VOCABULARY:
        raise ContentError("it has no vocabulary, or one that is too large")
    return tokens


def _token_id(fields: dict[str, Any], role: str, default: int | None = None) -> int:
    value = fields.get(f"tokenizer.ggml.{role}_token_id", default)
    if not isinstance(value, int) or not 0 <= value < len(_tokens(fields)):
        raise ContentError(f"its {role} token is {str(value)[:40]}, which is not in the vocabulary")
    return value


def _tokenizer(fields: dict[str, Any]) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    if fields.get("tokenizer.ggml.model") != "gpt2":
        raise ContentError("only byte-level BPE tokenizers are read from GGUF", hint="Give the Hugging Face folder.")
    tokens, template = _tokens(fields), fields.get("tokenizer.chat_template", "")
    if not isinstance(template, str) or not 0 < len(template) < 200_000:
        raise ContentError("it has no chat template", hint="Use an instruct model.")
    merges = [tuple(merge.split(" ", 1)) for merge in fields.get("tokenizer.ggml.merges", [])]
    core = Tokenizer(models.BPE(vocab={token: n for n, token in enumerate(tokens)}, merges=merges))
    core.pre_tokenizer = splitter(str(fields.get("tokenizer.ggml.pre", "")))
    core.decoder = decoders.ByteLevel()
    types = fields.get("tokenizer.ggml.token_type", [])
    special = [token for token, kind in zip(tokens, types, strict=True) if kind == CONTROL]
    core.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    whole = [token for token, kind in zip(tokens, types, strict=True) if kind == USER_DEFINED]
    core.add_tokens([AddedToken(token, special=False, normalized=False) for token in whole])
    eos = _token_id(fields, "eos")
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=tokens[_token_id(fields, "bos", eos)],
        eos_token=tokens[eos],
        pad_token=tokens[_token_id(fields, "padding", eos)],
        unk_token=tokens[_token_id(fields, "unknown", eos)],
        chat_template=template,
        model_max_length=int(fields.get(f"{fields['general.architecture']}.context_length", 2048)),
        clean_up_tokenization_spaces=False,
    )


def splitter(name: str) -> Any:
    """Return how text is cut before byte-pair merging, under llama.cpp's name for it.

    Raises:
        ContentError: the name is not known here.
    """
    from tokenizers import Regex, pre_tokenizers

    if name == "smollm":
        first = pre_tokenizers.Digits(individual_digits=True)
        return pre_tokenizers.Sequence([first, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    if name in ("gpt-2", "default", ""):
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    if name not in SPLITS:
        raise ContentError(f"the tokenizer {name[:40]!r} is not read from GGUF", hint="Give the Hugging Face folder.")
    cut = pre_tokenizers.Split(Regex(SPLITS[name]), behavior="isolated", invert=False)
    return pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
