"""Linear attention with trainable feedforward kernels as feature maps (Yorsh and Kovalenko 2022).

B batch, N positions, D embedding, H heads, P head dimension D / H.
"""

from __future__ import annotations

from genomix.nn.encoders.feature_maps import FeatureMapName, make_feature_map
from genomix.nn.encoders.linear_attention import LinearAttention
from genomix.nn.encoders.stack import Position, Stack


class Tfk(Stack):
    """A stack of pre-norm layers of linear attention, each with a trainable feature map for queries and keys.

    The published code divides the features of both by sqrt(P), which cancels in the ratio, and adds nothing to the
    denominator.

    Args:
        dim: D.
        hidden_dim: Width of the hidden layer of each layer's two-layer network.
        num_layers: Layers of the stack.
        num_heads: H, a divisor of D.
        feature_map: See `make_feature_map`.
        feature_layers: Layers of a feature map, one upon another.
        feature_dropout: Probability of zeroing an entry of the input of each layer of a feature map.
        orthogonality: What the penalty that draws W_o towards an orthogonal matrix is multiplied by.
        position: See `Stack`.
        dropout: See `Layer`.
    """

    def __init__(
        self,
        dim: int,
        hidden_dim: int,
        num_layers: int,
        num_heads: int,
        *,
        feature_map: FeatureMapName = "oglu",
        feature_layers: int = 1,
        feature_dropout: float = 0.1,
        orthogonality: float = 0.01,
        position: Position = "sinusoidal",
        dropout: float = 0.0,
    ) -> None:
        mixers = [
            LinearAttention(
                dim,
                num_heads,
                make_feature_map(
                    feature_map,
                    num_heads,
                    dim // num_heads,
                    num_layers=feature_layers,
                    dropout=feature_dropout,
                    orthogonality=orthogonality,
                ),
            )
            for _ in range(num_layers)
        ]
        super().__init__(dim, hidden_dim, mixers, position=position, dropout=dropout)
