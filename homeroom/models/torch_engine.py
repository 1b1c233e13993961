"""The student answering in torch, from the very weights and templates that training uses.

    conversations -> prompt_tokens -> batches by length -> decode until every row has ended -> texts

Greedy answers are what the exam grades, so nothing here is random unless asked. Rows of like length share a batch,
padded on the left; rows that have ended leave it. `stream` gives the same text piece by piece, `logprob` says how
likely given words are. The decode loop is our own: `generate` of transformers costs more per token than this model.
"""

# B = rows of a batch, T = tokens of the prompt or of what is added, V = vocabulary

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import DynamicCache

from homeroom.core.errors import ContentError, UsageError
from homeroom.core.types import Message
from homeroom.models.rendering import prompt_tokens, text_tokens
from homeroom.models.student import load_student, pick_device, use_cores

BATCH = 64  # rows at once at most: reading the weights once for 64 rows is half again as fast as for 16
CACHE_GIB = 0.5  # of keys and values that the rows of a batch may need; long rows come fewer at once
COLDEST = 1e-3  # a lower temperature is 0: logits that are divided by less are infinite, or as good as
UNFINISHED = "\ufffd"  # what a tokenizer decodes the first bytes of a character to

END = "\0"  # what `fits` is given at the end of an answer, to say whether it may end there


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A piece of an answer."""

    text: str  # "" for a token that is only a part of a character
    logprob: float | None = None
    word: str = ""  # the token by itself
    top: tuple[tuple[str, float], ...] = ()  # the likeliest tokens at this place, with their log-probabilities


@dataclass(slots=True)
class _Row:
    """One answer in the making."""

    place: int  # in the caller's list
    prompt: list[int]
    limit: int
    answer: list[int] = field(default_factory=list)


class TorchEngine:
    """A model in torch that answers conversations.

    Args:
        path: A Hugging Face folder or a GGUF file.
        dtype: "float32", "bfloat16", or "auto": bfloat16 on a GPU, else float32, whose answers do not depend on
            which other conversations shared the batch.
        batch: Conversations answered at once.
    """

    def __init__(self, path: Path, *, dtype: str = "auto", batch: int = BATCH) -> None:
        if dtype not in ("auto", "float32", "bfloat16"):
            raise UsageError(f"dtype is {dtype!r}, but must be auto, float32 or bfloat16")
        use_cores()
        device = pick_device()
        fast = dtype == "bfloat16" or (dtype == "auto" and device == "cuda")
        self.student = load_student(path, dtype=torch.bfloat16 if fast else torch.float32, device=device)
        self.context_tokens = self.student.context_tokens
        self.batch = batch
        self._row_tokens = int(CACHE_GIB * 2**30 / _bytes_a_token(self.student.model))  # of all rows of a batch
        self._model = self.student.model
        self._ends = set(self.student.eos_ids)

    def answer(
        self,
        conversations: Sequence[tuple[Message, ...]],
        *,
        max_tokens: int | Sequence[int],
        on_progress: Callable[[int, int], None] | None = None,
    ) -> list[str]:
        """Return the greedy answer to each conversation, in order.

        Args:
            conversations: Each ends with what the user says.
            max_tokens: Of an answer at most; one number, or one for each conversation.
            on_progress: Told (answers finished, answers in all) now and then.

        Raises:
            ContentError: a conversation and its answer are longer than the model reads.
        """
        limits = [max_tokens] * len(conversations) if isinstance(max_tokens, int) else list(max_tokens)
        rows = [
            _Row(place, self._prompt(messages, limit), limit)
            for place, (messages, limit) in enumerate(zip(conversations, limits, strict=True))
        ]
        done = 0
        for rows_B in _batches(rows, self.batch, self._row_tokens):
            self._decode(rows_B)
            done += len(rows_B)
            if on_progress:
                on_progress(done, len(rows))
        texts = [""] * len(rows)
        for row in rows:
            texts[row.place] = self._text(row.answer)
        return texts

    def stream(
        self,
        messages: tuple[Message, ...],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int | None = None,
    ) -> Iterator[str]:
        """Give an answer in pieces as it comes; at temperature 0 they join to what `answer` returns.

        A token that is only a part of a character gives "".

        Raises:
            ContentError: the conversation and its answer are longer than the model reads.
            UsageError: temperature or top_p is out of range.
        """
        made = self.tokens(messages, max_tokens=max_tokens, temperature=temperature, top_p=top_p, seed=seed)
        return (token.text for token in made)

    def tokens(
        self,
        prompt: tuple[Message, ...] | str,
        *,
        max_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int | None = None,
        num_top: int | None = None,
        fits: Callable[[str], bool] | None = None,
    ) -> Iterator[Token]:
        """Give an answer token by token, with log-probabilities where they are asked for.

        Args:
            prompt: A conversation; or a plain text, which is continued.
            num_top: How many of the likeliest tokens to tell of at each place; None tells no log-probability at all.
            fits: Whether a text may be the beginning of the answer (JSON, say); the likeliest token that fits is taken.

        Raises:
            ContentError: prompt and answer are longer than the model reads; or no token fits.
            UsageError: temperature or top_p is out of range.
        """
        if not 0.0 <= temperature <= 5.0 or not 0.0 < top_p <= 1.0:
            raise UsageError("temperature must be between 0 and 5, top_p above 0 and at most 1")
        row = _Row(0, self._prompt(prompt, max_tokens), max_tokens)
        generator = torch.Generator()
        generator.manual_seed(seed) if seed is not None else generator.seed()

        def pick(logits_BV: torch.Tensor) -> torch.Tensor:
            if fits is not None:
                logits_BV = self._fitting(logits_BV, row, fits)
            return _sample(logits_BV, temperature, top_p, generator) if temperature > COLDEST else logits_BV.argmax(-1)

        return self._pieces(row, pick, num_top)

    def logprob(self, conversations: Sequence[tuple[Message, ...]], continuations: Sequence[str]) -> list[float]:
        """Return, for each pair, the summed log-probability of the continuation as the beginning of the answer.

        Raises:
            ContentError: a pair is longer than the model reads, or a continuation is empty.
        """
        pairs = []
        for place, (messages, text) in enumerate(zip(conversations, continuations, strict=True)):
            ids = text_tokens(self.student.tokenizer, text)
            if not ids:
                raise ContentError(f"continuation {place + 1} is empty")
            pairs.append(_Row(place, self._prompt(messages, len(ids)), 0, ids))
        found = [0.0] * len(pairs)
        for rows_B in _batches(pairs, self.batch, self._row_tokens):
            for row, value in zip(rows_B, self._score(rows_B), strict=True):
                found[row.place] = value
        return found

    def count_tokens(self, prompt: tuple[Message, ...] | str) -> int:
        """Return how many tokens a conversation, or a plain text, takes as a prompt."""
        return len(self._ids(prompt))

    # -- below: tokens ----------------------------------------------------------------------------------------------

    def _prompt(self, prompt: tuple[Message, ...] | str, answer_tokens: int) -> list[int]:
        if answer_tokens < 1:
            raise UsageError(f"an answer of {answer_tokens} tokens was asked for, but it takes at least one")
        ids = self._ids(prompt)
        if len(ids) + answer_tokens > self.context_tokens:
            raise ContentError(
                f"the conversation has {len(ids):,} tokens and its answer up to {answer_tokens:,}; "
                f"this model reads {self.context_tokens:,} at most",
                hint="Shorten the conversation or the passage in it, or allow a shorter answer.",
            )
        return ids

    def _ids(self, prompt: tuple[Message, ...] | str) -> list[int]:
        tokenizer = self.student.tokenizer
        if not isinstance(prompt, str):
            return prompt_tokens(tokenizer, prompt)
        return text_tokens(tokenizer, prompt) or [tokenizer.bos_token_id or self.student.eos_ids[0]]

    def _text(self, ids: Sequence[int]) -> str:
        return self.student.tokenizer.decode(list(ids), skip_special_tokens=True)

    @torch.inference_mode()
    def _decode(self, rows: list[_Row]) -> None:
        """Fill in the answers of a batch."""
        if not rows:
            return
        mask_BT, logits_BV, cache = self._read([row.prompt for row in rows])
        while True:
            picked = logits_BV.argmax(-1)
            for row, token in zip(rows, picked.tolist(), strict=True):
                row.answer.append(token)
            going = [n for n, row in enumerate(rows) if not self._is_done(row)]
            if not going:
                return
            if len(going) < len(rows):
                keep = torch.tensor(going, device=picked.device)
                rows, picked, mask_BT = [rows[n] for n in going], picked[keep], mask_BT[keep]
                cache.batch_select_indices(keep)
            mask_BT = torch.cat([mask_BT, mask_BT.new_ones(len(rows), 1)], dim=1)
            logits_BV = self._next(picked[:, None], mask_BT, cache)

    def _is_done(self, row: _Row) -> bool:
        return row.answer[-1] in self._ends or len(row.answer) >= row.limit

    @torch.inference_mode()
    def _read(self, prompts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor, Any]:
        """Read prompts and return their mask, the logits of what comes next, and the cache."""
        longest = max(map(len, prompts))
        pad = self.student.tokenizer.pad_token_id
        ids_BT = torch.tensor([[pad] * (longest - len(p)) + p for p in prompts], device=self._model.device)
        mask_BT = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts], device=self._model.device)
        cache = DynamicCache(config=self._model.config)
        return mask_BT, self._next(ids_BT, mask_BT, cache), cache

    @torch.inference_mode()
    def _next(self, ids_BT: torch.Tensor, mask_BT: torch.Tensor, cache: Any) -> torch.Tensor:
        positions_BT = (mask_BT.cumsum(-1) - 1).clamp_(min=0)[:, -ids_BT.shape[1] :]
        whole = mask_BT if bool((mask_BT == 0).any()) else None  # without padding attention needs no mask
        out = self._model(
            input_ids=ids_BT,
            attention_mask=whole,
            position_ids=positions_BT,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return out.logits[:, -1].float()

    def _pieces(self, row: _Row, pick: Callable[[torch.Tensor], torch.Tensor], num_top: int | None) -> Iterator[Token]:
        mask_BT, logits_BV, cache = self._read([row.prompt])
        told = ""
        while len(row.answer) < row.limit:
            picked = pick(logits_BV)
            row.answer.append(int(picked))
            if row.answer[-1] in self._ends:
                break
            text, piece = self._text(row.answer), ""
            is_last = len(row.answer) == row.limit
            if (is_last or not text.endswith(UNFINISHED)) and len(text) > len(told):
                piece, told = text[len(told) :], text
            yield self._token(piece, row.answer[-1], logits_BV, num_top)
            if not is_last:
                mask_BT = torch.cat([mask_BT, mask_BT.new_ones(1, 1)], dim=1)
                logits_BV = self._next(picked.view(1, 1), mask_BT, cache)
        rest = self._text(row.answer)[len(told) :]
        if rest:
            yield Token(text=rest)

    def _token(self, piece: str, token: int, logits_BV: torch.Tensor, num_top: int | None) -> Token:
        if num_top is None:
            return Token(text=piece)
        logp_V = logits_BV[0].log_softmax(-1)
        best = logp_V.topk(num_top) if num_top else None
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True) if best else ()
        return Token(
            text=piece,
            logprob=float(logp_V[token]),
            word=self._one(token),
            top=tuple((self._one(t), value) for t, value in pairs),
        )

    def _one(self, token: int) -> str:
        return self.student.tokenizer.decode([token])

    def _fitting(self, logits_BV: torch.Tensor, row: _Row, fits: Callable[[str], bool]) -> torch.Tensor:
        """Return the logits with all tokens but the likeliest that fits shut out."""
        now = self._text(row.answer)
        for token in logits_BV[0].argsort(descending=True).tolist():  # mostly one of the first fits
            whole = now + END if token in self._ends else self._text([*row.answer, token])
            says_end = END in whole and token not in self._ends  # tokenizers have a token for that character too
            if whole != now and not says_end and not whole.endswith(UNFINISHED) and fits(whole):
                only = torch.full_like(logits_BV, -torch.inf)
                only[0, token] = logits_BV[0, token]
                return only
        raise ContentError("the model finds no way to go on that fits the wanted form", hint="Ask for plain text.")

    @torch.inference_mode()
    def _score(self, rows: list[_Row]) -> list[float]:
        """Return the summed log-probability of each row's answer after its prompt."""
        lengths = [len(row.prompt) + len(row.answer) for row in rows]
        pad, longest = self.student.tokenizer.pad_token_id, max(lengths)
        ids_BT = torch.tensor(
            [row.prompt + row.answer + [pad] * (longest - n) for row, n in zip(rows, lengths, strict=True)],
            device=self._model.device,
        )  # padded on the right: what stands after a row cannot change it
        mask_BT = torch.tensor([[1] * n + [0] * (longest - n) for n in lengths], device=self._model.device)
        keep = max(len(row.answer) for row in rows) + longest - min(lengths) + 1
        logits_BTV = self._model(
            input_ids=ids_BT, attention_mask=mask_BT, use_cache=False, logits_to_keep=min(keep, longest)
        ).logits
        first = longest - logits_BTV.shape[1]
        totals = []
        for n, row in enumerate(rows):
            start = len(row.prompt) - 1 - first
            logp_TV = logits_BTV[n, start : start + len(row.answer)].float().log_softmax(-1)
            wanted = torch.tensor(row.answer, device=logp_TV.device)[:, None]
            totals.append(float(logp_TV.gather(1, wanted).sum()))
        return totals


