"""All factors of a layer multiplied in, their link weights made on the way: V = W_m V + V, rows of W_m from f_m(X).

B batch, N positions, D embedding, H hidden, K links, M factors.

`mix_factors` is the torch operator `genomix::mix_factors`; the kernel is chosen by device and type when it runs. The
hidden layer of f_m exists for a few rows at a time only, and is computed again on the way back.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genomix.nn import factors_plain
from genomix.nn.mixing import mix_reference
from genomix.nn.operators import cast, empty_like, register
from genomix.nn.positions import inside_records


class LinkMlps(NamedTuple):
    """The M two-layer networks f_m, stacked: f_m(x) = weight2[m] gelu(weight1[m] x + bias1[m]) + bias2[m].

    Attributes:
        weight1: (M, H, D).
        bias1: (M, H).
        weight2: (M, K, H).
        bias2: (M, K).
    """

    weight1: Tensor
    bias1: Tensor
    weight2: Tensor
    bias2: Tensor


def mix_factors(
    inputs: Tensor,
    start: Tensor,
    link_mlps: LinkMlps,
    offsets: Tensor,
    lengths: Tensor,
    *,
    residual_input: bool = False,
    recompute: bool = False,
) -> Tensor:
    """Multiply all factors into the values, as equations 5 to 7 of the Paramixer paper say.

    V_0 = start; V_{m+1} = W_m V_m + V_m (or + start with `residual_input`), where row i of W_m holds f_m(inputs_i) at
    the links of i. Under autocast all tensors are `cast`.

    Args:
        inputs: X, (B, N, D), floating point.
        start: V_0, (B, N, D), of the same type.
        link_mlps: f_1 to f_M.
        offsets: (M, K) int64, distances to the linked positions, of either sign and any size.
        lengths: (B,) int64, real positions of each record, 1 to N; links wrap there.
        residual_input: Add `start` after each factor instead of the factor's own input.
        recompute: Make the link weights, (M, B, N, K), again on the way back instead of keeping them: about a fifth
            more time for a third less memory.

    Returns:
        (B, N, D); rows at and behind a record's length are zero.
    """
    tensors = cast(inputs, start, *link_mlps)
    keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    return _mix_factors(*tensors, offsets, lengths, residual_input, keep, keep and not recompute)[0]


def choose_kernel(inputs: Tensor, link_mlps: LinkMlps) -> ModuleType:
    """Return the module whose `forward` and `backward` serve these tensors: numba, Triton, or blocks of plain torch."""
    if inputs.device.type == "cpu":
        from genomix.nn import factors_cpu

        if factors_cpu.serves(inputs):
            return factors_cpu
    if inputs.device.type == "cuda":
        from genomix.nn import factors_triton

        if factors_triton.serves(inputs, link_mlps):
            return factors_triton
    return factors_plain


def _compute(
    inputs: Tensor,
    start: Tensor,
    weight1: Tensor,
    bias1: Tensor,
    weight2: Tensor,
    bias2: Tensor,
    offsets: Tensor,
    lengths: Tensor,
    residual_input: bool,
    keep_values: bool,
    keep_weights: bool,
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    link_mlps = LinkMlps(weight1.contiguous(), bias1.contiguous(), weight2.contiguous(), bias2.contiguous())
    return choose_kernel(inputs, link_mlps).forward(
        inputs.contiguous(),
        start.contiguous(),
        link_mlps,
        offsets,
        lengths,
        residual_input=residual_input,
        keep_values=keep_values,
        keep_weights=keep_weights,
    )


def _imitate(
    inputs: Tensor,
    start: Tensor,
    weight1: Tensor,
    bias1: Tensor,  # noqa: ARG001
    weight2: Tensor,
    bias2: Tensor,  # noqa: ARG001
    offsets: Tensor,  # noqa: ARG001
    lengths: Tensor,  # noqa: ARG001
    residual_input: bool,  # noqa: ARG001
    keep_values: bool,
    keep_weights: bool,
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    return empty_like(start), *kept(inputs, weight1.shape[0], weight2.shape[1], keep_values, keep_weights)


def kept(
    inputs: Tensor, num_factors: int, num_links: int, keep_values: bool, keep_weights: bool
) -> tuple[list[Tensor], list[Tensor]]:
    """Return room for V_1 to V_{M-1}, each (B, N, D), and for the link weights, M times (B, N, K); none if not kept.

    Tensors of their own, all of a size with what else comes and goes, leave no gaps in memory as a large one would.
    """
    shape, values, weights = inputs.shape, (num_factors - 1) * keep_values, num_factors * keep_weights
    return (
        [inputs.new_empty(shape) for _ in range(values)],
        [inputs.new_empty(*shape[:2], num_links) for _ in range(weights)],
    )


def _compute_back(
    grad_out: Tensor,
    inputs: Tensor,
    start: Tensor,
    weight1: Tensor,
    bias1: Tensor,
    weight2: Tensor,
    bias2: Tensor,
    offsets: Tensor,
    lengths: Tensor,
    kept_values: list[Tensor],
    kept_weights: list[Tensor],
    residual_input: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    link_mlps = LinkMlps(weight1.contiguous(), bias1.contiguous(), weight2.contiguous(), bias2.contiguous())
    return choose_kernel(inputs, link_mlps).backward(
        grad_out.contiguous(),
        inputs.contiguous(),
        start.contiguous(),
        link_mlps,
        offsets,
        lengths,
        kept_values,
        kept_weights,
        residual_input=residual_input,
    )


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, list[Tensor], list[Tensor]]) -> None:
    *tensors, ctx.residual_input, _, _ = inputs
    _, kept_values, kept_weights = output
    ctx.num_values = len(kept_values)
    ctx.save_for_backward(*tensors, *kept_values, *kept_weights)
    ctx.mark_non_differentiable(*kept_values, *kept_weights)
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, grad_out: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
    if grad_out is None:
        return (None,) * 11
    tensors, kept_tensors = ctx.saved_tensors[:8], ctx.saved_tensors[8:]
    kept_values, kept_weights = list(kept_tensors[: ctx.num_values]), list(kept_tensors[ctx.num_values :])
    gradients = _mix_factors_backward(grad_out, *tensors, kept_values, kept_weights, ctx.residual_input)
    return *gradients, None, None, None, None, None


_TENSORS = (
    "Tensor inputs, Tensor start, Tensor weight1, Tensor bias1, Tensor weight2, Tensor bias2, "
    "Tensor offsets, Tensor lengths"
)
_mix_factors_backward = register(
    f"mix_factors_backward(Tensor grad_out, {_TENSORS}, Tensor[] kept_values, Tensor[] kept_weights, "
    "bool residual_input) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    _compute_back,
    lambda _, *tensors: tuple(empty_like(tensor) for tensor in tensors[:6]),
)
_mix_factors = register(
    f"mix_factors({_TENSORS}, bool residual_input, bool keep_values, bool keep_weights)"
    " -> (Tensor, Tensor[], Tensor[])",
    _compute,
    _imitate,
    keep=_keep,
    differentiate=_differentiate,
)


def mix_factors_reference(
    inputs: Tensor,
    start: Tensor,
    link_mlps: LinkMlps,
    offsets: Tensor,
    lengths: Tensor,
    *,
    residual_input: bool = False,
) -> Tensor:
    """Do what `mix_factors` does with one plain operation after another: the truth every kernel is held against."""
    mixed = start
    for weight1, bias1, weight2, bias2, links in zip(*link_mlps, offsets, strict=True):
        hidden = torch.nn.functional.gelu(torch.nn.functional.linear(inputs, weight1, bias1))
        link_weights = torch.nn.functional.linear(hidden, weight2, bias2)
        mixed = mix_reference(link_weights, links, mixed, lengths, residual=not residual_input)
        if residual_input:
            mixed = mixed + start
    return mixed * inside_records(mixed, lengths)
