"""GELU and its slope for the CPU kernels, exact to float32 rounding (Hendrycks and Gimpel 2016: z Phi(z)).

Both need one tail of the normal distribution, gelu(z) = max(z, 0) - |z| Phi(-|z|); polynomials through it, found when
this module is loaded, cost less than exp or erf.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.polynomial import Chebyshev, Polynomial

from genomix.nn.simd import LANES, VectorCode, vector_function

_CLAMP = 5.5
"""Deviations beyond which the tail is below what float32 resolves beside 1."""
_AT_ONCE = 8
"""Vectors whose polynomials are computed side by side, to hide how long one multiplication takes."""


def _fit(function: Callable[[np.ndarray], np.ndarray], degree: int) -> list[float]:
    """Return a polynomial in 2 x / _CLAMP - 1 through a smooth function on 0 .. _CLAMP, highest power first."""
    fitted = Chebyshev.interpolate(function, degree, domain=[0, _CLAMP])
    return list(fitted.convert(kind=Polynomial, domain=[0, _CLAMP], window=[-1, 1]).coef[::-1])


def _tail(x: np.ndarray) -> np.ndarray:
    """Return Phi(-x)."""
    return np.array([0.5 * math.erfc(value / math.sqrt(2)) for value in x])


_TAIL = _fit(_tail, 15)
_TAIL_SLOPE = _fit(lambda x: _tail(x) - x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi), 17)


def _evaluate(code: VectorCode, coefficients: Sequence[float], arguments: Sequence[Any]) -> list[Any]:
    values = [code.splat(coefficients[0])] * len(arguments)
    for coefficient in coefficients[1:]:
        added = code.splat(coefficient)
        values = [code.call("fma", value, at, added) for value, at in zip(values, arguments, strict=True)]
    return values


def _clamped(code: VectorCode, size: Any) -> Any:
    """Return at most _CLAMP; what is not a number stays so, that a broken network be seen."""
    limit = code.splat(_CLAMP)
    return code.builder.select(code.builder.fcmp_ordered(">", size, limit), limit, size)


def _activation(vectors: int, *, backward: bool) -> Any:
    def write(code: VectorCode, z: Any, gradient: Any) -> None:
        builder, zero = code.builder, code.splat(0.0)
        before = code.load_all(z, vectors)
        sizes = [_clamped(code, code.call("fabs", value)) for value in before]
        scaled = [code.call("fma", size, code.splat(2 / _CLAMP), code.splat(-1.0)) for size in sizes]
        for v, tail in enumerate(_evaluate(code, _TAIL, scaled)):
            positive = builder.select(builder.fcmp_unordered(">", before[v], zero), before[v], zero)
            code.store(builder.fsub(positive, builder.fmul(sizes[v], tail)), z, v)
        if not backward:
            return
        for v, fall in enumerate(_evaluate(code, _TAIL_SLOPE, scaled)):
            above = builder.fcmp_ordered(">", before[v], zero)
            slope = builder.select(above, builder.fsub(code.splat(1.0), fall), fall)
            code.store(builder.fmul(code.load(gradient, v), slope), gradient, v)

    return vector_function(f"genomix_gelu{'_backward' if backward else ''}_{vectors}", write)


_forward, _forward_single = _activation(_AT_ONCE, backward=False), _activation(1, backward=False)
_backward, _backward_single = _activation(_AT_ONCE, backward=True), _activation(1, backward=True)


@njit
def activate(z: int, width: int) -> None:
    """Replace z, `width` floats at an address, by gelu(z); the width is a multiple of LANES."""
    j = 0
    while j + _AT_ONCE * LANES <= width:
        _forward(z + 4 * j, 0)
        j += _AT_ONCE * LANES
    while j < width:
        _forward_single(z + 4 * j, 0)
        j += LANES


@njit
def activate_backward(z: int, gradient: int, width: int) -> None:
    """Replace z, `width` floats at an address, by gelu(z), and the gradient of that by the gradient of z."""
    j = 0
    while j + _AT_ONCE * LANES <= width:
        _backward(z + 4 * j, gradient + 4 * j)
        j += _AT_ONCE * LANES
    while j < width:
        _backward_single(z + 4 * j, gradient + 4 * j)
        j += LANES
