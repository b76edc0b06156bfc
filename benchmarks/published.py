"""The Paramixer network as it was published, in plain torch: what the kernels of genomix are timed against.

Yu, Khalitov, Cheng, Yang: Paramixer: Parameterizing Mixing Links in Sparse Factors Works Better than Dot-Product
Self-Attention (CVPR 2022), with the sizes of its genome experiment. Written from its formulas:

    X = dropout(E[tokens] + P);  V_0 = g(dropout(X));  V_m = W_m V_{m-1} + V_{m-1};  row i of W_m holds f_m(X_i)

A sparse factor is multiplied in as sparse-matrix libraries do it: the linked rows are selected into (B, N K, D),
multiplied by the link weights, and added up in their rows.

B batch, N positions, D embedding, H hidden, K links, M factors, C classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

VOCABULARY_SIZE, PAD = 6, 5
REACH = 4


def linked_positions(protocol: str, length: int) -> Tensor:
    """Return the positions that every row of every factor is linked to, (M, N, K) int64, M = ceil(log2 N).

    CHORD: i, i+1, i+2, i+4, ..., the same in each factor. CDIL: i, then i + k 2^m, then i - k 2^m for k = 1..4 in
    factor m. All modulo N.
    """
    num_factors = max(1, (length - 1).bit_length())
    if protocol == "chord":
        steps = [[0, *(2**k for k in range(num_factors))]] * num_factors
    else:
        sides = [*range(1, REACH + 1), *range(-1, -REACH - 1, -1)]
        steps = [[0, *(side * 2**factor for side in sides)] for factor in range(num_factors)]
    return (torch.arange(length)[None, :, None] + torch.tensor(steps)[:, None, :]) % length


class PublishedParamixer(nn.Module):
    """Tokens of records of one length to logits.

    Args:
        length: N; shorter records are filled up with the padding token, which counts as any other.
        dim: D.
        hidden_dim: H, of every f_m and of g.
        protocol: `"chord"` or `"cdil"`.
        num_classes: C.
        embedding_dropout: On X, and again on what g reads.
        dropout: On what the head reads.
    """

    linked: Tensor
    rows: Tensor

    def __init__(
        self,
        length: int,
        dim: int = 32,
        hidden_dim: int = 128,
        protocol: str = "chord",
        num_classes: int = 2,
        embedding_dropout: float = 0.2,
        dropout: float = 0.8,
    ) -> None:
        super().__init__()
        linked = linked_positions(protocol, length)
        num_factors, _, num_links = linked.shape
        self.tokens = nn.Embedding(VOCABULARY_SIZE, dim, padding_idx=PAD)
        self.positions = nn.Embedding(length, dim)
        self.value_mlp = _mlp(dim, hidden_dim, dim)
        self.link_mlps = nn.ModuleList(_mlp(dim, hidden_dim, num_links) for _ in range(num_factors))
        self.head = nn.Linear(length * dim, num_classes)
        self.embedding_dropout = nn.Dropout(embedding_dropout)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("linked", linked.flatten(1), persistent=False)  # (M, N K)
        self.register_buffer("rows", torch.arange(length).repeat_interleave(num_links), persistent=False)  # (N K,)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:  # noqa: ARG002 (padding counts as any token)
        """Return logits (B, C) of tokens (B, N)."""
        inputs = self.embedding_dropout(self.tokens(tokens.long()) + self.positions.weight)
        values = self.value_mlp(self.embedding_dropout(inputs))
        for link_mlp, linked in zip(self.link_mlps, self.linked, strict=True):
            values = self._multiply(link_mlp(inputs), linked, values) + values
        return self.head(self.dropout(values).flatten(1))

    def _multiply(self, link_weights: Tensor, linked: Tensor, values: Tensor) -> Tensor:
        """Multiply a factor of link_weights (B, N, K) at the linked positions (N K,) into values (B, N, D)."""
        selected = values.index_select(1, linked)
        weighted = selected * link_weights.reshape(len(values), -1, 1)
        # index_add gives the sums of scatter_add, on a CPU somewhat sooner.
        return torch.zeros_like(values).index_add(1, self.rows, weighted.to(values.dtype))


def _mlp(input_dim: int, hidden_dim: int, output_dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(input_dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, output_dim))
