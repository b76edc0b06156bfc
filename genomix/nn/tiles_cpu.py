"""Tiles of two-layer networks, y = W2 gelu(W1 x + b1) + b2, for the CPU kernels: some rows, all within the cache.

R rows, D inputs, H hidden, K outputs, M networks; H and K are padded to whole vectors. The hidden layer of a tile is
made, used and forgotten; on the way back it is made again. Functions for numba take addresses where they say so.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from torch import Tensor

from genomix.nn.simd import LANES
from genomix.nn.simd_gelu import activate, activate_backward
from genomix.nn.simd_product import add_product

TILE_ROWS = 48
"""A multiple of the rows that the product kernels take at once; the hidden layer of a tile fits the nearest cache."""


class Mlp(NamedTuple):
    """One network as the kernel reads it, float32, the padding zero.

    Attributes:
        weight1_t: (D, H).
        bias1: (H,).
        weight2_t: (H, K).
        bias2: (K,).
        weight1: (H, D), for the way back.
        weight2: (K, H), for the way back, with K as it is.
    """

    weight1_t: np.ndarray
    bias1: np.ndarray
    weight2_t: np.ndarray
    bias2: np.ndarray
    weight1: np.ndarray
    weight2: np.ndarray


class Scratch(NamedTuple):
    """Room for a tile, one for each of C chunks that are computed side by side.

    Attributes:
        hidden: (C, TILE_ROWS, H).
        grad_hidden: (C, TILE_ROWS, H).
        outputs: (C, TILE_ROWS, K padded), the padding zero.
        partial: (C, K padded, LANES), partial sums for the gradients of a row's link weights, the padding zero.
        zeros: (max(D, H),).
        ones: (TILE_ROWS,).
    """

    hidden: np.ndarray
    grad_hidden: np.ndarray
    outputs: np.ndarray
    partial: np.ndarray
    zeros: np.ndarray
    ones: np.ndarray


def pack(weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor) -> list[Mlp]:
    """Pad and transpose the weights (M, H, D), (M, H), (M, K, H), (M, K) of M networks."""
    hidden, outputs = -weight1.shape[1] % LANES, -weight2.shape[1] % LANES
    pad = torch.nn.functional.pad
    weight1, weight2 = pad(weight1, (0, 0, 0, hidden)), pad(weight2, (0, hidden))
    tensors = (
        weight1.transpose(1, 2),
        pad(bias1, (0, hidden)),
        pad(weight2.transpose(1, 2), (0, outputs)),
        pad(bias2, (0, outputs)),
        weight1,
        weight2,
    )
    stacked = [tensor.detach().contiguous().numpy() for tensor in tensors]
    return [Mlp(*(array[m] for array in stacked)) for m in range(len(weight1))]


def make_scratch(mlp: Mlp, num_chunks: int) -> Scratch:
    """Return room for the tiles of some chunks; torch's memory begins where a vector does."""
    dim, hidden_dim = mlp.weight1_t.shape
    tile = torch.zeros(2, num_chunks, TILE_ROWS, hidden_dim)
    outputs = torch.zeros(num_chunks, TILE_ROWS, len(mlp.bias2))
    partial = torch.zeros(num_chunks, len(mlp.bias2), LANES)
    others = torch.zeros(max(dim, hidden_dim)), torch.ones(TILE_ROWS)
    return Scratch(*(tensor.numpy() for tensor in (tile[0], tile[1], outputs, partial, *others)))


def gradient_sizes(mlp: Mlp) -> tuple[int, int, int, int]:
    """Return the floats of the gradients of weight1_t (D, H), weight2 (K, H), bias1 (H,) and bias2 (K padded,)."""
    return mlp.weight1_t.size, mlp.weight2.size, mlp.bias1.size, mlp.bias2.size


