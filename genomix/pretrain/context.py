"""What a hidden base can be told from without a network: the composition, and the bases on either side.

A base with l - 1 hidden ones to its left and r - 1 to its right is told from the h bases that end l to its left and
the h that begin r to its right, as often as it stood between these in what was learnt from. Counts with h bases on
either side are smoothed by the estimate from h - 1, and so on down to the composition: P_h = (C_h + a P_(h-1)) / (n_h +
a) with n_h the times that the neighbours were seen (MacKay and Peto 1995, A hierarchical Dirichlet language model). The
strength a is the one that tells an eighth of the counted bases best by the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from genomix.data.vocabulary import UNKNOWN
from genomix.pretrain.masking import IGNORED, NUM_BASES, Masked

SIDE = 4
"""Bases on either side, h."""
STRENGTHS = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0)
TUNED_BY = 8
"""One of so many bases is kept apart to choose the strength."""
CHUNK = 1 << 22
MOST_COUNTED = 1 << 25


class Said(NamedTuple):
    """How hidden bases are said: their number, the sum of -ln of the probability of each, and how many are right."""

    num_bases: int
    nats: float
    num_right: int

    def plus(self, other: Said) -> Said:
        """Return what both come to."""
        return Said(self.num_bases + other.num_bases, self.nats + other.nats, self.num_right + other.num_right)

    @property
    def bits_per_base(self) -> float:
        """The mean cross-entropy, in bits."""
        return self.nats / self.num_bases / np.log(2)

    @property
    def accuracy(self) -> float:
        """The share of the bases that were thought the likeliest."""
        return self.num_right / self.num_bases


NOTHING_SAID = Said(0, 0.0, 0)


class ContextModel:
    """Counts, and says hidden bases by them.

    Args:
        regions: Tokens (N,) of what is learnt from, counted up to `MOST_COUNTED` bases.
        span: Bases that are hidden together.

    Attributes:
        composition: Share of each base (4,).
        num_counted: Bases that were counted.
    """

    def __init__(self, regions: Iterable[np.ndarray], span: int) -> None:
        self._span = span
        self._gaps = [(left, span + 1 - left) for left in range(1, span + 1)]
        counts = {gap: np.zeros((2, NUM_BASES ** (2 * SIDE + 1)), np.int64) for gap in self._gaps}
        single = np.zeros(NUM_BASES, np.int64)
        self.num_counted = 0
        for tokens in _chunks(regions, span):
            single += np.bincount(tokens[tokens < NUM_BASES], minlength=NUM_BASES)
            for gap in self._gaps:
                counts[gap] += _count(tokens, *gap)
        self.num_counted = int(single.sum())
        self.composition = (single + 1) / (single.sum() + NUM_BASES)
        self._tables = {gap: self._fit(both) for gap, both in counts.items()}

    def say_by_composition(self, masked: Sequence[Masked]) -> Said:
        """Say the hidden bases of windows by the composition alone."""
        truth = np.concatenate([one.targets[one.targets != IGNORED] for one in masked])
        right = int((truth == self.composition.argmax()).sum())
        return Said(len(truth), float(-np.log(self.composition)[truth].sum()), right)

    def say(self, masked: Sequence[Masked]) -> Said:
        """Say the hidden bases of windows by as many of their neighbours, up to h, as are known on both sides."""
        margin = np.full(self._span + SIDE, UNKNOWN, np.uint8)
        shown = np.concatenate([part for one in masked for part in (margin, one.shown)] + [margin])
        apart = np.full(len(margin), IGNORED)
        targets = np.concatenate([part for one in masked for part in (apart, one.targets)] + [apart])
        places = np.flatnonzero(targets != IGNORED)
        known = np.flatnonzero(targets == IGNORED)
        after = np.searchsorted(known, places)
        left, right = places - known[after - 1], known[after] - places
        likely = np.tile(self.composition, (len(places), 1))
        for gap in self._gaps:
            ours = np.flatnonzero((left == gap[0]) & (right == gap[1]))
            likely[ours] = self._look_up(shown, places[ours], gap)
        truth = targets[places]
        nats = -np.log(likely[np.arange(len(truth)), truth]).sum()
        return Said(len(truth), float(nats), int((likely.argmax(1) == truth).sum()))

    def _look_up(self, shown: np.ndarray, places: np.ndarray, gap: tuple[int, int]) -> np.ndarray:
        """Return the probabilities (P, 4) at places with this gap."""
        found = np.tile(self.composition, (len(places), 1))
        left = np.zeros(len(places), np.int64)
        right, usable = left.copy(), np.ones(len(places), bool)
        for depth in range(SIDE):
            before, behind = shown[places - gap[0] - depth], shown[places + gap[1] + depth]
            usable &= (before < NUM_BASES) & (behind < NUM_BASES)
            left += before.astype(np.int64) * NUM_BASES**depth
            right = right * NUM_BASES + behind
            rows = left * NUM_BASES ** (depth + 1) + right
            found[usable] = self._tables[gap][depth][rows[usable]]
        return found

    def _fit(self, counts: np.ndarray) -> list[np.ndarray]:
        """Return P_1 to P_h, each (neighbours, 4), with the strength that tells the bases kept apart best."""
        learnt, apart = counts
        costs = [-(apart * np.log(self._smooth(learnt, strength)[-1].reshape(-1))).sum() for strength in STRENGTHS]
        return self._smooth(learnt + apart, STRENGTHS[int(np.argmin(costs))])

    def _smooth(self, counts: np.ndarray, strength: float) -> list[np.ndarray]:
        by_side = [counts.reshape((NUM_BASES,) * (2 * SIDE + 1))]
        for side in range(SIDE, 1, -1):  # axes: left from the farthest, right from the nearest, the base
            by_side.insert(0, by_side[0].sum((0, 2 * side - 1)))
        tables = []
        lower = self.composition
        for counted in by_side:
            lower = lower.reshape((1, *lower.shape[:-1], 1, NUM_BASES))
            lower = (counted + strength * lower) / (counted.sum(-1, keepdims=True) + strength)
            tables.append(lower.reshape(-1, NUM_BASES))
        return tables


def _chunks(regions: Iterable[np.ndarray], span: int) -> Iterable[np.ndarray]:
    """Yield regions put together, with unknown bases between that no count reaches across."""
    margin = np.full(span, UNKNOWN, np.uint8)
    waiting: list[np.ndarray] = []
    waiting_bp, left = 0, MOST_COUNTED
    for region in regions:
        for start in range(0, min(len(region), left), CHUNK):
            part = region[start : min(start + CHUNK, left + start)]
            waiting += [part, margin]
            waiting_bp += len(part)
            left -= len(part)
            if waiting_bp >= CHUNK:
                yield np.concatenate(waiting)
                waiting, waiting_bp = [], 0
        if left <= 0:
            break
    if waiting:
        yield np.concatenate(waiting)


def _count(tokens: np.ndarray, left: int, right: int) -> np.ndarray:
    """Return how often each base stood between which neighbours, (2, neighbours * 4): of most bases, and of others."""
    reach = left + right + 2 * SIDE - 2
    size = NUM_BASES ** (2 * SIDE + 1)
    places = np.arange(max(0, len(tokens) - reach)) + left + SIDE - 1
    code = np.zeros(len(places), np.int64)
    usable = tokens[places] < NUM_BASES
    offsets = [*range(-left - SIDE + 1, -left + 1), *range(right, right + SIDE), 0]
    for offset in offsets:
        base = tokens[places + offset]
        usable &= base < NUM_BASES
        code = code * NUM_BASES + base
    apart = places % TUNED_BY == 0
    return np.stack([np.bincount(code[usable & (apart == kept)], minlength=size) for kept in (False, True)])
