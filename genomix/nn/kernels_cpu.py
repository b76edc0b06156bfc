"""The CPU kernels of `mix_factors` and `mlp`: link MLP and mixing of a tile of rows together, all in the cache.

B batch, N positions, D embedding, H hidden, K links, P pieces, C chunks. Work is done for real positions only; it is
cut into pieces, runs of rows of one record, and these are shared out to chunks of about equal size. Both kernels also
run without mixing, as plain two-layer networks: one kernel for both takes half the time to compile.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from torch import Tensor

from genomix.nn.mixing_cpu import compiled, limit_threads
from genomix.nn.simd import LANES
from genomix.nn.simd_mixing import copy_rows, correlate_row, return_row, take_row
from genomix.nn.tiles_cpu import TILE_ROWS, Mlp, Scratch, compute_tile, differentiate_tile

PIECE_ROWS = 4 * TILE_ROWS
CHUNKS_A_THREAD = 4
NOTHING = np.empty((0, 0, 0), np.float32)
_NO_STEPS, _NO_LENGTHS = np.empty((0, 0), np.int64), np.empty(0, np.int64)
NO_MIXING = (NOTHING, NOTHING, _NO_STEPS, _NO_LENGTHS, NOTHING)
"""The last arguments of `compute` where there is nothing to mix."""
NO_MIXING_BACK = (NOTHING, NOTHING, _NO_STEPS, _NO_LENGTHS, NOTHING, NOTHING)
"""The last arguments of `differentiate` where nothing was mixed."""


def share_out(lengths: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Cut the rows of records into pieces, and those into chunks for as many threads as torch uses.

    Returns:
        pieces (P, 3): record, first row, last row + 1; and chunks (C + 1,): the pieces that chunks begin with, then P.
    """
    threads = limit_threads()
    pieces = np.array(
        [
            (record, first, min(first + PIECE_ROWS, length))
            for record, length in enumerate(lengths.tolist())
            for first in range(0, length, PIECE_ROWS)
        ],
        dtype=np.int64,
    )
    ends = np.cumsum(pieces[:, 2] - pieces[:, 1])
    shares = np.linspace(0, ends[-1], min(CHUNKS_A_THREAD * threads, len(pieces)) + 1)[1:-1]
    return pieces, np.unique(np.concatenate([[0], np.searchsorted(ends, shares), [len(pieces)]]))


