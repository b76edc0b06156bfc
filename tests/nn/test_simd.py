"""The vector code equals plain numpy in double precision, within what float32 can say, and writes nowhere else."""

import subprocess
import sys

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from numba import njit
from scipy.special import ndtr

from genomix.nn.simd import LANES
from genomix.nn.simd_gelu import activate, activate_backward
from genomix.nn.simd_mixing import copy_rows, correlate_row, return_row, take_row
from genomix.nn.simd_product import add_product

GUARD = np.float32(7.25)
VECTOR_UNITS = {"avx": (8, 12), "neon": (4, 24)}
seeds = st.integers(0, 2**32 - 1)
examples = settings(deadline=None, max_examples=100)


@njit
def copy(target, source, rows, vectors, target_row, source_row):
    copy_rows(target, source, rows, vectors, target_row, source_row)


def unaligned(array):
    """A float32 copy that begins one float behind where a vector does, with a guard before and behind it."""
    room = np.full(array.size + 2 * LANES + 1, GUARD, np.float32)
    room[LANES + 1 : LANES + 1 + array.size] = array.ravel()
    return room[LANES + 1 : LANES + 1 + array.size].reshape(array.shape)


def normal(rng, *shape):
    return unaligned(rng.standard_normal(shape, dtype=np.float32))


def address(array):
    return array.ctypes.data


def assert_guarded(array):
    assert (array.base[: LANES + 1] == GUARD).all()
    assert (array.base[LANES + 1 + array.size :] == GUARD).all()


def assert_sums(found, expected, magnitude, terms):
    """Hold sums to the bound of rounding: each term and each addition is off by half a unit of float32 at most."""
    assert (np.abs(found - expected) <= (terms + 2) * 2.0**-24 * 1.01 * magnitude + 1e-37).all()


def check_product(rows, width, depth, *, transposed=False, origin="others", seed=0):
    rng = np.random.default_rng(seed)
    a, b = normal(rng, rows, depth), normal(rng, depth, width + 3)
    stored, a_row, a_depth = (unaligned(a.T), 1, rows) if transposed else (a, depth, 1)
    c, begins = normal(rng, rows, width + 5), normal(rng, 1 if origin == "one row" else rows, width)
    before = c.astype(float)
    begin, begin_row = (c, c.shape[1]) if origin == "itself" else (begins, width if origin == "others" else 0)
    wide_a, wide_b, first = a.astype(float), b[:, :width].astype(float), begin[:, :width].astype(float)
    add_product(
        address(stored),
        a_row,
        a_depth,
        address(b),
        b.shape[1],
        address(begin),
        begin_row,
        address(c),
        c.shape[1],
        rows,
        width,
        depth,
    )
    assert_sums(c[:, :width], first + wide_a @ wide_b, np.abs(first) + np.abs(wide_a) @ np.abs(wide_b), depth + 1)
    np.testing.assert_array_equal(c[:, width:], before[:, width:])
    assert_guarded(c)


@pytest.mark.parametrize("rows", range(1, 51))
def test_product_of_any_number_of_rows(rows):
    for vectors in range(1, 11):
        check_product(rows, vectors * LANES, 1 + (rows + vectors) % 5, seed=rows)


@examples
@given(
    rows=st.integers(1, 50),
    vectors=st.integers(1, 10),
    depth=st.integers(1, 70),
    transposed=st.booleans(),
    origin=st.sampled_from(["others", "one row", "itself"]),
    seed=seeds,
)
def test_product_of_any_depth_and_layout(rows, vectors, depth, transposed, origin, seed):
    check_product(rows, vectors * LANES, depth, transposed=transposed, origin=origin, seed=seed)


def bent(vectors, seed):
    """Numbers where GELU bends and some where it does not, with what GELU and its slope are there."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(vectors * LANES) * rng.choice([1e-6, 0.1, 1, 5, 50], vectors * LANES)
    z[: LANES // 2] = rng.choice([0.0, -0.0, 5.5, -5.5, 1e-30, -1e-30, 3e38, -3e38], LANES // 2)
    z = unaligned(z)
    exact = z.astype(float)
    with np.errstate(over="ignore"):
        density = np.exp(-0.5 * exact * exact) / np.sqrt(2 * np.pi)
    return z, exact, exact * ndtr(exact), ndtr(exact) + exact * density


def assert_bent(found, exact, gelu):
    assert (np.abs(found - gelu) <= 4e-7 * np.maximum(1, np.abs(exact))).all()
    near = np.abs(exact) < 1e-3
    assert (np.abs(found - gelu) <= 1e-6 * np.abs(gelu))[near].all()
    assert_guarded(found)


@examples
@given(vectors=st.integers(1, 20), seed=seeds)
def test_gelu(vectors, seed):
    z, exact, gelu, _ = bent(vectors, seed)
    activate(address(z), z.size)
    assert_bent(z, exact, gelu)


@examples
@given(vectors=st.integers(1, 20), seed=seeds)
def test_gelu_and_its_slope(vectors, seed):
    z, exact, gelu, slope = bent(vectors, seed)
    gradient = normal(np.random.default_rng(seed), z.size)
    expected = gradient * slope
    magnitude = np.abs(gradient).astype(float)
    activate_backward(address(z), address(gradient), z.size)
    assert_bent(z, exact, gelu)
    assert (np.abs(gradient - expected) <= 1e-6 * magnitude).all()
    assert_guarded(gradient)


@st.composite
def rows_of_factors(draw):
    """A row of a factor, the record's steps (K,) and length, its dimension, and a source of numbers."""
    length = draw(st.integers(1, 60))
    steps = np.array(draw(st.lists(st.integers(0, length - 1), min_size=1, max_size=40)), np.int64)
    dim, row = LANES * draw(st.integers(1, 9)), draw(st.integers(0, length - 1))
    return row, length, steps, dim, np.random.default_rng(draw(seeds))


