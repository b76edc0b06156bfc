"""A network that says each base of a record.

B batch, N positions, D embedding.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from genomix.config import NetworkConfig
from genomix.errors import UsageError
from genomix.nn.build import build_features, padded_length
from genomix.nn.classifier import Network, Shortening

NUM_BASES = 4
COUNTED = 1 << 20
"""Positions of which it is counted how many an encoder leaves."""


class EveryPosition(nn.Module):
    """No pooling: what the encoder gives is handed on."""

    def forward(self, encoded: Tensor, mask: Tensor) -> Tensor:
        """Return (B, N, D) as it is."""
        del mask
        return encoded


class MaskedBaseModel(Network):
    """Four logits a base: what stands there, A, C, G or T.

    Embedding, stem and encoder are those of a classifier, under the same names. Behind them a two-layer network of its
    own says the bases under each position, as many as stem and encoder have made one of.
    """

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Return logits (B, N, 4) of tokens (B, N), of which lengths (B,) are real; for errors see `Network`."""
        says = super().forward(inputs, lengths)
        return says.reshape(len(says), -1, NUM_BASES)[:, : inputs.shape[1]]

    def forward_groups(self, groups: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
        """Return the logits (P, 4) of all positions of some groups, padding included, record by record."""
        said = [self(tokens, lengths).reshape(-1, NUM_BASES) for tokens, lengths in groups]
        return torch.cat(said) if said else next(self.head.parameters()).new_empty((0, NUM_BASES), requires_grad=True)


def build_masked_base_model(config: NetworkConfig) -> MaskedBaseModel:
    """Return the untrained network that a configuration describes; its pooling and head are left out.

    Raises:
        UsageError: If parts of the configuration do not fit together, or its encoder gives positions that do not stand
            for a number of bases.
    """
    embedding, stem, encoder, dim, _ = build_features(config)
    bases = 1 if stem is None else stem.stride
    if isinstance(encoder, Shortening):
        left = int(encoder.output_lengths(torch.tensor([COUNTED])))
        if COUNTED % left:
            raise UsageError(
                f"model.encoder.name: {config.encoder.name} makes {left} positions of {COUNTED}: there are no bases "
                "that belong to one of them; choose another encoder to pretrain"
            )
        bases *= COUNTED // left
    head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, bases * NUM_BASES))
    return MaskedBaseModel(embedding, stem, encoder, EveryPosition(), head, padded_length=padded_length(config))
