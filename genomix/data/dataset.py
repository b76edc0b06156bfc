"""Batches for training: which piece of which record, in what order, on which strand.

The plan of an epoch is a function of the seed and the epoch's number alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from genomix.data.store import Store
from genomix.data.vocabulary import PAD, reverse_complement
from genomix.data.windows import crop

BATCHES_PER_BUCKET = 16


class Piece(NamedTuple):
    """Part of a record: row of the store, half-open range in bp, and whether it is read from the other strand."""

    row: int
    start: int
    end: int
    reverse: bool = False


class Batch(NamedTuple):
    """Tokens (B, N) uint8, padded at the end; lengths (B,) int64; targets (B,) int64."""

    tokens: torch.Tensor
    lengths: torch.Tensor
    targets: torch.Tensor


@dataclass(frozen=True)
class TrainingSet:
    """Records to train on.

    Attributes:
        store: The encoded bases.
        rows: Rows of the store (R,).
        targets: Class of each record (R,).
        max_length: Longer records are cropped to this many bp, at random, anew in each epoch.
        batch_records: Most records in a batch.
        batch_bases: Most bases in a batch, padding included; a batch holds one record at least.
        reverse_complement: Read half of the pieces from the other strand.
        balanced: Draw records with replacement, so that each class comes equally often.
        seed: What the plan depends on, beside the epoch.
    """

    store: Store
    rows: np.ndarray
    targets: np.ndarray
    max_length: int
    batch_records: int
    batch_bases: int
    reverse_complement: bool
    balanced: bool
    seed: int

    def plan(self, epoch: int) -> list[list[tuple[Piece, int]]]:
        """Return the batches of an epoch: pieces and their targets, records of like length together."""
        rng = np.random.default_rng((self.seed, epoch))
        order = self._draw(rng)
        lengths = np.minimum(self.store.lengths[self.rows[order]], self.max_length)
        batches: list[list[int]] = []
        bucket = self.batch_records * BATCHES_PER_BUCKET
        for start in range(0, len(order), bucket):
            part = np.argsort(lengths[start : start + bucket], kind="stable") + start
            batches += _fill(part, lengths, self.batch_records, self.batch_bases)
        pieces = [self._piece(int(record), rng) for record in order]
        return [[pieces[i] for i in batches[b]] for b in rng.permutation(len(batches))]

    def load(self, batch: Sequence[tuple[Piece, int]]) -> Batch:
        """Read a planned batch from the store."""
        tokens, lengths = collate([read_piece(self.store, piece) for piece, _ in batch])
        return Batch(tokens, lengths, torch.tensor([target for _, target in batch]))

    def _draw(self, rng: np.random.Generator) -> np.ndarray:
        if not self.balanced:
            return rng.permutation(len(self.rows))
        weights = 1.0 / np.bincount(self.targets)[self.targets]
        return rng.choice(len(self.rows), size=len(self.rows), p=weights / weights.sum())

    def _piece(self, record: int, rng: np.random.Generator) -> tuple[Piece, int]:
        row = int(self.rows[record])
        window = crop(int(self.store.lengths[row]), self.max_length, rng)
        reverse = self.reverse_complement and rng.random() < 0.5
        return Piece(row, window.start, window.end, reverse), int(self.targets[record])


def read_piece(store: Store, piece: Piece) -> np.ndarray:
    """Return the tokens (N,) of a piece, read in the direction of its strand."""
    tokens = store.tokens(piece.row, piece.start, piece.end)
    return reverse_complement(tokens) if piece.reverse else tokens


def collate(pieces: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Put tokens of different lengths into one padded tensor (B, N) uint8, and return it with the lengths (B,)."""
    lengths = [len(piece) for piece in pieces]
    tokens = np.full((len(pieces), max(lengths)), PAD, dtype=np.uint8)
    for row, piece in zip(tokens, pieces, strict=True):
        row[: len(piece)] = piece
    return torch.from_numpy(tokens), torch.tensor(lengths)


def _fill(records: np.ndarray, lengths: np.ndarray, batch_records: int, batch_bases: int) -> list[list[int]]:
    batches: list[list[int]] = []
    current: list[int] = []
    for record in records.tolist():
        full = len(current) >= batch_records or (len(current) + 1) * int(lengths[record]) > batch_bases
        if current and full:
            batches.append(current)
            current = []
        current.append(record)
    if current:
        batches.append(current)
    return batches
