"""The baseline every network is held against: k-mer frequencies and a linear model.

B batch, N positions, F k-mers that are told apart, C classes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

CHUNK_BP = 1 << 22
NUM_BASES = 4
MOST_COUNTS = 1 << 24
"""Counts that are held at once in prediction: records of a batch times k-mers."""
MOST_DENSE = 1 << 16
"""K-mers up to which a record's frequencies are written out; of more, only those that it has are read."""


def reverse_complements(k: int) -> np.ndarray:
    """Return, for each of the 4^k k-mers in lexical order, the place (int64) of its reverse complement."""
    rest = np.arange(NUM_BASES**k)
    reverse = np.zeros_like(rest)
    for _ in range(k):
        reverse = reverse * NUM_BASES + (NUM_BASES - 1 - rest % NUM_BASES)
        rest = rest // NUM_BASES
    return reverse


def canonical_ranks(k: int) -> np.ndarray:
    """Return, for each of the 4^k k-mers in lexical order, the rank (int64) of its canonical form.

    The canonical form of a k-mer is the smaller of itself and its reverse complement, so that both strands count alike.
    """
    return np.unique(np.minimum(np.arange(NUM_BASES**k), reverse_complements(k)), return_inverse=True)[1]


def _refresh(classifier: nn.Module, _: object) -> None:
    if isinstance(classifier, KmerClassifier):
        classifier.refresh()


class KmerClassifier(nn.Module):
    """A linear model of k-mer frequencies, or of their square roots; k-mers with an unknown base do not count.

    logits = W (x - mean) / scale + bias. The numbers are found by convex solvers (`genomix.train.kmer`); here they are
    applied, so that the baseline is saved, loaded and predicted with like any network.

    Args:
        k: Length of the k-mers in bp.
        num_classes: C.
        canonical: Whether a k-mer and its reverse complement count as one, so that both strands give the same.
        roots: Whether x are the square roots of the frequencies. Their Euclidean distance is, up to a factor, that of
            Hellinger (Rao, Qüestiió 1995), in which common k-mers do not drown rare ones.
    """

    ranks: Tensor
    mean: Tensor
    scale: Tensor
    at_zero: Tensor

    def __init__(self, k: int, num_classes: int, *, canonical: bool = True, roots: bool = False) -> None:
        super().__init__()
        self.k = k
        self.roots = roots
        ranks = canonical_ranks(k) if canonical else np.arange(NUM_BASES**k)
        self.num_kmers = int(ranks.max()) + 1
        self.register_buffer("ranks", torch.from_numpy(ranks), persistent=False)
        self.register_buffer("mean", torch.zeros(self.num_kmers))
        self.register_buffer("scale", torch.ones(self.num_kmers))
        self.head = nn.Linear(self.num_kmers, num_classes)
        self.register_buffer("at_zero", torch.zeros(num_classes), persistent=False)
        self.register_load_state_dict_post_hook(_refresh)

    @torch.no_grad()
    def refresh(self) -> None:
        """Compute the logits of features that are all zero; to be called where numbers were changed in place."""
        self.at_zero.copy_(self.head.bias - self.head.weight @ (self.mean / self.scale))

    def features(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return the frequencies (B, F) of tokens (B, N); a record without any whole k-mer gets what the mean is of."""
        counts = torch.stack([self._count(row[:length]) for row, length in zip(tokens, lengths.tolist(), strict=True)])
        total = counts.sum(1, keepdim=True)
        typical = self.mean.square() if self.roots else self.mean
        return torch.where(total > 0, counts / total.clamp(min=1), typical)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return logits (B, C) of tokens (B, N), of which lengths (B,) are real in each record."""
        if self.num_kmers > MOST_DENSE:
            rows = zip(tokens, lengths.tolist(), strict=True)
            return torch.stack([self._score_found(row[:length]) for row, length in rows])
        at_once = max(1, MOST_COUNTS // self.num_kmers)
        parts = zip(tokens.split(at_once), lengths.split(at_once), strict=True)
        return torch.cat([self._score(self.features(*part)) for part in parts])

    def _score(self, frequencies: Tensor) -> Tensor:
        values = frequencies.sqrt() if self.roots else frequencies
        return self.head((values - self.mean) / self.scale)

    def _score_found(self, tokens: Tensor) -> Tensor:
        """Return the logits (C,) of one record (N,) from the weights of the k-mers that it has."""
        ranks, counts = self._find(tokens)
        if not len(ranks):
            return self.head.bias
        frequencies = counts / counts.sum()
        values = frequencies.sqrt() if self.roots else frequencies
        return self.head.weight[:, ranks] @ (values / self.scale[ranks]) + self.at_zero

    def _find(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return which k-mers a record has, by their ranks in rising order, and how many of each."""
        if len(tokens) < self.num_kmers:
            return torch.unique(self._ranks(tokens.long()), return_counts=True)
        counts = self._count(tokens)
        ranks = counts.nonzero()[:, 0]
        return ranks, counts[ranks]

    def _count(self, tokens: Tensor) -> Tensor:
        counts = torch.zeros(self.num_kmers, device=tokens.device)
        for start in range(0, len(tokens) - self.k + 1, CHUNK_BP):
            chunk = tokens[start : start + CHUNK_BP + self.k - 1].long()
            counts += torch.bincount(self._ranks(chunk), minlength=self.num_kmers)
        return counts

    def _ranks(self, tokens: Tensor) -> Tensor:
        """Return the rank of each whole k-mer of tokens (int64), in their order."""
        size = max(0, len(tokens) - self.k + 1)
        code = torch.zeros(size, dtype=torch.int64, device=tokens.device)
        known = torch.ones(size, dtype=torch.bool, device=tokens.device)
        for i in range(self.k):
            code = code * NUM_BASES + tokens[i : i + size]
            known &= tokens[i : i + size] < NUM_BASES
        return self.ranks[code[known]]
