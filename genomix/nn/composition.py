"""What a record is made of, said by the k-mers it holds, beside what a network reads in their order.

C classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genomix.nn.kmer import KmerClassifier


class Composition(nn.Module):
    """A k-mer classifier, and what it and the network weigh where both speak: a weighted sum of their scores.

    That is stacked generalisation (Wolpert 1992) with one weight a model, or a logarithmic opinion pool: the scores are
    log-probabilities of classes, or the logits of labels. The two are trained apart; the weights are found on records
    that neither has learnt from (`genomix.scoring.fit_composition`).

    Args:
        kmer: Fitted; it reads a record whole, however long.
        network: Weight of the network.
        kmers: Weight of the k-mer classifier.
    """

    weights: Tensor

    def __init__(self, kmer: KmerClassifier, network: float = 1.0, kmers: float = 0.0) -> None:
        super().__init__()
        self.kmer = kmer
        self.register_buffer("weights", torch.tensor([network, kmers], dtype=torch.float64))

    @property
    def network(self) -> float:
        """The weight of the network."""
        return float(self.weights[0])

    @property
    def kmers(self) -> float:
        """The weight of the k-mer classifier."""
        return float(self.weights[1])

    @torch.no_grad()
    def score(self, tokens: Tensor, *, multi_label: bool) -> Tensor:
        """Return the k-mer classifier's scores of one record (C,), float64, of tokens (N,); without its weight."""
        logits = self.kmer(tokens[None], torch.tensor([len(tokens)]))[0].double()
        return logits if multi_label else logits.log_softmax(0)
