"""Trainable feature maps of linear attention: the feedforward kernels of Yorsh and Kovalenko (2022), and others.

A map phi takes the queries or keys of every head, (B, H, N, P), to features (B, H, N, F), none negative. Each head has
weights of its own.

B batch, N positions, H heads, P head dimension, F features.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from genomix.nn.dropout import Dropout
from genomix.nn.encoders.linear_attention import elu_features

FeatureMapName = Literal["ffn", "linear", "oglu", "a-oglu", "elu", "relu", "hedgehog"]
GATE_COMPRESSION = 4
"""Head dimension over the rank of the gate of `a-oglu`."""


class HeadLinear(nn.Module):
    """x -> W x with one W a head, from N(0, 2 / inputs) (He et al. 2015).

    Args:
        num_heads: H.
        input_dim: Columns of W.
        output_dim: Rows of W.
    """

    def __init__(self, num_heads: int, input_dim: int, output_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_heads, output_dim, input_dim) * math.sqrt(2 / input_dim))

    def forward(self, vectors: Tensor) -> Tensor:
        """Map (B, H, N, inputs) to (B, H, N, outputs)."""
        return vectors @ self.weight.mT


class OrthogonalLinear(HeadLinear):
    """x -> W x with a square W a head that a penalty draws towards an orthogonal one.

    Args:
        num_heads: H.
        dim: Rows and columns of W.
        orthogonality: What the penalty is multiplied by.
        orthogonal_start: Start from an orthogonal W.
    """

    def __init__(self, num_heads: int, dim: int, orthogonality: float, *, orthogonal_start: bool) -> None:
        super().__init__(num_heads, dim, dim)
        self.orthogonality = orthogonality
        if orthogonal_start:
            for weight in self.weight.detach():
                nn.init.orthogonal_(weight)

    def penalty(self) -> Tensor:
        """Return orthogonality * mean((W W^T - I)^2), the mean over heads and entries."""
        products = self.weight @ self.weight.mT
        identity = torch.eye(products.shape[-1], dtype=products.dtype, device=products.device)
        return self.orthogonality * (products - identity).square().mean()


class FeatureLayer(nn.Module):
    """x -> activation(W x), times sigmoid(gate(x)) where there is a gate.

    Args:
        linear: W.
        gate: From (B, H, N, P) to the shape of what it multiplies, or None.
        activation: What W x goes through.
        dropout: Probability of zeroing an entry of x.
    """

    def __init__(
        self, linear: nn.Module, gate: nn.Module | None, activation: Callable[[Tensor], Tensor], dropout: float
    ) -> None:
        super().__init__()
        self.linear, self.gate, self.activation = linear, gate, activation
        self.dropout = Dropout(dropout)

    def forward(self, vectors: Tensor) -> Tensor:
        """Map (B, H, N, P) to (B, H, N, P or F)."""
        vectors = self.dropout(vectors)
        features = self.activation(self.linear(vectors))
        return features if self.gate is None else features * self.gate(vectors).sigmoid()


def make_feature_map(
    name: FeatureMapName, num_heads: int, head_dim: int, *, num_layers: int, dropout: float, orthogonality: float
) -> Callable[[Tensor], Tensor]:
    """Return phi, of `num_layers` layers of which only the last has the activation.

    - `ffn`: softplus(W x).
    - `linear`: softplus(W_o x), W_o orthogonal at the start.
    - `oglu`: softplus(W_o x) * sigmoid(W_g x).
    - `a-oglu`: softplus(W_o x) * sigmoid(W_b W_a x), W_a with a quarter of P rows.
    - `elu`: elu(x) + 1, which has no weights and no layers (Katharopoulos et al. 2020).
    - `relu`: relu(W x) (Kasai et al. 2021, T2R, without its bias).
    - `hedgehog`: softmax([2 W x, -2 W x]), W the identity at the start (Zhang et al. 2024); F = 2 P.

    Args:
        name: Which.
        num_heads: H.
        head_dim: P.
        num_layers: Layers one upon another.
        dropout: Probability of zeroing an entry of the input of each layer.
        orthogonality: See `OrthogonalLinear`; for W of `ffn` and W_o.
    """
    if name == "elu":
        return elu_features
    last = {"relu": nn.functional.relu, "hedgehog": hedgehog_softmax}.get(name, nn.functional.softplus)
    return nn.Sequential(
        *(
            FeatureLayer(
                _make_linear(name, num_heads, head_dim, orthogonality),
                _make_gate(name, num_heads, head_dim),
                activation,
                dropout,
            )
            for activation in [nn.Identity()] * (num_layers - 1) + [last]
        )
    )


def hedgehog_softmax(vectors: Tensor) -> Tensor:
    """Map (..., P) to softmax([2 x, -2 x]), (..., 2 P)."""
    return torch.cat([2 * vectors, -2 * vectors], -1).softmax(-1)


def _make_linear(name: FeatureMapName, num_heads: int, dim: int, orthogonality: float) -> HeadLinear:
    if name not in ("relu", "hedgehog"):
        return OrthogonalLinear(num_heads, dim, orthogonality, orthogonal_start=name != "ffn")
    linear = HeadLinear(num_heads, dim, dim)
    if name == "hedgehog":
        linear.weight.detach().copy_(torch.eye(dim))
    return linear


def _make_gate(name: FeatureMapName, num_heads: int, dim: int) -> nn.Module | None:
    if name == "oglu":
        return HeadLinear(num_heads, dim, dim)
    if name == "a-oglu":
        rank = max(1, dim // GATE_COMPRESSION)
        return nn.Sequential(HeadLinear(num_heads, dim, rank), HeadLinear(num_heads, rank, dim))
    return None
