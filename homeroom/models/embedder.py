"""Sentences -> vectors, so that "the sheet for something stolen" is found near "theft claims are made on a green form".

all-MiniLM-L6-v2 (22 million parameters, Apache-2.0), on the CPU: some hundred sentences a second. Its two files come
through the store, as every model does; torch is imported when the embedder is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from homeroom.core.types import Progress, no_progress

if TYPE_CHECKING:
    import numpy as np

BATCH = 64
MAX_TOKENS = 128  # of a sentence; what is beyond is not looked at


class Embedder:
    """A sentence encoder.

    Args:
        weights: `model.safetensors` of all-MiniLM-L6-v2.
        tokenizer: Its `tokenizer.json`.
    """

    def __init__(self, weights: Path, tokenizer: Path) -> None:
        from safetensors.torch import load_file
        from tokenizers import Tokenizer
        from transformers import BertConfig, BertModel

        from homeroom.models.student import use_cores

        use_cores()
        config = BertConfig(
            hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536, vocab_size=30522
        )
        self._model = BertModel(config, add_pooling_layer=False).eval()
        self._model.load_state_dict(load_file(weights), strict=False)
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.enable_padding()

    def embed(self, sentences: Sequence[str]) -> np.ndarray:
        """Return one row of 384 numbers a sentence, of length 1, so that a product of two rows is their likeness."""
        import numpy as np
        import torch

        order = sorted(range(len(sentences)), key=lambda n: len(sentences[n]))
        out = np.zeros((len(sentences), 384), dtype=np.float32)
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            encoded = self._tokenizer.encode_batch([sentences[n] for n in places])
            ids_BT = torch.tensor([e.ids for e in encoded])
            mask_BT = torch.tensor([e.attention_mask for e in encoded])
            with torch.inference_mode():
                hidden_BTD = self._model(input_ids=ids_BT, attention_mask=mask_BT).last_hidden_state
            weight_BT1 = mask_BT[:, :, None].float()
            mean_BD = (hidden_BTD * weight_BT1).sum(1) / weight_BT1.sum(1)
            out[places] = torch.nn.functional.normalize(mean_BD, dim=-1).numpy()
        return out


def shipped_embedder(progress: Progress = no_progress) -> Embedder:
    """Return the embedder of the catalog, fetched when it is first needed.

    Raises:
        MachineError: it is not on this machine and cannot be fetched.
    """
    from homeroom.models.store import pull

    names = ("all-minilm-l6-v2", "all-minilm-l6-v2-tokenizer")
    return Embedder(*(pull(name, progress=progress) for name in names))
