"""In-silico mutagenesis: what each single substitution does to the score (Zhou and Troyanskaya 2015).

N bases read.
"""

from __future__ import annotations

import numpy as np

from genomix.checkpoint import Model
from genomix.data.vocabulary import BASES, UNKNOWN
from genomix.explain.saliency import Saliency
from genomix.explain.score import Score, logits

NUM_BASES = 4
SUBSTITUTIONS = 3


def count_evaluations(tokens: np.ndarray, start: int, end: int) -> int:
    """Return how often the model is applied for the bases start to end - 1 of tokens (N,): unknown bases stay."""
    return SUBSTITUTIONS * int(np.count_nonzero(tokens[start:end] < UNKNOWN)) + 1


def mutagenesis(
    model: Model, tokens: np.ndarray, score: Score, start: int, end: int, *, device: str, batch_bases: int
) -> Saliency:
    """Replace each of the bases start to end - 1 by each of the three others, and see how the score changes.

    The attribution of a base is the mean, over its three substitutions, of the loss of score; `effect` is the largest
    change, of either sign, with its sign. Columns `delta_A` to `delta_T` are the changes, 0 for the base that is there.
    Bases outside the region and unknown ones have NaN.

    Args:
        model: Any model, k-mer counts too.
        tokens: What it reads (N,) uint8.
        score: What is explained.
        start: The first base that is replaced.
        end: One past the last.
        device: Where the model is.
        batch_bases: Bases computed at once.
    """
    deltas = np.full((len(tokens), NUM_BASES), np.nan)
    places = start + np.flatnonzero(tokens[start:end] < UNKNOWN)
    own = _scores(model, [tokens], score, device, batch_bases)[0]
    at_once = max(1, batch_bases // (SUBSTITUTIONS * len(tokens)))
    for first in range(0, len(places), at_once):
        some = places[first : first + at_once]
        mutants = np.repeat(tokens[None], SUBSTITUTIONS * len(some), axis=0)
        where = np.repeat(some, SUBSTITUTIONS)
        shifts = np.tile(np.arange(1, NUM_BASES), len(some))
        bases = (tokens[where] + shifts) % NUM_BASES
        mutants[np.arange(len(mutants)), where] = bases
        deltas[some] = 0
        deltas[where, bases] = _scores(model, list(mutants), score, device, batch_bases) - own
    largest = np.abs(np.nan_to_num(deltas)).argmax(1)
    tracks = {
        "attribution": -deltas.sum(1) / SUBSTITUTIONS,
        "effect": deltas[np.arange(len(tokens)), largest],
    }
    columns = {f"delta_{base}": deltas[:, i] for i, base in enumerate(BASES[:NUM_BASES])}
    return Saliency(tracks, columns, {"evaluations": count_evaluations(tokens, start, end)})


def _scores(model: Model, records: list[np.ndarray], score: Score, device: str, batch_bases: int) -> np.ndarray:
    return logits(model, records, device, batch_bases) @ score.weights
