"""CDIL-CNN: circular dilated convolutions (Cheng, Khalitov, Yu, Zhang, Yang 2022, Neurocomputing).

B batch, N positions, D embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from genomix.nn.dropout import Dropout
from genomix.nn.positions import inside_records, real_positions
from genomix.nn.protocols import count_factors

BIAS_DEVIATION = 0.01


class CircularConvolution(nn.Module):
    """y_i = x_i + dropout(relu(b + W (x_{i-d}, x_i, x_{i+d}))), positions modulo the record's own length.

    W is parametrised by the direction and the length of each of its rows (weight normalisation, Salimans and Kingma
    2016, equation 2), as published. Its start is that of torch's convolutions.

    Args:
        dim: D.
        dilation: d, in positions.
        dropout: Probability of zeroing an entry of what is added.
    """

    def __init__(self, dim: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.dilation = dilation
        linear = nn.Linear(3 * dim, dim)
        nn.init.normal_(linear.bias, std=BIAS_DEVIATION)
        self.linear = weight_norm(linear)
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Map (B, N, D), of which lengths (B,) positions are real, to the same; the others see themselves only."""
        num_positions = hidden.shape[1]
        rows = find_neighbours(lengths, num_positions, self.dilation)
        neighbours = hidden.flatten(0, 1).index_select(0, rows.flatten()).view(*hidden.shape[:2], -1)
        return hidden + self.dropout(self.linear(neighbours).relu())


class CdilCnn(nn.Module):
    """A stack of circular convolutions, the dilation of layer i, i = 0.., being 2^i.

    Args:
        dim: D.
        dropout: See `CircularConvolution`.
        num_layers: Layers, or None for ceil(log2 max_length) - 1, at least 1, after which a position sees
            2^(num_layers + 1) - 1 positions around itself.
        max_length: The most positions that a record is seen across.
    """

    def __init__(self, dim: int, *, dropout: float = 0.0, num_layers: int | None = None, max_length: int) -> None:
        super().__init__()
        if num_layers is None:
            num_layers = max(1, count_factors(max_length) - 1)
        self.layers = nn.ModuleList(CircularConvolution(dim, 1 << layer, dropout) for layer in range(num_layers))

    def forward(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Encode (B, N, D), of which lengths (B,) positions are real, as (B, N, D), zero behind a record's length."""
        hidden = embedded
        for layer in self.layers:
            hidden = layer(hidden, lengths)
        return hidden * inside_records(hidden, lengths)


def find_neighbours(lengths: Tensor, num_positions: int, dilation: int) -> Tensor:
    """Return which rows of (B * N, D) lie `dilation` before a position, at it, and `dilation` behind it.

    Args:
        lengths: Real positions of each record (B,), modulo which is counted.
        num_positions: N; positions behind a record's length are their own neighbours.
        dilation: In positions.

    Returns:
        Rows (B, N, 3), int64.
    """
    position = torch.arange(num_positions, device=lengths.device)[:, None]
    steps = dilation * torch.arange(-1, 2, device=lengths.device)
    neighbours = (position + steps) % lengths[:, None, None]
    neighbours = torch.where(real_positions(lengths, num_positions).unsqueeze(2), neighbours, position)
    return neighbours + torch.arange(len(lengths), device=lengths.device)[:, None, None] * num_positions
