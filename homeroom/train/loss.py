"""The loss of a row: how surprised the student is by the tokens it should say next, summed.

`row_loss` is what training uses: one packed row, and logits for learned tokens only, in pieces, so that the largest
tensor is 1,024 x vocabulary rather than row x vocabulary. `plain_loss` is the same number from the model's own forward
pass, one sample at a time; it is the test of the other, and the way for models that cannot be packed.
"""

# N = tokens to predict, K = tokens that may be next, C = width of the model, V = vocabulary

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from homeroom.train.batches import Row
from homeroom.train.template import Encoded

PIECE = 1024  # tokens whose logits exist at one time
CACHED = 64  # of them in float32


def row_loss(model: Any, row: Row) -> torch.Tensor:
    """Return the summed loss over the learned tokens of a packed row. The model's attention is `attention.NAME`."""
    hidden_TC = model.get_decoder()(
        input_ids=row.ids_T[None], position_ids=row.positions_T[None], use_cache=False, blocks=row.blocks
    ).last_hidden_state[0]
    scale = 1.0 / getattr(model.config, "logits_scaling", 1.0)  # Granite divides its logits
    hidden_NC = hidden_TC.index_select(0, row.before_N)
    return _HeadLoss.apply(hidden_NC, model.lm_head.weight, row.targets_NK, row.probs_NK, scale) - row.floor


def plain_loss(model: Any, samples: Sequence[Encoded]) -> torch.Tensor:
    """Return the summed loss over the learned tokens of samples, each read by itself."""
    total = torch.zeros((), device=model.device)
    for sample in samples:
        ids = torch.tensor([sample.prefix + sample.ids], device=model.device)
        learned = torch.tensor((False,) * len(sample.prefix) + sample.learn, device=model.device)
        logits_NV = model(input_ids=ids, use_cache=False).logits[0, :-1][learned[1:]].float()
        if sample.soft:
            told_NK = logits_NV.log_softmax(-1).gather(1, sample.soft.ids_NK.to(model.device))
            total = total - (told_NK * sample.soft.probs_NK.to(model.device)).sum() - sample.soft.entropy
        else:
            total = total + cross_entropy(logits_NV, ids[0, 1:][learned[1:]], reduction="sum")
    return total


class _HeadLoss(torch.autograd.Function):
    """Output layer and cross-entropy in one, a piece at a time; the gradient is made on the way forward.

    Nothing is computed twice: the gradient of cross-entropy is softmax minus one-hot, and softmax is at hand. The
    softmax runs in float32 over a few rows at a time, which stay in the processor's cache.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden_NC: torch.Tensor,
        head_VC: torch.Tensor,
        targets_NK: torch.Tensor,
        probs_NK: torch.Tensor,
        scale: float,
    ):
        total = torch.zeros((), device=hidden_NC.device, dtype=torch.float32)
        hidden_grad_NC = torch.empty_like(hidden_NC)
        head_grad_VC = torch.zeros_like(head_VC) if ctx.needs_input_grad[1] else None
        for start in range(0, len(targets_NK), PIECE):
            piece = slice(start, start + PIECE)
            grad_NV = hidden_NC[piece] @ head_VC.T  # logits still; turned into their gradient in place
            split = (x.split(CACHED) for x in (grad_NV, targets_NK[piece], probs_NK[piece]))
            for rows, targets, probs in zip(*split, strict=True):
                total += _to_gradient(rows, targets, probs, scale)
            torch.mm(grad_NV, head_VC, out=hidden_grad_NC[piece])
            if head_grad_VC is not None:
                head_grad_VC.addmm_(grad_NV.T, hidden_NC[piece])
        ctx.save_for_backward(hidden_grad_NC, head_grad_VC)
        return total

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor):
        hidden_grad_NC, head_grad_VC = ctx.saved_tensors
        head_grad_VC = head_grad_VC if head_grad_VC is None else head_grad_VC * grad
        return hidden_grad_NC * grad, head_grad_VC, None, None, None


def _to_gradient(logits_NV: torch.Tensor, targets_NK: torch.Tensor, probs_NK: torch.Tensor, scale: float):
    """Replace logits by the gradient of their summed cross-entropy with the targets, and return that sum."""
    work_NV = logits_NV.float().mul_(scale)
    work_NV -= work_NV.amax(1, keepdim=True)
    wanted = (work_NV.gather(1, targets_NK) * probs_NK).sum(1, keepdim=True)
    total = work_NV.exp_().sum(1, keepdim=True)
    work_NV.mul_(scale / total).scatter_add_(1, targets_NK, probs_NK * -scale)
    logits_NV.copy_(work_NV)
    return (total.log() - wanted).sum()
