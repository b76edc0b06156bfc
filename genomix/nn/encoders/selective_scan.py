"""The recurrence of a selective state space, computed in chunks by matrix products.

In each head h_t = exp(log_decay_t) h_(t-1) + k_t v_t^T and y_t = q_t^T h_t (Dao, Gu: Transformers are SSMs, ICML 2024,
equation 2, with v = dt x, k = B, q = C). B batch, N positions, H heads, P head dimension, S state dimension, J chunks,
T positions of a chunk.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

LOWEST = -40.0
"""A lower logarithm of a decay is taken as this one, which no sum in float64 feels: sums of larger ones would be less
exact, and a processor computes with the tiniest floats a hundred times slower."""


class Scanned(NamedTuple):
    """What a scan gives: outputs y (B, N, H, P), and the state h (B, S, H, P) behind the last position."""

    outputs: Tensor
    state: Tensor


def scan_one_by_one(values: Tensor, log_decays: Tensor, keys: Tensor, queries: Tensor, state: Tensor) -> Scanned:
    """Compute what `scan` does position by position: the reference it is tested against."""
    outputs = []
    for i in range(values.shape[1]):
        state = log_decays[:, i, None, :, None].exp() * state + keys[:, i, :, None, None] * values[:, i, None]
        outputs.append((queries[:, i, :, None, None] * state).sum(1))
    return Scanned(torch.stack(outputs, 1), state)


def scan(values: Tensor, log_decays: Tensor, keys: Tensor, queries: Tensor, state: Tensor, chunk: int) -> Scanned:
    """Run the recurrence from a state on (paper, section 6).

    Within a chunk y_i = sum_{j<=i} exp(log_decay_(j+1) + ... + log_decay_i) (q_i^T k_j) v_j; what is before the chunk
    acts through the state in front of it, and the states of all chunks are summed in the same way. Decays are
    exponentials of differences of sums that never rise, so that none overflows, and sums are of one chunk (or of the
    chunks of one call), so that little is lost in a difference.

    Time N (T + N / T); long records are scanned in parts, from the state that the part before them left.

    Args:
        values: v, (B, N, H, P).
        log_decays: (B, N, H), not positive.
        keys: k, (B, N, S), the same for all heads.
        queries: q, (B, N, S), the same for all heads.
        state: h in front of the first position, (B, S, H, P).
        chunk: T. The result does not depend on it, what it costs does.
    """
    num_positions, head_sizes = values.shape[1], values.shape[2:]
    values, log_decays, keys, queries = (_cut(tensor, chunk) for tensor in (values, log_decays, keys, queries))
    summed = log_decays.clamp(min=LOWEST).cumsum(2)
    to_here, to_end = (part.clamp(min=LOWEST).exp().unsqueeze(-1) for part in (summed, summed[:, :, -1:] - summed))
    weights = _Decays.apply(summed.transpose(2, 3)) * (queries @ keys.transpose(2, 3)).unsqueeze(2)
    within = (weights @ values.transpose(2, 3)).transpose(2, 3)
    added = keys.transpose(2, 3) @ (values * to_end).flatten(3)
    # the states in front of the chunks and behind the last one, as if a chunk before them had added the first state
    added = torch.cat([state.flatten(2).unsqueeze(1), added], 1)
    totals = nn.functional.pad(summed[:, :, -1].clamp(min=LOWEST), (0, 0, 1, 0)).cumsum(1).transpose(1, 2)
    by_head = added.unflatten(3, head_sizes).permute(0, 3, 1, 2, 4)
    states = (_Decays.apply(totals) @ by_head.flatten(3)).view_as(by_head).permute(0, 2, 3, 1, 4)
    across = (queries @ states[:, :-1].flatten(3)).unflatten(3, head_sizes)
    outputs = torch.addcmul(within, across, to_here).flatten(1, 2)[:, :num_positions]
    return Scanned(outputs, states[:, -1])


def _cut(tensor: Tensor, chunk: int) -> Tensor:
    """Cut (B, N, ...) into chunks, (B, J, T, ...), with zeros at the end, which change no state."""
    num_positions = tensor.shape[1]
    chunk = min(chunk, num_positions)
    missing = -num_positions % chunk
    padded = nn.functional.pad(tensor, (0, 0) * (tensor.ndim - 2) + (0, missing)) if missing else tensor
    return padded.unflatten(1, (-1, chunk))


class _Decays(torch.autograd.Function):
    """exp(summed_i - summed_j) where j <= i, else 0, (..., T, T), of sums (..., T) that never rise."""

    @staticmethod
    def forward(ctx: Any, summed: Tensor) -> Tensor:
        summed = summed.contiguous()
        decays = (summed.unsqueeze(-1) - summed.unsqueeze(-2)).clamp_(LOWEST, 0).exp_().tril_()
        ctx.save_for_backward(decays)
        return decays

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (decays,) = ctx.saved_tensors
        grad = grad * decays
        return grad.sum(-1) - grad.sum(-2)