def split_gradient(summed: Tensor, mlp: Mlp, hidden_dim: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of weight1, bias1, weight2 and bias2, without the padding, that tiles have added up.

    Args:
        summed: (M, sum of `gradient_sizes`).
        mlp: One of the M networks.
        hidden_dim: H before it was padded.
    """
    weight1_t, weight2, bias1, bias2 = summed.split(gradient_sizes(mlp), 1)
    parts = (
        weight1_t.unflatten(1, mlp.weight1_t.shape)[:, :, :hidden_dim].transpose(1, 2),
        bias1[:, :hidden_dim],
        weight2.unflatten(1, mlp.weight2.shape)[:, :, :hidden_dim],
        bias2[:, : len(mlp.weight2)],
    )
    first, second, third, fourth = (part.clone(memory_format=torch.contiguous_format) for part in parts)
    return first, second, third, fourth


@njit
def compute_tile(inputs: int, rows: int, mlp: Mlp, scratch: Scratch, chunk: int, outputs: int, pitch: int) -> None:
    """Compute the outputs of up to TILE_ROWS rows.

    Args:
        inputs: Address of the rows (R, D).
        rows: R.
        mlp: The network.
        scratch: Room for the hidden layer.
        chunk: Whose room it is.
        outputs: Address for (R, K padded).
        pitch: Floats from one row of the outputs to the next.
    """
    dim, hidden_dim = mlp.weight1_t.shape
    width = len(mlp.bias2)
    hidden = scratch.hidden[chunk].ctypes.data
    w1, b1, w2, b2 = mlp.weight1_t.ctypes.data, mlp.bias1.ctypes.data, mlp.weight2_t.ctypes.data, mlp.bias2.ctypes.data
    add_product(inputs, dim, 1, w1, hidden_dim, b1, 0, hidden, hidden_dim, rows, hidden_dim, dim)
    activate(hidden, rows * hidden_dim)
    add_product(hidden, hidden_dim, 1, w2, width, b2, 0, outputs, pitch, rows, width, hidden_dim)


@njit
def differentiate_tile(
    inputs: int,
    rows: int,
    mlp: Mlp,
    scratch: Scratch,
    chunk: int,
    grad_outputs: int,
    pitch: int,
    grad_inputs: int,
    origin: int,
    grad_weights: int,
) -> None:
    """Take the gradient of up to TILE_ROWS rows back to the inputs, and add it up for the weights.

    Args:
        inputs: Address of the rows (R, D).
        rows: R.
        mlp: The network.
        scratch: Room for the hidden layer.
        chunk: Whose room it is.
        grad_outputs: Address of (R, K padded), the padding zero.
        pitch: Floats from one row of that to the next.
        grad_inputs: Address for (R, D).
        origin: Address of what is added to that, (R, D).
        grad_weights: Address of the sums, behind each other as in `gradient_sizes`.
    """
    dim, hidden_dim = mlp.weight1_t.shape
    num_outputs, width = len(mlp.weight2), len(mlp.bias2)
    hidden, grad_hidden = scratch.hidden[chunk].ctypes.data, scratch.grad_hidden[chunk].ctypes.data
    zeros, ones = scratch.zeros.ctypes.data, scratch.ones.ctypes.data
    w1t, b1 = mlp.weight1_t.ctypes.data, mlp.bias1.ctypes.data
    w1, w2 = mlp.weight1.ctypes.data, mlp.weight2.ctypes.data
    g1 = grad_weights
    g2 = g1 + 4 * dim * hidden_dim
    gb1 = g2 + 4 * num_outputs * hidden_dim
    gb2 = gb1 + 4 * hidden_dim
    add_product(inputs, dim, 1, w1t, hidden_dim, b1, 0, hidden, hidden_dim, rows, hidden_dim, dim)
    add_product(
        grad_outputs, pitch, 1, w2, hidden_dim, zeros, 0, grad_hidden, hidden_dim, rows, hidden_dim, num_outputs
    )
    activate_backward(hidden, grad_hidden, rows * hidden_dim)
    add_product(
        grad_outputs, 1, pitch, hidden, hidden_dim, g2, hidden_dim, g2, hidden_dim, num_outputs, hidden_dim, rows
    )
    add_product(ones, 0, 1, grad_outputs, pitch, gb2, 0, gb2, 0, 1, width, rows)
    add_product(inputs, 1, dim, grad_hidden, hidden_dim, g1, hidden_dim, g1, hidden_dim, dim, hidden_dim, rows)
    add_product(ones, 0, 1, grad_hidden, hidden_dim, gb1, 0, gb1, 0, 1, hidden_dim, rows)
    add_product(grad_hidden, hidden_dim, 1, w1, dim, origin, dim, grad_inputs, dim, rows, dim, hidden_dim)
