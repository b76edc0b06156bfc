"""Paramixer: mixing by a product of sparse, parameterised factors (Yu, Khalitov, Cheng, Yang: CVPR 2022).

B batch, N positions, D embedding, K links, M factors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from genomix.nn.dropout import Dropout
from genomix.nn.factors import LinkMlps, mix_factors
from genomix.nn.mlp import Mlp
from genomix.nn.positions import inside_records
from genomix.nn.protocols import Protocol, count_factors, link_offsets

Residual = Literal["step", "input"]


class ParamixerLayer(nn.Module):
    """One layer: V = g(V), then V = W_m V + V for m = 1..M, where the rows of W_m are f_m(X).

    Args:
        dim: D.
        hidden_dim: Width of the hidden layer of every `link_mlp` (f_m) and of the `value_mlp` (g).
        offsets: The links' offsets, M lists of K.
        residual: What is added after each factor: `"step"`, its own input (the paper); or `"input"`, g(V).
        link_scale: What the link weights are multiplied by, 1 in the paper. The values grow like a product of (W + I)
            over the factors; a scale of about 1 / K keeps them, and the steps of the optimiser, in bounds. With 0 every
            factor is the identity.
        normalise: Read V through a LayerNorm and add the outcome to V (a pre-norm residual layer), with g's last layer
            starting at zero, so that an untrained layer passes its input on; not so in the paper.
        dropout: Probability of zeroing an entry of the layer's outcome.
        recompute: Make the link weights again on the way back instead of keeping them, for memory.
    """

    offsets: Tensor

    def __init__(
        self,
        dim: int,
        hidden_dim: int,
        offsets: list[list[int]],
        *,
        residual: Residual,
        link_scale: float,
        normalise: bool,
        dropout: float,
        recompute: bool,
    ) -> None:
        super().__init__()
        num_links = len(offsets[0])
        self.norm = nn.LayerNorm(dim) if normalise else None
        self.value_mlp = Mlp(dim, hidden_dim, dim)
        self.link_mlps = nn.ModuleList(Mlp(dim, hidden_dim, num_links) for _ in offsets)
        self.register_buffer("offsets", torch.tensor(offsets, dtype=torch.int64), persistent=False)
        self.residual: Residual = residual
        self.dropout = Dropout(dropout)
        self.link_scale = link_scale
        self.recompute = recompute
        if normalise:
            _start_at_zero(self.value_mlp)

    def forward(self, values: Tensor, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Mix values (B, N, D) by factors made from inputs (B, N, D); rows behind lengths (B,) are not used.

        Returns:
            (B, N, D); rows behind a record's length are zero if those of the values are.
        """
        start = self.value_mlp(values if self.norm is None else self.norm(values))
        weight1, bias1, weight2, bias2 = (torch.stack(weights) for weights in zip(*self._link_weights(), strict=True))
        mixed = mix_factors(
            inputs,
            start,
            LinkMlps(weight1, bias1, weight2 * self.link_scale, bias2 * self.link_scale),
            self.offsets,
            lengths,
            residual_input=self.residual == "input",
            recompute=self.recompute,
        )
        mixed = self.dropout(mixed)
        return mixed if self.norm is None else values + mixed

    def _link_weights(self) -> Iterator[tuple[Tensor, ...]]:
        return (mlp.weights for mlp in self.link_mlps if isinstance(mlp, Mlp))


class ChannelLayer(nn.Module):
    """A Paramixer layer, then V = V + c(LayerNorm(V)), where c is a two-layer network over the channels of a position.

    The layer mixes positions, each channel like the others; c mixes channels, each position by itself: the feed-forward
    layer of Vaswani et al. 2017, section 3.3, equation 2, with GELU, and the norm before it. It is not in the Paramixer
    paper. Its last layer starts at zero, so that an untrained c changes nothing. If `normalise` is false there is no
    norm: V = V + c(V).

    Args:
        mixing: The Paramixer layer.
        dim: D.
        channel_dim: Width of the hidden layer of c.
        normalise: Whether c reads V through a LayerNorm.
        dropout: Probability of zeroing an entry of what c gives.
    """

    def __init__(self, mixing: ParamixerLayer, dim: int, channel_dim: int, *, normalise: bool, dropout: float) -> None:
        super().__init__()
        self.mixing = mixing
        self.norm = nn.LayerNorm(dim) if normalise else None
        self.channel_mlp = Mlp(dim, channel_dim, dim)
        self.dropout = Dropout(dropout)
        _start_at_zero(self.channel_mlp)

    def forward(self, values: Tensor, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Mix values as `ParamixerLayer` does, and then their channels; all shapes are the same."""
        values = self.mixing(values, inputs, lengths)
        added = self.dropout(self.channel_mlp(values if self.norm is None else self.norm(values)))
        return values + added * inside_records(values, lengths)


class Paramixer(nn.Module):
    """A stack of Paramixer layers; the factors of every layer are made from the input of the stack.

    Args:
        dim: D.
        hidden_dim: Width of the hidden layers of f_m and g.
        num_layers: Layers of the stack.
        protocol: `"chord"` or `"cdil"`.
        max_length: The length from which every position reaches every other: M = ceil(log2 max_length) factors.
        residual: See `ParamixerLayer`.
        link_scale: See `ParamixerLayer`.
        normalise: Read the input of f and the values of g through LayerNorm; make the layers pre-norm residual ones;
            and normalise what the last one gives.
        input_dropout: Probability of zeroing an entry of the values that enter.
        dropout: Probability of zeroing an entry of the outcome of a layer, and of what a `ChannelLayer` adds to it.
        recompute: See `ParamixerLayer`.
        channel_dim: Width of the hidden layer of a `ChannelLayer` around each layer; 0 for none, as in the paper.
    """

    def __init__(
        self,
        dim: int,
        hidden_dim: int,
        num_layers: int,
        protocol: Protocol,
        max_length: int,
        *,
        residual: Residual = "step",
        link_scale: float = 1.0,
        normalise: bool = False,
        input_dropout: float = 0.0,
        dropout: float = 0.0,
        recompute: bool | None = False,
        channel_dim: int = 0,
    ) -> None:
        super().__init__()
        offsets = link_offsets(protocol, count_factors(max_length))
        self.dropout = Dropout(input_dropout)
        self.norm = nn.LayerNorm(dim) if normalise else None
        self.output_norm = nn.LayerNorm(dim) if normalise else None

        def make_layer() -> nn.Module:
            layer = ParamixerLayer(
                dim,
                hidden_dim,
                offsets,
                residual=residual,
                link_scale=link_scale,
                normalise=normalise,
                dropout=dropout,
                recompute=bool(recompute),
            )
            if not channel_dim:
                return layer
            return ChannelLayer(layer, dim, channel_dim, normalise=normalise, dropout=dropout)

        self.layers = nn.ModuleList(make_layer() for _ in range(num_layers))

    def forward(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Encode (B, N, D), of which lengths (B,) positions are real, as (B, N, D), zero behind a record's length."""
        inputs = embedded if self.norm is None else self.norm(embedded)
        values = self.dropout(embedded)
        for layer in self.layers:
            values = layer(values, inputs, lengths)
        if self.output_norm is None:
            return values
        return self.output_norm(values) * inside_records(values, lengths)


def _start_at_zero(mlp: Mlp) -> None:
    nn.init.zeros_(mlp[2].weight)  # pyright: ignore[reportArgumentType]
    nn.init.zeros_(mlp[2].bias)  # pyright: ignore[reportArgumentType]
