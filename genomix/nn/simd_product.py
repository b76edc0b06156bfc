"""Products of small matrices for the CPU kernels: C = O + A B, with a piece of C held in registers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numba import njit

from genomix.nn.simd import LANES, SUMS, VectorCode, vector_function


def _product(rows: int, vectors: int) -> Any:
    def write(
        code: VectorCode,
        a: Any,
        a_row: Any,
        a_depth: Any,
        b: Any,
        b_depth: Any,
        origin: Any,
        origin_row: Any,
        c: Any,
        c_row: Any,
        depth: Any,
    ) -> None:
        targets, origins, sources = [c], [origin], [code.integer(0)]
        for _ in range(rows - 1):
            targets.append(code.offset(targets[-1], c_row))
            origins.append(code.offset(origins[-1], origin_row))
            sources.append(code.builder.add(sources[-1], a_row))

        def turn(_: Any, carried: Sequence[Any]) -> list[Any]:
            left, right, *sums = carried
            columns = code.load_all(right, vectors)
            for i, source in enumerate(sources):
                scalar = code.broadcast(code.offset(left, source))
                for v in range(vectors):
                    sums[i * vectors + v] = code.call("fma", scalar, columns[v], sums[i * vectors + v])
            return [code.offset(left, a_depth), code.offset(right, b_depth), *sums]

        sums = [total for begin in origins for total in code.load_all(begin, vectors)]
        sums = code.loop(depth, [a, b, *sums], turn)[2:]
        for i, target in enumerate(targets):
            code.store_all(sums[i * vectors : (i + 1) * vectors], target)

    return vector_function(f"genomix_product_{rows}x{vectors}", write)


_WIDE = 4 if SUMS >= 24 else 2
_ROWS_WIDE, _ROWS_TWO, _ROWS_ONE = SUMS // _WIDE, SUMS // 2, SUMS
_wide, _wide_some, _wide_single = _product(_ROWS_WIDE, _WIDE), _product(2, _WIDE), _product(1, _WIDE)
_two, _two_some, _two_single = _product(_ROWS_TWO, 2), _product(3, 2), _product(1, 2)
_one, _one_some, _one_single = _product(_ROWS_ONE, 1), _product(6, 1), _product(1, 1)


@njit
def add_product(
    a: int,
    a_row: int,
    a_depth: int,
    b: int,
    b_depth: int,
    origin: int,
    origin_row: int,
    c: int,
    c_row: int,
    rows: int,
    width: int,
    depth: int,
) -> None:
    """Set C[i, j] = O[i, j] + sum over p of A[i, p] * B[p, j], for i < rows, j < width and p < depth.

    Args:
        a: Address of A; A[i, p] is `i * a_row + p * a_depth` floats further on, so that A may lie transposed.
        a_row: Stride of A's rows.
        a_depth: Stride of A's columns.
        b: Address of B.
        b_depth: Stride of B's rows.
        origin: Address of O, which may be C itself, or with a stride of 0 one row for all.
        origin_row: Stride of O's rows.
        c: Address of C.
        c_row: Stride of C's rows.
        rows: Rows of A, O and C.
        width: Columns of B, O and C, a multiple of LANES.
        depth: Columns of A and rows of B, 1 or more.
    """
    j = 0
    while j < width:
        vectors = (width - j) // LANES
        i = 0
        while i < rows:
            left = rows - i
            at, source = a + 4 * i * a_row, b + 4 * j
            begin, target = origin + 4 * (i * origin_row + j), c + 4 * (i * c_row + j)
            if vectors >= _WIDE:
                if left >= _ROWS_WIDE:
                    _wide(at, a_row, a_depth, source, b_depth, begin, origin_row, target, c_row, depth)
                    i += _ROWS_WIDE
                elif left >= 2:
                    _wide_some(at, a_row, a_depth, source, b_depth, begin, origin_row, target, c_row, depth)
                    i += 2
                else:
                    _wide_single(at, a_row, a_depth, source, b_depth, begin, origin_row, target, c_row, depth)
                    i += 1
            elif vectors >= 2:
                if left >= _ROWS_TWO:
                    _two(at, a_row, a_depth, source, b_depth, begin, origin_row, target, c_row, depth)
                    i += _ROWS_TWO
                elif left >= 3:
                    _two_some(at, a_row, a_depth, source, b_depth, begin, origin_row, target, c_row, depth)
                    i += 3
                else:
                    _two_single(at, a_row, a_depth, source, b_depth, begin, origin_row, target, c_row, depth)
                    i += 1
            elif left >= _ROWS_ONE:
                _one(at, a_row, a_depth, source, b_depth, begin, origin_row, target, c_row, depth)
                i += _ROWS_ONE
            elif left >= 6:
                _one_some(at, a_row, a_depth, source, b_depth, begin, origin_row, target, c_row, depth)
                i += 6
            else:
                _one_single(at, a_row, a_depth, source, b_depth, begin, origin_row, target, c_row, depth)
                i += 1
        j += LANES * (_WIDE if vectors >= _WIDE else 2 if vectors >= 2 else 1)