def _batches(rows: list[_Row], size: int, tokens: int) -> Iterator[list[_Row]]:
    """Give rows in batches of like length, so that there is little padding; longest answers together too.

    Args:
        size: Rows of a batch at most.
        tokens: Of a batch at most, padding and answers counted, save for a row that has more by itself.
    """
    order = sorted(rows, key=lambda row: (row.limit, len(row.prompt) + len(row.answer), row.prompt))
    batch: list[_Row] = []
    for row in order:
        longest = max(_length(r) for r in [*batch, row])
        if batch and (len(batch) == size or longest * (len(batch) + 1) > tokens):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _length(row: _Row) -> int:
    return len(row.prompt) + max(row.limit, len(row.answer))


def _bytes_a_token(model: Any) -> int:
    """Return the bytes of keys and values that a model keeps for one token."""
    config = model.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * config.num_hidden_layers * heads * width * next(model.parameters()).element_size()


def _sample(logits_BV: torch.Tensor, temperature: float, top_p: float, generator: torch.Generator) -> torch.Tensor:
    """Draw one token from the smallest set of likely ones that holds `top_p` of the probability."""
    shares, order = (logits_BV[0].float().cpu() / temperature).softmax(-1).sort(descending=True)
    shares[shares.cumsum(0) - shares >= top_p] = 0.0
    return order[torch.multinomial(shares, 1, generator=generator)].to(logits_BV.device)
