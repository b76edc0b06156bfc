"""Full attention of the same width, in the place of the Paramixer encoder: an opponent for speed and memory.

B batch, N positions, D embedding.
"""

from __future__ import annotations

from torch import Tensor, nn


class AttentionEncoder(nn.Module):
    """One pre-norm transformer layer (Vaswani et al. 2017; Xiong et al. 2020) by torch's fused attention.

    Args:
        dim: D.
        num_heads: Heads, each of D / heads channels.
        hidden_dim: Width of the hidden layer of the network that follows the attention.
        input_dropout: Probability of zeroing an entry of what enters.
        dropout: Probability of zeroing an entry of what comes out.
    """

    def __init__(
        self, dim: int, num_heads: int = 4, hidden_dim: int = 128, input_dropout: float = 0.2, dropout: float = 0.8
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"{num_heads} heads do not divide {dim} channels")
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(dim)
        self.queries_keys_values = nn.Linear(dim, 3 * dim)
        self.output = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, dim))
        self.input_dropout = nn.Dropout(input_dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, embedded: Tensor, lengths: Tensor) -> Tensor:  # noqa: ARG002 (all records are equally long)
        """Encode (B, N, D), every position of which is real, as (B, N, D)."""
        hidden = self.input_dropout(embedded)
        hidden = hidden + self._attend(self.attention_norm(hidden))
        return self.dropout(hidden + self.mlp(hidden))

    def _attend(self, hidden: Tensor) -> Tensor:
        num_batch, num_positions, dim = hidden.shape
        projected = self.queries_keys_values(hidden).view(num_batch, num_positions, 3, self.num_heads, -1)
        queries, keys, values = projected.permute(2, 0, 3, 1, 4)  # each (B, heads, N, D / heads)
        attended = nn.functional.scaled_dot_product_attention(queries, keys, values)
        return self.output(attended.transpose(1, 2).reshape(num_batch, num_positions, dim))
