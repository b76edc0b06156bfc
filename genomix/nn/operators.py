"""The torch operators of this package, `torch.ops.genomix.*`: known to autograd, to fake tensors and to torch.compile.

They are registered by schema: the decorator torch offers instead imports its whole compiler at the first call, which
takes a second and 100 MB that no prediction needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_LIBRARY = torch.library.Library("genomix", "DEF")


def cast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Return floating tensors in the type that autocast asks for on their device, as they are where it does not.

    On a CPU that is float32: the compiled kernels take less than half the time of bfloat16 products in plain torch.
    """
    device = tensors[0].device.type
    if not torch.is_autocast_enabled(device):
        return tensors
    dtype = torch.float32 if device == "cpu" else torch.get_autocast_dtype(device)
    return tuple(tensor.to(dtype) for tensor in tensors)


def empty_like(tensor: Tensor) -> Tensor:
    """Return a contiguous tensor of the same shape and type, for what imitates an operator."""
    return torch.empty_like(tensor, memory_format=torch.contiguous_format)


def register(
    schema: str,
    compute: Callable[..., Any],
    imitate: Callable[..., Any],
    *,
    keep: Callable[..., None] | None = None,
    differentiate: Callable[..., Any] | None = None,
) -> Any:
    """Register an operator and return it.

    Args:
        schema: As torch writes them: `name(Tensor x, bool y) -> Tensor`. No output may share memory with an input.
        compute: What it does, on any device.
        imitate: The same for tensors without data: outputs of the right shapes and types.
        keep: Called with the autograd context, the inputs and the output, to save what the way back needs.
        differentiate: Called with that context and the gradients of the outputs, returns those of the inputs.
    """

    def compute_as_given(*arguments: Any) -> Any:
        device = next(argument.device.type for argument in arguments if isinstance(argument, Tensor))
        with torch.autocast(device, enabled=False):  # `cast` has chosen the type already
            return compute(*arguments)

    name = schema.partition("(")[0]
    _LIBRARY.define(schema)
    _LIBRARY.impl(name, compute_as_given, "CompositeExplicitAutograd")
    torch.library.register_fake(f"genomix::{name}", imitate, lib=_LIBRARY)
    if differentiate is not None:
        torch.library.register_autograd(f"genomix::{name}", differentiate, setup_context=keep, lib=_LIBRARY)
    return getattr(torch.ops.genomix, name)
