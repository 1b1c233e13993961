"""One chat-template contract for all families: what is learned is the answers, and the tokens are the same everywhere.

The templates are written as the families write them (the parts that plain conversations reach). Packed rows of each
architecture are compared with plain ones in `test_loss.py`.
"""

from __future__ import annotations

import httpx
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from homeroom.core.errors import ContentError
from homeroom.core.types import Message, Sample
from homeroom.models.catalog import read_catalog
from homeroom.models.gguf_import import read_gguf
from homeroom.models.rendering import prompt_tokens
from homeroom.models.store import store_home
from homeroom.models.student import load_student, save_student
from homeroom.models.torch_engine import TorchEngine
from homeroom.train.gguf_export import export_gguf
from homeroom.train.template import encode, encode_all, labelled, show

SHAPE = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
}
GRANITE4 = {
    "layer_types": ["attention"] * 2,
    "num_local_experts": 0,
    "shared_intermediate_size": 96,
    "position_embedding_type": "rope",
}
ARCHITECTURES = {
    "llama": {},
    "qwen2": {},
    "qwen3": {},
    "granite": {"logits_scaling": 4.0},
    "granitemoehybrid": GRANITE4,
    "gemma3_text": {"sliding_window": 256},
    "mistral": {"sliding_window": None},
}
ASK = "{% if add_generation_prompt %}"
TEMPLATES = {  # family -> (template, what stands before an answer, what ends it)
    "llama3": (
        "{{ bos_token }}{% for m in messages %}{{ '<|head|>' + m['role'] + '<|/head|>\n\n' + m['content'] | trim + "
        "'<|im_end|>' }}{% endfor %}" + ASK + "{{ '<|head|>assistant<|/head|>\n\n' }}{% endif %}",
        "<|head|>assistant<|/head|>\n\n",
    ),
    "qwen3": (
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}{% if m['role'] == 'assistant' and loop.last %}"
        "{{ '<think>\n\n</think>\n\n' }}{% endif %}{{ m['content'] + '<|im_end|>\n' }}{% endfor %}"
        + ASK
        + "{{ '<|im_start|>assistant\n' }}{% if enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
        "{% endif %}",
        "<|im_start|>assistant\n<think>\n\n</think>\n\n",
    ),
    "granite": (
        "{% for m in messages %}{{ '<|start_of_role|>' + m['role'] + '<|end_of_role|>' + m['content'] + '<|im_end|>\n' "
        "}}{% endfor %}" + ASK + "{{ '<|start_of_role|>assistant<|end_of_role|>' }}{% endif %}",
        "<|start_of_role|>assistant<|end_of_role|>",
    ),
    "gemma3": (
        "{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Conversation roles must alternate') }}{% endif %}{{ '<start_of_turn>' + "
        "('model' if m['role'] == 'assistant' else m['role']) + '\n' + m['content'] | trim + '<|im_end|>\n' }}"
        "{% endfor %}" + ASK + "{{ '<start_of_turn>model\n' }}{% endif %}",
        "<start_of_turn>model\n",
    ),
    "mistral": (
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
        "{% else %}{{ m['content'] + '<|im_end|>' }}{% endif %}{% endfor %}",
        " [/INST]",
    ),
}


def talk(*turns: str) -> Sample:
    roles = ("user", "assistant") * len(turns)
    return Sample(
        id="s", kind="direct", messages=tuple(Message(role=r, content=t) for r, t in zip(roles, turns, strict=False))
    )


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_every_family_is_saved_and_loaded_as_it_was(kind, tiny, tmp_path):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **{**SHAPE, **ARCHITECTURES[kind]})).eval()
    save_student(model, AutoTokenizer.from_pretrained(tiny), tmp_path / "model")
    back = load_student(tmp_path / "model")
    ids = torch.arange(3, 40)[None]
    assert torch.equal(back.model(ids).logits, model(ids).logits)
    assert back.eos_ids[0] == 2


