"""The whole network: a record in, one logit a class or one number out.

B batch, N positions, D embedding, C classes or numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from genomix.nn.embedding import PositionedEmbedding
from genomix.nn.pooling import ClsPooling, PooledNorm
from genomix.nn.positions import real_positions
from genomix.nn.stem import ConvStem
from genomix.nn.strands import other_strand

PAD = 5


@runtime_checkable
class Shortening(Protocol):
    """An encoder that gives fewer positions than it takes, or other channels.

    Attributes:
        output_dim: Channels it gives.
    """

    output_dim: int

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return how many positions it makes of records that have `lengths` (B,) of them."""
        ...


class Network(nn.Module):
    """Embedding, stem, encoder, pooling and head in a row.

    Args:
        embedding: Maps what a record is made of, tokens (B, N) or values (B, N, F), and mask (B, N) to (B, N, E).
        stem: Maps (B, N, E) and lengths to (B, N', D), or None where the encoder reads the embedding itself.
        encoder: Maps (B, N, D) and lengths (B,) to (B, N, D), or to what it says as a `Shortening`.
        pooling: Maps (B, N, D) and mask to (B, P).
        head: Maps (B, P) to (B, C).
        padded_length: None, or the length to which every batch is filled with padding tokens that count as real ones,
            as the published genome model does. The length of a record is then something the network can see.
        both_strands: Read each record and its reverse complement with the same weights, and pool the mean of both: the
            result is that of either strand, by construction and not by training. Takes twice the time.
    """

    def __init__(
        self,
        embedding: PositionedEmbedding,
        stem: ConvStem | None,
        encoder: nn.Module,
        pooling: nn.Module,
        head: nn.Module,
        *,
        padded_length: int | None = None,
        both_strands: bool = False,
    ) -> None:
        super().__init__()
        self.both_strands = both_strands
        self.embedding = embedding
        self.stem = stem
        self.encoder = encoder
        self.pooling = pooling
        self.head = head
        self.padded_length = padded_length

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Return (B, C) of tokens (B, N), integers, or values (B, N, F), of which lengths (B,) are real in each record.

        Raises:
            ValueError: If N exceeds what learned positions, a flatten head or `padded_length` can hold, or if a
                length is not between 1 and N (looked at on a CPU only: a GPU would have to be waited for).
        """
        return self.head(self.pool(inputs, lengths))

    def pool(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Return one vector a record (B, P), what the head reads; for arguments and errors see `forward`."""
        if lengths.device.type == "cpu":
            _check_lengths(lengths, inputs.shape[1])
        pooled = self._pool(inputs, lengths)
        return (pooled + self._pool(other_strand(inputs, lengths), lengths)) / 2 if self.both_strands else pooled

    def _pool(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        if self.padded_length is not None:
            inputs, lengths = _fill(inputs, lengths, self.padded_length)
        hidden = self.embedding(inputs, real_positions(lengths, inputs.shape[1]))
        if self.stem is not None:
            hidden = self.stem(hidden, lengths)
            lengths = self.stem.output_lengths(lengths)
        if isinstance(self.pooling, ClsPooling):
            hidden = self.pooling.prepend(hidden)
            lengths = lengths + 1
        encoded = self.encoder(hidden, lengths)
        if isinstance(self.encoder, Shortening):
            lengths = self.encoder.output_lengths(lengths)
        return self.pooling(encoded, real_positions(lengths, encoded.shape[1]))


class Classifier(Network):
    """A network whose head gives one logit a class, (B, C)."""

    def forward_groups(
        self, groups: Iterable[tuple[Tensor, Tensor]], mix: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """Return logits (R, C) of all records of some groups, each of tokens (B, N) and lengths (B,).

        The head sees all records together, so that groups may be made by length without its statistics knowing. There
        may be none: where several processes share a batch, the head of one without records still takes part.

        Args:
            groups: Of one batch.
            mix: Maps vectors (R, P) to mixtures of them, whose logits are returned. Where the head standardises them,
                it does so before: mixtures spread less than the records that are predicted.
        """
        pooled = [self.pool(tokens, lengths) for tokens, lengths in groups]
        vectors = torch.cat(pooled) if pooled else self._no_records()
        if mix is None:
            return self.head(vectors)
        if isinstance(self.head, nn.Sequential) and isinstance(self.head[0], PooledNorm):
            return self.head[1:](mix(self.head[0](vectors)))
        return self.head(mix(vectors))

    def _no_records(self) -> Tensor:
        """Return what the pooling gives of no records, (0, P), with a gradient that leads nowhere."""
        [last] = [part for part in self.head.modules() if isinstance(part, nn.Linear)][-1:]
        return last.weight.new_empty((0, last.in_features), requires_grad=True)


class Regressor(Network):
    """A network whose head gives one real number a record."""

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Return one number a record, (B,); for arguments and errors see `Network`."""
        return super().forward(inputs, lengths).squeeze(1)


def _check_lengths(lengths: Tensor, num_positions: int) -> None:
    """Raise a ValueError for the first length outside 1 to N: compiled kernels read memory by these numbers."""
    outside = ((lengths < 1) | (lengths > num_positions)).nonzero()
    if len(outside):
        first = int(outside[0, 0])
        limit = (
            f"the inputs have {num_positions} positions" if lengths[first] > 0 else "a record has 1 position at least"
        )
        raise ValueError(f"lengths[{first}] is {int(lengths[first])}, but {limit}")


def _fill(tokens: Tensor, lengths: Tensor, padded_length: int) -> tuple[Tensor, Tensor]:
    missing = padded_length - tokens.shape[1]
    if missing < 0:
        raise ValueError(
            f"this network holds {padded_length} bases, not {tokens.shape[1]}: cut the records into windows"
        )
    outside = ~real_positions(lengths, tokens.shape[1])
    tokens = nn.functional.pad(tokens.masked_fill(outside, PAD), (0, missing), value=PAD)
    return tokens, torch.full_like(lengths, padded_length)
