"""The kernels: whether their machine code is there already, and whether they compute what the reference does.

B batch, N positions, D embedding, H hidden, K links, M factors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from genomix.doctor.finding import Finding

TOLERANCE = 1e-4
"""Largest difference, as a share of the largest number, in float32."""
LENGTHS = [37, 23]
DIM, HIDDEN, LINKS, FACTORS = 32, 24, 5, 3
COMPILE = "genomix doctor --compile, once for all jobs on such machines, or leave it to the first command"

MEND = "remove the compiled kernels, and install torch and numba again; if that does not help, report it"


def find_compiled() -> Finding:
    """Return whether machine code of the CPU kernels is kept from earlier."""
    kernels = _kernels()
    kept = [kernel for kernel in kernels if hasattr(kernel._cache, "_cache_file")]  # noqa: SLF001
    if len(kept) < len(kernels):
        text = "there is no place to keep machine code: every command compiles its kernels anew (about a minute)"
        return Finding("compiled kernels", "warning", text, "set NUMBA_CACHE_DIR to a directory that can be written")
    place = str(kept[0]._cache.cache_path)  # noqa: SLF001
    missing = [kernel.__name__ for kernel in kept if not kernel._cache._cache_file._load_index()]  # noqa: SLF001
    figures = {"directory": place, "missing": missing}
    if not missing:
        return Finding("compiled kernels", "ok", f"in {place}", figures=figures)
    text = f"{len(missing)} of {len(kernels)} are not compiled yet: that takes up to a minute at their first use"
    return Finding("compiled kernels", "warning", text, COMPILE, figures)


def check_kernels(device: str) -> Finding:
    """Compute a small and odd case on a device, forward and backward, and hold it against the reference."""
    try:
        differences = {"mix": _compare_mix(device), "mix_factors": _compare_factors(device)}
    except Exception as error:  # noqa: BLE001 (whatever a compiler or a driver comes up with is to be told)
        return Finding(f"kernels on {device}", "broken", f"fail: {type(error).__name__}: {error}", MEND)
    worst = max(differences.values())
    text = f"largest difference from the reference {worst:.1e} of the largest number"
    if worst < TOLERANCE:
        return Finding(f"kernels on {device}", "ok", text, figures=differences)
    return Finding(f"kernels on {device}", "broken", text, MEND, differences)


def _kernels() -> list[Any]:
    from numba.core.dispatcher import Dispatcher

    from genomix.nn import kernels_cpu, mixing_cpu

    found = [value for module in (mixing_cpu, kernels_cpu) for value in vars(module).values()]
    return [value for value in found if isinstance(value, Dispatcher) and value.targetoptions.get("parallel")]


def _compare_mix(device: str) -> float:
    from genomix.nn.mixing import mix, mix_reference

    offsets = torch.tensor([0, 1, -2, 5, 40], device=device)
    lengths = torch.tensor(LENGTHS, device=device)
    inputs = [_random((len(LENGTHS), max(LENGTHS), LINKS), device), _random((len(LENGTHS), max(LENGTHS), DIM), device)]

    def apply(operator: Callable[..., Tensor], weights: Tensor, values: Tensor) -> Tensor:
        return operator(weights, offsets, values, lengths, residual=True)

    return _largest_difference(lambda *given: apply(mix, *given), lambda *given: apply(mix_reference, *given), inputs)


def _compare_factors(device: str) -> float:
    from genomix.nn.factors import LinkMlps, mix_factors, mix_factors_reference

    offsets = torch.tensor([[0, 1, 2, 4, 8], [0, -1, 3, 30, 7], [0, 2, 2, -9, 11]], device=device)
    lengths = torch.tensor(LENGTHS, device=device)
    shapes = [(FACTORS, HIDDEN, DIM), (FACTORS, HIDDEN), (FACTORS, LINKS, HIDDEN), (FACTORS, LINKS)]
    records = [_random((len(LENGTHS), max(LENGTHS), DIM), device) for _ in range(2)]
    inputs = [*records, *(0.3 * _random(shape, device) for shape in shapes)]

    def apply(operator: Callable[..., Tensor], one: Tensor, start: Tensor, *mlps: Tensor) -> Tensor:
        return operator(one, start, LinkMlps(*mlps), offsets, lengths)

    return _largest_difference(
        lambda *given: apply(mix_factors, *given), lambda *given: apply(mix_factors_reference, *given), inputs
    )


def _random(shape: tuple[int, ...], device: str) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator).to(device)


def _largest_difference(kernel: Callable[..., Tensor], truth: Callable[..., Tensor], inputs: list[Tensor]) -> float:
    """Return the largest difference of the outputs and of all gradients, as a share of the largest number of each."""
    found, expected = (_values_and_gradients(function, inputs) for function in (kernel, truth))
    return max(
        float((one - other).abs().max() / other.abs().max().clamp_min(1e-30))
        for one, other in zip(found, expected, strict=True)
    )


def _values_and_gradients(function: Callable[..., Tensor], inputs: list[Tensor]) -> list[Tensor]:
    leaves = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    out = function(*leaves)
    weights = torch.linspace(-1, 1, out.numel(), device=out.device).view_as(out)
    return [out.detach(), *torch.autograd.grad((out * weights).sum(), leaves)]
