"""Windows of sequences without labels, their bases hidden as the epoch and the seed say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from genomix.config import MaskingConfig
from genomix.data.dataset import Batch, Group, Piece, PlannedBatch, TrainingSet, collate, read_piece
from genomix.pretrain.masking import IGNORED, Masked, mask

MOST_SEED = 1 << 62


@dataclass(frozen=True, kw_only=True)
class MaskedSet(TrainingSet):
    """Regions of sequences to learn from; what stands beside a piece in a plan is the seed of its masking.

    Attributes:
        starts, ends: The regions (R,) of `rows`, half-open, in bp. `targets` and `balanced` mean nothing here.
        masking: What is hidden.
    """

    starts: np.ndarray
    ends: np.ndarray
    masking: MaskingConfig

    def plan(self, epoch: int) -> list[list[PlannedBatch]]:
        """Return the steps of an epoch, each a list of batches, each of pieces and the seeds of their masking.

        A region not longer than the window is read whole; of a longer one as many windows as it holds, side by side
        with gaps of random lengths, so that no base is read twice in an epoch, and few are not.
        """
        rng = np.random.default_rng((self.seed, epoch))
        entries: PlannedBatch = []
        for row, start, end in zip(self.rows.tolist(), self.starts.tolist(), self.ends.tolist(), strict=True):
            for first in scatter(end - start, self.max_length, rng).tolist():
                piece = Piece(row, start + first, min(end, start + first + self.max_length))
                entries.append((piece, int(rng.integers(MOST_SEED))))
        turned = rng.random(len(entries)) < (0.5 if self.reverse_complement else 0)
        order = rng.permutation(len(entries)).tolist()
        entries = [(entries[i][0]._replace(reverse=bool(turned[i])), entries[i][1]) for i in order]
        steps = [entries[i : i + self.batch_records] for i in range(0, len(entries), self.batch_records)]
        return [self._batches(step) for step in steps]

    def load(self, batch: PlannedBatch) -> Batch:
        """Read and mask a planned batch, longest pieces first; its targets are those of all positions, (P,) int64."""
        groups, seeds = super().load(batch)
        following = iter(seeds.tolist())
        masked = [
            [
                self._mask(tokens[:length].numpy(), next(following))
                for tokens, length in zip(group.tokens, group.lengths.tolist(), strict=True)
            ]
            for group in groups
        ]
        targets = [stack_targets(group) for group in masked]
        return Batch(
            [Group(*collate([one.shown for one in group])) for group in masked],
            torch.cat(targets) if targets else torch.empty(0, dtype=torch.int64),
        )

    def count_masked(self, step: list[PlannedBatch]) -> int:
        """Return how many bases of a step are to be said."""
        pieces = ((read_piece(self.store, piece), seed) for batch in step for piece, seed in batch)
        return sum(int((self._mask(tokens, seed).targets != IGNORED).sum()) for tokens, seed in pieces)

    def _mask(self, tokens: np.ndarray, seed: int) -> Masked:
        return mask(tokens, self.masking, np.random.default_rng(seed))


def stack_targets(masked: Sequence[Masked]) -> torch.Tensor:
    """Return the targets of windows (B) as those of all positions of a padded tensor, (B * N,)."""
    longest = max(len(one.targets) for one in masked)
    stacked = np.full((len(masked), longest), IGNORED, np.int64)
    for row, one in zip(stacked, masked, strict=True):
        row[: len(one.targets)] = one.targets
    return torch.from_numpy(stacked.reshape(-1))


def scatter(length: int, window: int, rng: np.random.Generator) -> np.ndarray:
    """Return the starts of as many windows as a region holds, side by side with gaps of random lengths; 1 at least."""
    count = max(1, length // window)
    gaps = np.sort(rng.integers(0, max(0, length - count * window), count, endpoint=True))
    return gaps + np.arange(count) * window