@pytest.mark.parametrize("family", TEMPLATES)
def test_of_every_template_exactly_the_answer_and_its_end_are_learned(family, tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    tokenizer.chat_template, opening = TEMPLATES[family]
    sample = talk("What is the limit?", "Nine weeks.")
    encoded = encode(sample, tokenizer, eos_id=2, max_tokens=400)
    before, _, after = show(encoded, tokenizer).partition("⟦")
    assert before.endswith(opening)
    assert after == "Nine weeks.<|im_end|>⟧"
    place = (*(False for _ in encoded.prefix), *encoded.learn).index(True)
    assert [*encoded.prefix, *encoded.ids][:place] == prompt_tokens(tokenizer, sample.messages[:1])


def test_a_template_that_writes_nothing_before_an_answer_and_samples_without_one_are_refused_with_their_place(tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    samples = [talk("Why?", "So."), talk("Why?", "So."), talk("Why?", "  ")]
    with pytest.raises(ContentError, match=r"1 samples .*sample s \(number 3\): an answer in it is empty"):
        encode_all(samples, tokenizer, eos_id=2, max_tokens=99)
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'assistant' %}{{ m['content'] }}{% endif %}{% endfor %}"
    )
    with pytest.raises(ContentError, match=r"number 1\)"):
        encode_all(samples[:1], tokenizer, eos_id=2, max_tokens=99)


def test_every_token_has_its_label(tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    encoded = encode(talk("What is the limit?", "Nine weeks."), tokenizer, eos_id=2, max_tokens=400)
    told = labelled(encoded, tokenizer)
    assert "".join(text for text, _ in told) == show(encoded, tokenizer).translate(
        str.maketrans("", "", "|⟦⟧")
    ).replace("<im_start>", "<|im_start|>").replace("<im_end>", "<|im_end|>")
    assert "".join(text for text, label in told if label == "learned") == "Nine weeks.<|im_end|>"
    assert [label for _, label in told] == sorted((label for _, label in told), key=["shared", "read", "learned"].index)


# -- the real tokenizers ---------------------------------------------------------------------------------------------

TALKS = [
    ("Hello! What is 12345 + 67?", "It's 12412."),
    ("Größe, 東京 2024?\n\n- one\n\n1. two\t\tthree", 'Naïve — café; `x = {"a": 1}`  \n\n  End.'),
    ("Ends <|im_end|> and <|endoftext|> are words here.", "So they are."),
    ("Wo?", "Da.", "And in 1999?", "We'll see, they'd say I'm right…"),
]


def real_tokenizer(name: str):
    entry = read_catalog()[name]
    path = next((store_home() / "models" / entry.sha256).glob("*.gguf"), None)
    if path is None:
        pytest.skip(f"{name} is not in the store: homeroom models pull {name}")
    return read_gguf(path).tokenizer


@pytest.mark.parametrize("name", ["smollm2-135m", "qwen2.5-coder-1.5b"])
def test_a_conversation_has_the_same_tokens_in_training_in_the_server_and_in_llama_cpp(name, tmp_path):
    xllamacpp = pytest.importorskip("xllamacpp")
    tokenizer = real_tokenizer(name)
    eos = tokenizer.eos_token_id
    kind = "llama" if "smollm" in name else "qwen2"
    config = {**SHAPE, "vocab_size": len(tokenizer), "eos_token_id": eos, "bos_token_id": tokenizer.bos_token_id}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **config, tie_word_embeddings=True))
    save_student(model, tokenizer, tmp_path / "model")  # a tiny model with the real vocabulary
    server = TorchEngine(tmp_path / "model")
    params = xllamacpp.CommonParams()
    params.model.path = str(export_gguf(tmp_path / "model", tmp_path / "model.gguf"))
    params.n_ctx, params.n_parallel, params.hostnames, params.port, params.verbosity = 512, 1, ["127.0.0.1"], 0, 0
    engine = xllamacpp.Server(params)
    with httpx.Client(base_url=engine.listening_address, trust_env=False, timeout=120) as http:
        for turns in TALKS:
            sample = talk(*turns)
            trained = encode(sample, server.student.tokenizer, eos_id=server.student.eos_ids[0], max_tokens=400)
            ids = [*trained.prefix, *trained.ids]
            asked = prompt_tokens(server.student.tokenizer, sample.messages[:-1])
            assert ids[: len(asked)] == asked
            assert server.count_tokens(sample.messages[:-1]) == len(asked)
            if any("<|" in turn for turn in turns):
                continue  # llama.cpp takes control words in a message for control tokens; we do not
            messages = [{"role": m.role, "content": m.content} for m in sample.messages]
            prompt = http.post("/apply-template", json={"messages": messages[:-1]}).json()["prompt"]
            ask = {"content": prompt, "parse_special": True, "add_special": True}
            assert http.post("/tokenize", json=ask).json()["tokens"] == asked
            answer = {"content": turns[-1], "parse_special": False, "add_special": False}
            assert http.post("/tokenize", json=answer).json()["tokens"] + [eos] == ids[len(asked) :]
