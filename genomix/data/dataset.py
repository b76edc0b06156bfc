"""Batches for training: which piece of which record, in what order, on which strand.

The plan of an epoch is a function of the seed and the epoch's number alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
import torch

from genomix.data.curriculum import Curriculum
from genomix.data.store import Store
from genomix.data.vocabulary import PAD, UNKNOWN, reverse_complement
from genomix.data.windows import crop

TENSOR_COST = 2048
"""Bases that the default network computes on one core in the time one more padded tensor takes, whatever its size."""
SMALL_BATCH = 16
"""A tensor counts for this part of `batch_bases` at most: where these are few, memory is, and padding costs it."""


class Piece(NamedTuple):
    """Part of a record.

    Attributes:
        row: Of the store.
        start: The first base, in bp.
        end: One past the last.
        reverse: Whether it is read from the other strand.
        noise: Seed of which of its bases are hidden; None where none are.
    """

    row: int
    start: int
    end: int
    reverse: bool = False
    noise: int | None = None


class Group(NamedTuple):
    """Records that share a tensor: tokens (B, N) uint8, padded at the end, and lengths (B,) int64."""

    tokens: torch.Tensor
    lengths: torch.Tensor


class Batch(NamedTuple):
    """What is computed at once: groups of records, and the targets of all of them in that order.

    The targets are classes (R,) int64, or what labels each record has (R, C) float32 of 0 and 1.
    """

    groups: list[Group]
    targets: torch.Tensor


PlannedBatch = list[tuple[Piece, int]]


@dataclass(frozen=True)
class TrainingSet:
    """Records to train on.

    Attributes:
        store: The encoded bases.
        rows: Rows of the store (R,).
        targets: Class of each record (R,); where records may have several labels, the place of its combination.
        max_length: Longer records are cropped to this many bp, at random, anew in each epoch.
        batch_records: Records in a step of the optimiser.
        batch_bases: Most bases computed at once, not counting padding, which adds about a third at most; a step of more
            is computed in several batches. A batch holds one record at least.
        reverse_complement: Read half of the pieces from the other strand.
        mask_fraction: Share of the bases that are hidden, see `hide`.
        balanced: Draw records with replacement, so that each class comes equally often.
        seed: What the plan depends on, beside the epoch.
        padded_length: Bases that every record is filled up to, if the network does that.
        combinations: The combinations of labels there are, bool (T, C); None where each record has one class.
        num_shares: Processes that compute a batch together; each computes up to `batch_bases` of it at once.
        curriculum: How long crops are in which epoch; None for `max_length` in all.
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
    padded_length: int | None = None
    combinations: np.ndarray | None = None
    num_shares: int = 1
    mask_fraction: float = 0.0
    curriculum: Curriculum | None = None

    def plan(self, epoch: int) -> list[list[PlannedBatch]]:
        """Return the steps of an epoch, each a list of batches, each of pieces and their targets.

        Which records share a step is chance alone: records of like length are brought together only inside a batch,
        where it saves time. Were steps made of records of one length, whatever is computed over a batch would see
        one class where length goes with class.
        """
        rng = np.random.default_rng((self.seed, epoch))
        length = self.crop_length(epoch)
        pieces = [self._piece(int(record), length, rng) for record in self._draw(rng)]
        steps = [pieces[i : i + self.batch_records] for i in range(0, len(pieces), self.batch_records)]
        return [self._batches(step) for step in steps]

    def crop_length(self, epoch: int) -> int:
        """Return the bases, in bp, to which longer records are cropped in an epoch."""
        return self.max_length if self.curriculum is None else self.curriculum.length(epoch, self.max_length)

    def as_predicted(self) -> Self:
        """Return the same records as a prediction reads them: crops of `max_length` in every epoch, nothing hidden."""
        return replace(self, curriculum=None, mask_fraction=0.0)

    def load(self, batch: PlannedBatch) -> Batch:
        """Read a planned batch from the store, longest records first."""
        groups = self._group(batch)
        targets = torch.tensor([target for group in groups for _, target in group], dtype=torch.int64)
        if self.combinations is not None:
            targets = torch.from_numpy(self.combinations).float()[targets]
        return Batch([Group(*collate([self._read(piece) for piece, _ in group])) for group in groups], targets)

    def share(self, batch: PlannedBatch, number: int) -> PlannedBatch:
        """Return the records of a batch that process `number` of `num_shares` computes.

        The longest go first, each to the process with the fewest bases, so that no two differ by more than the longest
        record. Where there are fewer records than processes, some have none.
        """
        if self.num_shares == 1:
            return batch
        shares: list[PlannedBatch] = [[] for _ in range(self.num_shares)]
        bases = [0] * self.num_shares
        for entry in sorted(batch, key=_length, reverse=True):
            least = bases.index(min(bases))
            shares[least].append(entry)
            bases[least] += self.padded_length or _length(entry)
        return shares[number]

    def count_padded(self, batch: PlannedBatch) -> int:
        """Return the bases that are computed for a planned batch, padding included."""
        if self.padded_length is not None:
            return self.padded_length * len(batch)
        return sum(len(group) * _length(group[0]) for group in self._group(batch))

    def _group(self, batch: PlannedBatch) -> list[PlannedBatch]:
        ordered = sorted(batch, key=_length, reverse=True)
        if self.padded_length is not None:
            return [ordered] if ordered else []
        return _divide(ordered, min(TENSOR_COST, self.batch_bases // SMALL_BATCH))

    def _batches(self, step: PlannedBatch) -> list[PlannedBatch]:
        batches: list[PlannedBatch] = [[]]
        bases = 0
        for piece, target in step:
            length = self.padded_length or piece.end - piece.start
            if batches[-1] and bases + length > self.batch_bases * self.num_shares:
                batches.append([])
                bases = 0
            batches[-1].append((piece, target))
            bases += length
        return batches

    def _draw(self, rng: np.random.Generator) -> np.ndarray:
        if not self.balanced:
            return rng.permutation(len(self.rows))
        weights = 1.0 / np.bincount(self.targets)[self.targets]
        return rng.choice(len(self.rows), size=len(self.rows), p=weights / weights.sum())

    def _piece(self, record: int, length: int, rng: np.random.Generator) -> tuple[Piece, int]:
        row = int(self.rows[record])
        window = crop(int(self.store.lengths[row]), length, rng)
        reverse = self.reverse_complement and rng.random() < 0.5
        noise = int(rng.integers(1 << 63)) if self.mask_fraction else None
        return Piece(row, window.start, window.end, reverse, noise), int(self.targets[record])

    def _read(self, piece: Piece) -> np.ndarray:
        tokens = read_piece(self.store, piece)
        return tokens if piece.noise is None else hide(tokens, self.mask_fraction, piece.noise)


def _length(entry: tuple[Piece, int]) -> int:
    return entry[0].end - entry[0].start


def _divide(ordered: PlannedBatch, tensor_cost: int) -> list[PlannedBatch]:
    """Divide pieces, longest first, among as many padded tensors as take the least time.

    Of all divisions it is the one with the fewest bases to compute, padding and `tensor_cost` for each tensor included.
    The best division of the first pieces is the best of fewer of them and one more tensor for the rest, and the first
    of a tensor says how wide that is; pieces of one length stay together.
    """
    negative, counts = np.unique([-_length(entry) for entry in ordered], return_counts=True)
    widths, ends = -negative, np.cumsum(counts)
    begins = ends - counts
    least, firsts = np.zeros(len(widths) + 1, dtype=np.int64), []
    for last, end in enumerate(ends):
        costs = least[: last + 1] + widths[: last + 1] * (end - begins[: last + 1])
        firsts.append(int(costs.argmin()))
        least[last + 1] = costs[firsts[-1]] + tensor_cost
    groups, last = [], len(widths) - 1
    while last >= 0:
        groups.append(ordered[begins[firsts[last]] : ends[last]])
        last = firsts[last] - 1
    return groups[::-1]


def read_piece(store: Store, piece: Piece) -> np.ndarray:
    """Return the tokens (N,) of a piece, read in the direction of its strand."""
    tokens = store.tokens(piece.row, piece.start, piece.end)
    return reverse_complement(tokens) if piece.reverse else tokens


def hide(tokens: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Return tokens (N,) of which some, chosen by chance, are unknown bases: a share drawn between 0 and 2 `fraction`.

    What is left must still tell the class, so that a network cannot learn a record by heart from a few of its bases:
    for DNA what dropping words is for texts. One trained so reads N as it should, too.
    """
    rng = np.random.default_rng(seed)
    hidden = rng.random(len(tokens)) < 2 * fraction * rng.random()
    return np.where(hidden, np.uint8(UNKNOWN), tokens)


def collate(pieces: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Put tokens of different lengths into one padded tensor (B, N) uint8, and return it with the lengths (B,)."""
    lengths = [len(piece) for piece in pieces]
    tokens = np.full((len(pieces), max(lengths)), PAD, dtype=np.uint8)
    for row, piece in zip(tokens, pieces, strict=True):
        row[: len(piece)] = piece
    return torch.from_numpy(tokens), torch.tensor(lengths)