@examples
@given(rows_of_factors())
def test_a_row_takes_from_its_links(case):
    row, length, steps, dim, rng = case
    values, weights, origin, target = (
        normal(rng, length, dim),
        normal(rng, len(steps)),
        normal(rng, dim),
        normal(rng, dim),
    )
    take_row(*map(address, (target, origin, weights, steps)), len(steps), address(values), dim, row, length)
    terms = weights.astype(float)[:, None] * values.astype(float)[(row + steps) % length]
    assert_sums(target, origin + terms.sum(0), np.abs(origin) + np.abs(terms).sum(0), len(steps) + 1)
    assert_guarded(target)


@examples
@given(rows_of_factors())
def test_a_row_gets_back_from_those_that_link_to_it(case):
    row, length, steps, dim, rng = case
    weights, gradients = normal(rng, length, len(steps)), normal(rng, length, dim)
    origin, target = normal(rng, dim), normal(rng, dim)
    return_row(*map(address, (target, origin, weights, steps)), len(steps), address(gradients), dim, row, length)
    factor = np.zeros((length, length, len(steps)))
    for k, step in enumerate(steps):
        factor[np.arange(length), (np.arange(length) + step) % length, k] = weights[:, k]
    terms = np.einsum("sk,sd->skd", factor[:, row], gradients.astype(float)).reshape(-1, dim)
    assert_sums(target, origin + terms.sum(0), np.abs(origin) + np.abs(terms).sum(0), len(steps) + 1)
    assert_guarded(target)


@examples
@given(rows_of_factors())
def test_what_a_row_learns_of_its_weights(case):
    row, length, steps, dim, rng = case
    values, gradient = normal(rng, length, dim), normal(rng, dim)
    padded = -(-len(steps) // LANES) * LANES
    out, partial = normal(rng, padded), unaligned(np.zeros((padded, LANES)))
    partial[: len(steps)] = GUARD  # of an earlier row
    correlate_row(*map(address, (out, partial, gradient, steps)), len(steps), address(values), dim, row, length)
    terms = gradient.astype(float) * values.astype(float)[(row + steps) % length]
    assert_sums(out[: len(steps)], terms.sum(1), np.abs(terms).sum(1), dim)
    assert not out[len(steps) :].any()
    for written in (out, partial):
        assert_guarded(written)


@examples
@given(
    rows=st.integers(1, 8),
    vectors=st.integers(1, 5),
    target_row=st.integers(1, 90),
    extra=st.integers(0, 9),
    seed=seeds,
)
def test_rows_are_copied_the_later_over_the_earlier(rows, vectors, target_row, extra, seed):
    rng = np.random.default_rng(seed)
    width = vectors * LANES
    source, target = normal(rng, rows, width + extra), normal(rng, (rows - 1) * target_row + width)
    expected = target.copy()
    for r in range(rows):
        expected[r * target_row : r * target_row + width] = source[r, :width]
    copy(address(target), address(source), rows, vectors, target_row, source.shape[1])
    np.testing.assert_array_equal(target, expected)
    assert_guarded(target)


@pytest.mark.parametrize("unit", VECTOR_UNITS)
def test_other_vector_units(unit):
    """The code for other machines, as far as this one can run it, in a process that takes itself for one of them."""
    program = (
        "import sys, pytest, llvmlite.binding as llvm;"
        "truth = llvm.get_host_cpu_features;"
        f"llvm.get_host_cpu_features = lambda: {{{unit!r}: True}};"
        "from genomix.nn.simd import LANES, SUMS;"
        f"assert (LANES, SUMS) == {VECTOR_UNITS[unit]};"
        "llvm.get_host_cpu_features = truth;"
        "sys.exit(pytest.main(['--noconftest', '-k', 'not other_vector_units', sys.argv[1]]))"
    )
    done = subprocess.run([sys.executable, "-c", program, __file__], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
