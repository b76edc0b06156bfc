"""Which bases are hidden, and what is shown in their places.

As in BERT (Devlin et al. 2019, section 3.1): 15 % of the bases are chosen; of these 80 % are shown as unknown (N, which
the vocabulary has anyway), 10 % as a random base and 10 % as they are, and each is to be said. Here spans of neighbours
are chosen, as hidden bases between known ones are told by what overlaps them (DNABERT, Ji et al. 2021), and a span is
shown one way as a whole, or the bases that are left in it would tell the others (SpanBERT, Joshi et al. 2020, section
3.1). N positions, S spans.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genomix.config import MaskingConfig
from genomix.data.vocabulary import UNKNOWN

IGNORED = -100
"""The target of a position that is not to be said, as torch's cross-entropy knows it."""
NUM_BASES = 4


class Masked(NamedTuple):
    """A window as it is shown, (N,) uint8, and the base to be said at each position, (N,) int64, or `IGNORED`."""

    shown: np.ndarray
    targets: np.ndarray


def choose_spans(tokens: np.ndarray, masking: MaskingConfig, rng: np.random.Generator) -> np.ndarray:
    """Return the positions (S, span) of the bases to be said, each row neighbours among the real bases.

    Every arrangement of spans with at least one base between them is as likely as every other. The number of spans is
    the one, or one of the two, nearest to the fraction, by chance such that its mean is the fraction; none where a
    window has fewer real bases than a span.

    Args:
        tokens: Of the window (N,) uint8.
        masking: Fraction and span.
        rng: What chance is.
    """
    real = np.flatnonzero(tokens < NUM_BASES)
    span = masking.span
    wanted = int(masking.fraction * len(real) / span + rng.random())
    count = min(wanted, (len(real) + 1) // (span + 1))
    free = len(real) - count * span - max(0, count - 1)
    before = np.sort(rng.choice(free + count, count, replace=False)) - np.arange(count) if count else np.zeros(0, int)
    starts = before + np.arange(count) * (span + 1)
    return real[starts[:, None] + np.arange(span)]


def mask(tokens: np.ndarray, masking: MaskingConfig, rng: np.random.Generator) -> Masked:
    """Choose bases of a window (N,) and show most of them otherwise than they are, to learn from."""
    spans = choose_spans(tokens, masking, rng)
    shown, targets = _targets_of(tokens, spans)
    kind = rng.random(len(spans))
    shown[spans[kind < masking.unknown]] = UNKNOWN
    drawn = spans[(kind >= masking.unknown) & (kind < masking.unknown + masking.random)]
    shown[drawn] = rng.integers(0, NUM_BASES, drawn.shape, dtype=np.uint8)
    return Masked(shown, targets)


def hide(tokens: np.ndarray, masking: MaskingConfig, rng: np.random.Generator) -> Masked:
    """Choose bases of a window (N,) and show all of them as unknown, to measure by what is known of them."""
    spans = choose_spans(tokens, masking, rng)
    shown, targets = _targets_of(tokens, spans)
    shown[spans] = UNKNOWN
    return Masked(shown, targets)


def _targets_of(tokens: np.ndarray, spans: np.ndarray) -> Masked:
    targets = np.full(len(tokens), IGNORED, np.int64)
    targets[spans] = tokens[spans]
    return Masked(tokens.copy(), targets)
