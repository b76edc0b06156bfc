"""Vector code for the CPU kernels, written as LLVM instructions for the machine it runs on and called from numba code.

A vector function takes int64 arguments: addresses of float32, and strides and counts in floats. `LANES` floats are one
vector; what is called a width must be a multiple of it, and buffers are padded to that. Sums stay in registers, which
is what compilers do not manage from loops over arrays.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic


def _vector_unit() -> tuple[int, int]:
    """Return the floats in a vector, and how many vectors of sums fit the registers beside what else is needed."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 16, 24
    if features.get("avx"):
        return 8, 12
    return (4, 24) if features.get("neon") else (4, 12)


LANES, SUMS = _vector_unit()
_F32, _I32, _I64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_F32, LANES)


class VectorCode:
    """Writes the instructions of one vector function; values are LLVM values, vectors of LANES floats or int64."""

    def __init__(self, builder: ir.IRBuilder) -> None:
        self.builder = builder

    def integer(self, value: int) -> Any:
        """Return a constant."""
        return ir.Constant(_I64, value)

    def splat(self, value: float) -> Any:
        """Return a constant vector, all lanes the same."""
        return ir.Constant(_VECTOR, [float(np.float32(value))] * LANES)

    def offset(self, address: Any, floats: Any) -> Any:
        """Return the address that many floats further on."""
        return self.builder.add(address, self.builder.shl(floats, self.integer(2)))

    def load(self, address: Any, vector: int = 0) -> Any:
        """Load a vector; `vector` counts vectors from the address on."""
        return self.builder.load(self._pointer(address, vector), align=4)

    def store(self, value: Any, address: Any, vector: int = 0) -> None:
        """Store a vector; `vector` counts vectors from the address on."""
        self.builder.store(value, self._pointer(address, vector), align=4)

    def load_all(self, address: Any, vectors: int) -> list[Any]:
        """Load vectors that lie side by side."""
        return [self.load(address, v) for v in range(vectors)]

    def store_all(self, values: Sequence[Any], address: Any) -> None:
        """Store vectors side by side."""
        for v, value in enumerate(values):
            self.store(value, address, v)

    def broadcast(self, address: Any) -> Any:
        """Load one float into all lanes."""
        scalar = self.builder.load(self.builder.inttoptr(address, _F32.as_pointer()), align=4)
        empty = ir.Constant(_VECTOR, ir.Undefined)
        return self.shuffle(self.builder.insert_element(empty, scalar, ir.Constant(_I32, 0)), empty, [0] * LANES)

    def load_integer(self, address: Any, index: Any) -> Any:
        """Load the int64 at an index of an array."""
        at = self.builder.add(address, self.builder.shl(index, self.integer(3)))
        return self.builder.load(self.builder.inttoptr(at, _I64.as_pointer()), align=8)

    def call(self, name: str, *values: Any) -> Any:
        """Call one of LLVM's own functions on vectors: `fma`, `fabs`."""
        full = f"llvm.{name}.v{LANES}f32"
        function = self.builder.module.globals.get(full)
        if function is None:
            kind = ir.FunctionType(_VECTOR, [_VECTOR] * len(values))
            function = ir.Function(self.builder.module, kind, full)
        return self.builder.call(function, values)

    def shuffle(self, one: Any, other: Any, lanes: Sequence[int]) -> Any:
        """Choose lanes of two vectors, those of the second counted from LANES on."""
        return self.builder.shuffle_vector(one, other, ir.Constant(ir.VectorType(_I32, LANES), list(lanes)))

    def wrap(self, row: Any, length: Any) -> Any:
        """Return a row of 0 .. 2 * length - 1 modulo the length."""
        below = self.builder.sub(row, length)
        return self.builder.select(self.builder.icmp_signed(">=", row, length), below, row)

    def loop(
        self, count: Any, carried: Sequence[Any], body: Callable[[Any, Sequence[Any]], Sequence[Any]]
    ) -> list[Any]:
        """Run the body for 0 .. count - 1, count >= 1, with values carried from turn to turn; return the last ones."""
        builder, before = self.builder, self.builder.block
        turn, after = builder.append_basic_block("turn"), builder.append_basic_block("after")
        builder.branch(turn)
        builder.position_at_end(turn)
        index, *values = [builder.phi(value.type) for value in (count, *carried)]
        results = list(body(index, values))
        following = builder.add(index, self.integer(1))
        for phi, first, later in zip((index, *values), (self.integer(0), *carried), (following, *results), strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(later, builder.block)
        builder.cbranch(builder.icmp_signed("<", following, count), turn, after)
        builder.position_at_end(after)
        return results

    def _pointer(self, address: Any, vector: int) -> Any:
        at = self.builder.add(address, self.integer(4 * LANES * vector)) if vector else address
        return self.builder.inttoptr(at, _VECTOR.as_pointer())


def vector_function(name: str, write: Callable[..., None]) -> Any:
    """Return a function for numba code whose instructions `write(code, *arguments)` writes.

    Args:
        name: Of its own among vector functions.
        write: Takes a `VectorCode` and one LLVM value, int64, for each argument.
    """
    arguments = list(inspect.signature(write).parameters.values())[1:]

    def typed(context: Any, *_: Any) -> Any:  # noqa: ARG001 (numba passes it)
        return types.void(*[types.int64] * len(arguments)), generate

    def generate(context: Any, builder: ir.IRBuilder, _signature: Any, values: Any) -> Any:
        function = builder.module.globals.get(name)
        if function is None:
            function = ir.Function(builder.module, ir.FunctionType(ir.VoidType(), [_I64] * len(values)), name)
            function.linkage = "internal"
            function.attributes.add("noinline")
            inner = ir.IRBuilder(function.append_basic_block("entry"))
            write(VectorCode(inner), *function.args)
            inner.ret_void()
        builder.call(function, values)
        return context.get_dummy_value()

    first = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    typed.__signature__ = inspect.Signature([first, *arguments])
    typed.__name__ = name
    return intrinsic(typed)