@njit
def _store(outputs: np.ndarray, b: int, first: int, rows: int, tile: np.ndarray) -> None:
    """Copy the first K columns of a tile; whole vectors where what they write too much is overwritten by later rows."""
    num_positions, num_outputs = outputs.shape[1:]
    pitch = tile.shape[1]
    whole = max(0, rows - 1 - (pitch - 1) // num_outputs)
    if whole:
        target = outputs.ctypes.data + 4 * num_outputs * (b * num_positions + first)
        copy_rows(target, tile.ctypes.data, whole, pitch // LANES, num_outputs, pitch)
    for r in range(whole, rows):
        for k in range(num_outputs):
            outputs[b, first + r, k] = tile[r, k]


@njit
def _load(outputs: np.ndarray, b: int, first: int, rows: int, tile: np.ndarray) -> None:
    """Copy rows of K floats into a tile."""
    for r in range(rows):
        for k in range(outputs.shape[2]):
            tile[r, k] = outputs[b, first + r, k]


@compiled
def compute(
    inputs: np.ndarray,
    mlp: Mlp,
    pieces: np.ndarray,
    chunks: np.ndarray,
    outputs: np.ndarray,
    scratch: Scratch,
    values: np.ndarray,
    origin: np.ndarray,
    steps: np.ndarray,
    lengths: np.ndarray,
    mixed: np.ndarray,
) -> None:
    """Compute a network for all rows, and multiply the factor whose link weights it gives into the values.

    Args:
        inputs: (B, N, D).
        mlp: The network, D to K.
        pieces: From `share_out`.
        chunks: From `share_out`.
        outputs: (B, N, K), written, or empty if they need not be kept.
        scratch: Room for tiles.
        values: (B, N, D), or empty if there is nothing to mix.
        origin: (B, N, D), what is added to the mixed values.
        steps: (B, K) int64, offsets modulo the record's length.
        lengths: (B,) int64.
        mixed: (B, N, D), written.
    """
    num_positions, dim = inputs.shape[1:]
    num_links = steps.shape[1]
    pitch = len(mlp.bias2)
    for chunk in prange(len(chunks) - 1):
        tile = scratch.outputs[chunk].ctypes.data
        for piece in range(chunks[chunk], chunks[chunk + 1]):
            b, begin, end = pieces[piece, 0], pieces[piece, 1], pieces[piece, 2]
            record = 4 * dim * num_positions * b
            for first in range(begin, end, TILE_ROWS):
                rows = min(TILE_ROWS, end - first)
                compute_tile(inputs.ctypes.data + record + 4 * dim * first, rows, mlp, scratch, chunk, tile, pitch)
                if outputs.size:
                    _store(outputs, b, first, rows, scratch.outputs[chunk])
                if values.size:
                    for r in range(rows):
                        at = record + 4 * dim * (first + r)
                        take_row(
                            mixed.ctypes.data + at,
                            origin.ctypes.data + at,
                            tile + 4 * pitch * r,
                            steps[b].ctypes.data,
                            num_links,
                            values.ctypes.data + record,
                            dim,
                            first + r,
                            int(lengths[b]),
                        )


@compiled
def differentiate(
    inputs: np.ndarray,
    mlp: Mlp,
    pieces: np.ndarray,
    chunks: np.ndarray,
    outputs: np.ndarray,
    grad_inputs: np.ndarray,
    grad_weights: np.ndarray,
    scratch: Scratch,
    values: np.ndarray,
    gradient: np.ndarray,
    steps: np.ndarray,
    lengths: np.ndarray,
    grad_values: np.ndarray,
    direct: np.ndarray,
) -> None:
    """Take the gradient of the mixed values back to the values, to the network's inputs and to its weights.

    Args:
        inputs: (B, N, D).
        mlp: The network, D to K.
        pieces: From `share_out`.
        chunks: From `share_out`.
        outputs: (B, N, K), the link weights; or, where nothing was mixed, the gradient of the outputs.
        grad_inputs: (B, N, D), added to.
        grad_weights: (C, G), added to; `gradient_sizes` says what lies where.
        scratch: Room for tiles.
        values: (B, N, D), or empty if nothing was mixed.
        gradient: (B, N, D), of the mixed values.
        steps: (B, K) int64, offsets modulo the record's length.
        lengths: (B,) int64.
        grad_values: (B, N, D), written.
        direct: (B, N, D), added to: the gradient of what was added to the mixed values; empty if those were the values.
    """
    num_positions, dim = inputs.shape[1:]
    num_links = len(mlp.weight2)
    pitch = len(mlp.bias2)
    zeros = scratch.zeros.ctypes.data
    for chunk in prange(len(chunks) - 1):
        tile = scratch.outputs[chunk].ctypes.data
        partial = scratch.partial[chunk].ctypes.data
        for piece in range(chunks[chunk], chunks[chunk + 1]):
            b, begin, end = pieces[piece, 0], pieces[piece, 1], pieces[piece, 2]
            record = 4 * dim * num_positions * b
            weights = outputs.ctypes.data + 4 * num_links * num_positions * b
            for first in range(begin, end, TILE_ROWS):
                rows = min(TILE_ROWS, end - first)
                if values.size:
                    for r in range(rows):
                        at = record + 4 * dim * (first + r)
                        correlate_row(
                            tile + 4 * pitch * r,
                            partial,
                            gradient.ctypes.data + at,
                            steps[b].ctypes.data,
                            num_links,
                            values.ctypes.data + record,
                            dim,
                            first + r,
                            int(lengths[b]),
                        )
                        return_row(
                            grad_values.ctypes.data + at,
                            zeros if direct.size else gradient.ctypes.data + at,
                            weights,
                            steps[b].ctypes.data,
                            num_links,
                            gradient.ctypes.data + record,
                            dim,
                            first + r,
                            int(lengths[b]),
                        )
                        if direct.size:
                            for d in range(dim):
                                direct[b, first + r, d] += gradient[b, first + r, d]
                else:
                    _load(outputs, b, first, rows, scratch.outputs[chunk])
                target = grad_inputs.ctypes.data + record + 4 * dim * first
                differentiate_tile(
                    inputs.ctypes.data + record + 4 * dim * first,
                    rows,
                    mlp,
                    scratch,
                    chunk,
                    tile,
                    pitch,
                    target,
                    target,
                    grad_weights[chunk].ctypes.data,
                )
