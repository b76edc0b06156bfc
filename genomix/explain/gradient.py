"""Integrated gradients (Sundararajan, Taly, Yan 2017), by captum.

B batch, N positions, V vocabulary, D embedding.
"""

from __future__ import annotations

from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from genomix.checkpoint import Model
from genomix.data.vocabulary import PAD, UNKNOWN, VOCABULARY_SIZE
from genomix.errors import UsageError
from genomix.explain.saliency import Saliency
from genomix.explain.score import Score
from genomix.nn.classifier import Classifier
from genomix.nn.embedding import Embedding, PositionedEmbedding

Baseline = Literal["shuffled", "uniform", "unknown"]
NUM_BASES = 4
NUM_SHUFFLES = 8
MOST_BASES = 1 << 15
"""Bases that are computed at once, way back included."""


class OneHotEmbedding(nn.Module):
    """An embedding of tokens as the linear map of one-hot vectors that it is, so that there is a way between tokens."""

    def __init__(self, embedding: Embedding) -> None:
        super().__init__()
        self.embedding = embedding

    def forward(self, one_hot: Tensor, mask: Tensor) -> Tensor:
        """Embed (B, N, V) under mask (B, N) as (B, N, D)."""
        return self.embedding.place(one_hot @ self.embedding.tokens.weight, mask)


def over_one_hot(model: Model) -> Classifier:
    """Return the network of a model, its weights shared, that reads one-hot vectors (B, N, V) in place of tokens.

    Raises:
        UsageError: If the model does not embed tokens.
    """
    network = model.classifier
    if not isinstance(network, Classifier) or not isinstance(network.embedding, Embedding):
        raise UsageError(
            f"--method gradient: {model.path} counts k-mers, whose number has no gradient; use --method mutagenesis"
        )
    embedding = cast("PositionedEmbedding", OneHotEmbedding(network.embedding))
    parts = embedding, network.stem, network.encoder, network.pooling, network.head
    return Classifier(*parts, both_strands=network.both_strands).eval()


def gradient(
    model: Model,
    tokens: np.ndarray,
    score: Score,
    *,
    baseline: Baseline = "shuffled",
    steps: int = 32,
    device: str = "cpu",
    batch_bases: int = MOST_BASES,
) -> Saliency:
    """Attribute the score to the bases, compared with a record of which nothing is known.

    attribution_i = sum_v (x_iv - b_iv) * integral over t from 0 to 1 of d score / d x_iv at b + t (x - b), where x are
    the one-hot vectors of the record and b those of the baseline: all attributions sum to score(x) - score(b). The
    integral is taken by Gauss and Legendre's rule; `gap` says what is missing in the sum.

    Args:
        model: A network that reads tokens.
        tokens: What it reads (N,) uint8.
        score: What is explained.
        baseline: `shuffled`, the known bases of the record in another order, the mean over `NUM_SHUFFLES` orders;
            `uniform`, a quarter of each base at every position; `unknown`, N everywhere. Where the record itself has N,
            so has any of them, and the attribution is 0.
        steps: Points at which the gradient is taken, on the way from each baseline.
        device: Where the model is.
        batch_bases: Bases computed at once; one point at least.

    Raises:
        UsageError: If the model counts k-mers, or there are too few steps.
    """
    from captum.attr import IntegratedGradients

    if steps < 1:
        raise UsageError(f"--steps {steps}: use 1 at least, such as 64")
    network = over_one_hot(model)
    filled = model.classifier.padded_length or len(tokens)
    padded = np.full(int(filled), PAD, np.int64)  # pyright: ignore[reportArgumentType]
    padded[: len(tokens)] = tokens
    lengths = torch.tensor([len(padded)], device=device)
    weight = next(network.parameters())
    inputs = torch.eye(VOCABULARY_SIZE, dtype=weight.dtype, device=device)[torch.from_numpy(padded).to(device)]
    starts = _baselines(inputs, torch.from_numpy(np.flatnonzero(padded < UNKNOWN)).to(device), baseline)

    def forward(one_hot: Tensor) -> Tensor:
        return score.of(network(one_hot, lengths.expand(len(one_hot))))

    integrated = IntegratedGradients(forward)
    total = torch.zeros_like(inputs)
    for start in starts:
        found = integrated.attribute(
            inputs[None].requires_grad_(),
            start[None],
            n_steps=steps,
            method="gausslegendre",
            internal_batch_size=max(1, min(batch_bases, MOST_BASES) // len(padded)),
        )
        total += found[0].detach() / len(starts)
    attribution = total.sum(1).double().cpu().numpy()
    with torch.inference_mode():
        scores = [float(forward(one_hot[None])) for one_hot in (inputs, *starts)]
    difference = scores[0] - float(np.mean(scores[1:]))
    facts = {
        "baseline": baseline,
        "steps": steps,
        "score_above_baseline": difference,
        "gap": difference - float(attribution.sum()),
    }
    return Saliency({"attribution": attribution[: len(tokens)]}, facts=facts)


def _baselines(inputs: Tensor, known: Tensor, baseline: Baseline) -> Tensor:
    """Return the baselines (S, N, V) of one-hot vectors (N, V) of which some positions hold known bases."""
    if baseline == "shuffled":
        generator = torch.Generator().manual_seed(0)
        starts = inputs.repeat(NUM_SHUFFLES, 1, 1)
        for start in starts:
            start[known] = inputs[known[torch.randperm(len(known), generator=generator).to(known.device)]]
        return starts
    nothing = torch.zeros(VOCABULARY_SIZE).to(inputs)
    if baseline == "uniform":
        nothing[:NUM_BASES] = 1 / NUM_BASES
    else:
        nothing[UNKNOWN] = 1
    starts = inputs[None].clone()
    starts[:, known] = nothing
    return starts
