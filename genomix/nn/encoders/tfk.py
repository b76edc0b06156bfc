"""Linear attention with trainable feedforward kernels as feature maps (Yorsh and Kovalenko 2022).

B batch, N positions, D embedding, H heads, P head dimension D / H.
"""

from __future__ import annotations

from genomix.nn.encoders.feature_maps import FeatureMapName, make_feature_map
from genomix.nn.encoders.linear_attention import LinearAttention
from genomix.nn.encoders.stack import Stack


class KernelAttention(LinearAttention):
    """Linear attention with a trainable feature map for queries and keys.

    The published code divides the features of both by sqrt(P), which cancels in the ratio, and adds nothing to the
    denominator.

    Args:
        dim: D.
        num_heads: H, a divisor of D.
        feature_map: See `make_feature_map`.
        feature_layers: Layers of a feature map, one upon another.
        feature_dropout: Probability of zeroing an entry of the input of each layer of a feature map.
        orthogonality: What the penalty that draws W_o towards an orthogonal matrix is multiplied by.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        *,
        feature_map: FeatureMapName,
        feature_layers: int,
        feature_dropout: float = 0.1,
        orthogonality: float = 0.01,
    ) -> None:
        features = make_feature_map(
            feature_map,
            num_heads,
            dim // num_heads,
            num_layers=feature_layers,
            dropout=feature_dropout,
            orthogonality=orthogonality,
        )
        super().__init__(dim, num_heads, features)


class Tfk(Stack):
    """A stack of pre-norm layers of linear attention, each with a feature map of its own.

    For arguments see `Stack` and `KernelAttention`.
    """

    MIXER = KernelAttention
