"""Convolutions that shorten, attention over what is left, and back: as Enformer (Avsec et al. 2021), in small.

B batch, N positions, D embedding, H heads, c convolutions.
"""

from __future__ import annotations

from torch import Tensor, nn

from genomix.nn.encoders.stack import Position
from genomix.nn.encoders.transformer import Transformer
from genomix.nn.positions import inside_records


class HalvingConvolution(nn.Module):
    """norm(gelu(convolution of stride 2)): of N positions it makes ceil(N / 2), the j-th around position 2 j.

    Args:
        dim: D.
        width: Positions that one of the shorter sequence sees, odd.
    """

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        if width % 2 == 0:
            raise ValueError(f"the width of a convolution must be odd, not {width}")
        self.convolution = nn.Conv1d(dim, dim, width, stride=2, padding=width // 2)
        self.activation = nn.GELU()
        self.norm = nn.LayerNorm(dim)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (B, N, D), zero behind the lengths, to (B, ceil(N / 2), D)."""
        return self.norm(self.activation(self.convolution(hidden.transpose(1, 2)).transpose(1, 2)))


class ConvTransformer(nn.Module):
    """y_i = norm(x_i + W z_j), j = i // 2^c, where z is a transformer over the input that c convolutions have halved.

    A shorter position is real if any of the two it comes from is.

    Args:
        dim: D.
        hidden_dim: Width of the hidden layer of each transformer layer's two-layer network.
        num_layers: Layers of the transformer.
        num_heads: H, a divisor of D.
        num_convolutions: c.
        width: Of each convolution, odd, at least 3, lest every other position be passed over.
        position: What is added before the transformer, see `Stack`.
        dropout: See `Layer`.

    Raises:
        ValueError: If the width is even.
    """

    def __init__(
        self,
        dim: int,
        hidden_dim: int,
        num_layers: int,
        num_heads: int,
        num_convolutions: int,
        width: int,
        *,
        position: Position = "sinusoidal",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.tower = nn.ModuleList(HalvingConvolution(dim, width) for _ in range(num_convolutions))
        self.transformer = Transformer(dim, hidden_dim, num_layers, num_heads, position=position, dropout=dropout)
        self.outward = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Encode (B, N, D), of which lengths (B,) positions are real, as (B, N, D), zero behind a record's length."""
        inside = inside_records(embedded, lengths)
        hidden, shorter = embedded * inside, lengths
        for halve in self.tower:
            hidden, shorter = halve(hidden), (shorter + 1) // 2
            hidden = hidden * inside_records(hidden, shorter)
        attended = self.outward(self.transformer(hidden, shorter))
        spread = attended.repeat_interleave(1 << len(self.tower), 1)[:, : embedded.shape[1]]
        return self.norm(embedded + spread) * inside
