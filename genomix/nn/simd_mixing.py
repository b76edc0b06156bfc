"""One row of a factor for the CPU kernels: what it takes from its links, gives back, and learns.

K links, D embedding. Steps are offsets modulo the record's length, int64; rows of values are `dim` floats apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numba import njit

from genomix.nn.simd import LANES, VectorCode, vector_function


def _gather(vectors: int, *, back: bool) -> Any:
    """Return the kernel of `take_row`, or with `back` that of `return_row`: they differ in row and weight of a link."""

    def write(
        code: VectorCode,
        target: Any,
        origin: Any,
        weights: Any,
        steps: Any,
        num_links: Any,
        values: Any,
        dim: Any,
        row: Any,
        length: Any,
    ) -> None:
        behind = code.builder.add(row, length)

        def turn(k: Any, sums: Sequence[Any]) -> list[Any]:
            step = code.load_integer(steps, k)
            linked = code.wrap(code.builder.sub(behind, step) if back else code.builder.add(row, step), length)
            source = code.offset(values, code.builder.mul(linked, dim))
            at = code.builder.add(code.builder.mul(linked, num_links), k) if back else k
            weight = code.broadcast(code.offset(weights, at))
            return [code.call("fma", weight, code.load(source, v), sums[v]) for v in range(vectors)]

        code.store_all(code.loop(num_links, code.load_all(origin, vectors), turn), target)

    return vector_function(f"genomix_{'return' if back else 'take'}_{vectors}", write)


def _correlate(vectors: int, *, first: bool) -> Any:
    def write(
        code: VectorCode,
        partial: Any,
        gradient: Any,
        steps: Any,
        num_links: Any,
        values: Any,
        dim: Any,
        row: Any,
        length: Any,
    ) -> None:
        own = code.load_all(gradient, vectors)

        def turn(k: Any, carried: Sequence[Any]) -> list[Any]:
            linked = code.wrap(code.builder.add(row, code.load_integer(steps, k)), length)
            source = code.offset(values, code.builder.mul(linked, dim))
            total = code.splat(0.0) if first else code.load(carried[0])
            for v in range(vectors):
                total = code.call("fma", own[v], code.load(source, v), total)
            code.store(total, carried[0])
            return [code.offset(carried[0], code.integer(LANES))]

        code.loop(num_links, [partial], turn)

    return vector_function(f"genomix_correlate_{'first_' if first else ''}{vectors}", write)


def _write_sums(code: VectorCode, partial: Any, out: Any) -> None:
    vectors = code.load_all(partial, LANES)
    span = 1
    while span < LANES:
        kept = [lane + LANES if lane & span else lane for lane in range(LANES)]
        moved = [(lane ^ span) + LANES if lane & span else lane ^ span for lane in range(LANES)]
        vectors = [
            code.builder.fadd(code.shuffle(one, other, kept), code.shuffle(one, other, moved))
            for one, other in zip(vectors[::2], vectors[1::2], strict=True)
        ]
        span *= 2
    code.store(vectors[0], out)


def _write_copy(
    code: VectorCode, target: Any, source: Any, rows: Any, vectors: Any, target_row: Any, source_row: Any
) -> None:
    def next_row(_: Any, carried: Sequence[Any]) -> list[Any]:
        def next_vector(_: Any, inner: Sequence[Any]) -> list[Any]:
            code.store(code.load(inner[1]), inner[0])
            return [code.offset(at, code.integer(LANES)) for at in inner]

        code.loop(vectors, carried, next_vector)
        return [code.offset(carried[0], target_row), code.offset(carried[1], source_row)]

    code.loop(rows, [target, source], next_row)


_take1, _take2, _take4 = (_gather(vectors, back=False) for vectors in (1, 2, 4))
_return1, _return2, _return4 = (_gather(vectors, back=True) for vectors in (1, 2, 4))
_first1, _first2, _first4 = (_correlate(vectors, first=True) for vectors in (1, 2, 4))
_more1, _more2, _more4 = (_correlate(vectors, first=False) for vectors in (1, 2, 4))
_sum_lanes = vector_function("genomix_sum_lanes", _write_sums)

copy_rows = vector_function("genomix_copy_rows", _write_copy)
"""Copy rows of whole vectors: takes target, source, rows, vectors in a row, and the two strides between rows."""


@njit
def take_row(
    target: int,
    origin: int,
    weights: int,
    steps: int,
    num_links: int,
    values: int,
    dim: int,
    row: int,
    length: int,
) -> None:
    """Mix one row: target = origin + sum over k of weights[k] * values[(row + steps[k]) mod length].

    All but the counts are addresses: of rows of D floats, of the row's K weights, of all values of the record.
    """
    d = 0
    while d < dim:
        at, begin, source = target + 4 * d, origin + 4 * d, values + 4 * d
        if dim - d >= 4 * LANES:
            _take4(at, begin, weights, steps, num_links, source, dim, row, length)
            d += 4 * LANES
        elif dim - d >= 2 * LANES:
            _take2(at, begin, weights, steps, num_links, source, dim, row, length)
            d += 2 * LANES
        else:
            _take1(at, begin, weights, steps, num_links, source, dim, row, length)
            d += LANES


@njit
def return_row(
    target: int,
    origin: int,
    weights: int,
    steps: int,
    num_links: int,
    gradients: int,
    dim: int,
    row: int,
    length: int,
) -> None:
    """Collect a row's gradient: target = origin + sum over k of weights[s, k] * gradients[s], s = row - steps[k].

    As links are circulant, the senders s are taken modulo the length and each is read once. All but the counts are
    addresses; the weights are those of the whole record, (length, K).
    """
    d = 0
    while d < dim:
        at, begin, source = target + 4 * d, origin + 4 * d, gradients + 4 * d
        if dim - d >= 4 * LANES:
            _return4(at, begin, weights, steps, num_links, source, dim, row, length)
            d += 4 * LANES
        elif dim - d >= 2 * LANES:
            _return2(at, begin, weights, steps, num_links, source, dim, row, length)
            d += 2 * LANES
        else:
            _return1(at, begin, weights, steps, num_links, source, dim, row, length)
            d += LANES


@njit
def correlate_row(
    out: int,
    partial: int,
    gradient: int,
    steps: int,
    num_links: int,
    values: int,
    dim: int,
    row: int,
    length: int,
) -> None:
    """Differentiate a row's link weights: out[k] = gradient . values[(row + steps[k]) mod length].

    All but the counts are addresses; `out` has room for K floats rounded up to LANES, and `partial` for as many
    vectors, those behind K zero, so that `out` is zero there too.
    """
    d = 0
    while d < dim:
        begin, source = gradient + 4 * d, values + 4 * d
        if dim - d >= 4 * LANES:
            if d:
                _more4(partial, begin, steps, num_links, source, dim, row, length)
            else:
                _first4(partial, begin, steps, num_links, source, dim, row, length)
            d += 4 * LANES
        elif dim - d >= 2 * LANES:
            if d:
                _more2(partial, begin, steps, num_links, source, dim, row, length)
            else:
                _first2(partial, begin, steps, num_links, source, dim, row, length)
            d += 2 * LANES
        else:
            if d:
                _more1(partial, begin, steps, num_links, source, dim, row, length)
            else:
                _first1(partial, begin, steps, num_links, source, dim, row, length)
            d += LANES
    k = 0
    while k < num_links:
        _sum_lanes(partial + 4 * LANES * k, out + 4 * k)
        k += LANES
