"""Pre-norm residual layers, the frame around every mixer of positions that the attention models differ in.

B batch, N positions, D embedding.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from genomix.nn.dropout import Dropout
from genomix.nn.embedding import sinusoids
from genomix.nn.mlp import Mlp
from genomix.nn.positions import inside_records

Position = Literal["none", "sinusoidal"]


class Layer(nn.Module):
    """x = x + mixer(norm(x)), then x = x + mlp(norm(x)) (Xiong et al. 2020, the pre-norm transformer layer).

    Args:
        dim: D.
        hidden_dim: Width of the hidden layer of the two-layer network.
        mixer: Maps (B, N, D), zero behind the lengths, and lengths (B,) to (B, N, D); what it gives behind a record's
            length is not used.
        dropout: Probability of zeroing an entry of what is added.
    """

    def __init__(self, dim: int, hidden_dim: int, mixer: nn.Module, dropout: float) -> None:
        super().__init__()
        self.mixer_norm, self.mlp_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.mixer = mixer
        self.mlp = Mlp(dim, hidden_dim, dim)
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Map (B, N, D), of which lengths (B,) positions are real and the rest zero, to the same."""
        inside = inside_records(hidden, lengths)
        hidden = hidden + self.dropout(self.mixer(self.mixer_norm(hidden) * inside, lengths)) * inside
        return hidden + self.dropout(self.mlp(self.mlp_norm(hidden))) * inside


class Stack(nn.Module):
    """Positions added to the input, layers one after another, and a norm at the end.

    An encoder is a subclass that names its `MIXER`, of which every layer gets one of its own.

    Args:
        dim: D.
        hidden_dim: See `Layer`.
        num_layers: Layers of the stack.
        *values: What the mixer's constructor takes behind D.
        position: What is added to the input, since attention alone does not see order: `"sinusoidal"` (Vaswani et al.
            2017, section 3.5), or `"none"`.
        dropout: See `Layer`.
        **named: What the mixer's constructor takes by name.

    Raises:
        TypeError: If the mixer does not know a name, or misses a value.
    """

    MIXER: ClassVar[type[nn.Module]]

    def __init__(
        self,
        dim: int,
        hidden_dim: int,
        num_layers: int,
        *values: Any,
        position: Position = "sinusoidal",
        dropout: float = 0.0,
        **named: Any,
    ) -> None:
        super().__init__()
        self.position = position
        # all mixers before the first layer: in this order a seed gives its initial weights
        mixers = [self.make_mixer(dim, hidden_dim, *values, **named) for _ in range(num_layers)]
        self.layers = nn.ModuleList(Layer(dim, hidden_dim, mixer, dropout) for mixer in mixers)
        self.norm = nn.LayerNorm(dim)

    def make_mixer(self, dim: int, hidden_dim: int, *values: Any, **named: Any) -> nn.Module:  # noqa: ARG002
        """Return the mixer of one layer; a subclass whose mixer has a hidden layer gives it `hidden_dim`."""
        return self.MIXER(dim, *values, **named)

    def forward(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Encode (B, N, D), of which lengths (B,) positions are real, as (B, N, D), zero behind a record's length."""
        inside = inside_records(embedded, lengths)
        if self.position == "sinusoidal":
            embedded = embedded + sinusoids(embedded.shape[1], embedded.shape[2], embedded.device).to(embedded)
        hidden = embedded * inside
        for layer in self.layers:
            hidden = layer(hidden, lengths)
        return self.norm(hidden) * inside
