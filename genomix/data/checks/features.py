"""Simple features of records, from which no class should be predictable. R records, E bases of an end."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from genomix.data.checks.base_counts import NUM_BASES, count_pairs
from genomix.data.vocabulary import PAD, decode

if TYPE_CHECKING:
    from genomix.data.checks.examined import Examined
    from genomix.data.checks.predictability import Kind

END_BP = 20
"""About a primer, or what is common to adapters."""
FURTHER_BP = 100
"""Beyond adapters and primers with their index, but still within a gene that all records begin in."""


class Feature(NamedTuple):
    """One feature (R, F) of the records; `further` is the same of bases further in, for an end."""

    kind: Kind
    values: np.ndarray
    further: np.ndarray | None = None
    tokens: np.ndarray | None = None


def make_features(examined: Examined, places: np.ndarray) -> dict[str, Feature]:
    """Return the features of some records by the name of their check."""
    store, rows = examined.records.store, examined.records.indices[places]
    gc, unknown = examined.base_counts.gc[places], examined.base_counts.unknown[places]
    pairs = count_pairs(store, rows)
    pairs = (pairs - pairs.mean(axis=0)) / np.maximum(pairs.std(axis=0), 1e-9)
    features = {
        "length_shortcut": Feature("number", store.lengths[rows, None].astype(np.float64)),
        "gc_shortcut": Feature("number", np.nan_to_num(gc)[:, None]),
        "unknown_shortcut": Feature("number", unknown[:, None]),
        "dinucleotide_shortcut": Feature("many", pairs),
    }
    for name, is_start in (("start_shortcut", True), ("end_shortcut", False)):
        tokens, further = (cut_end(examined, places, is_start=is_start, further=further) for further in (False, True))
        features[name] = Feature("many", one_hot(tokens), one_hot(further), tokens)
    return features


def cut_end(examined: Examined, places: np.ndarray, *, is_start: bool, further: bool) -> np.ndarray:
    """Return the first or last `END_BP` tokens (R, E) uint8 of some records, `PAD` where a record is shorter.

    With `further` those `FURTHER_BP` further in; in a record too short for that those around its middle, or, if these
    would overlap the end, those next to it.
    """
    store = examined.records.store
    tokens = np.full((len(places), END_BP), PAD, np.uint8)
    for number, row in enumerate(examined.records.indices[places].tolist()):
        length = int(store.lengths[row])
        most = max(0, length - END_BP)
        skipped = min(most, FURTHER_BP, max(END_BP, most // 2)) if further else 0
        taken = min(END_BP, length)
        if is_start:
            tokens[number, :taken] = store.tokens(row, skipped, skipped + taken)
        else:
            tokens[number, END_BP - taken :] = store.tokens(row, length - skipped - taken, length - skipped)
    return tokens


def one_hot(tokens: np.ndarray) -> np.ndarray:
    """Return 1 for the base at each position, else 0, as (R, 4 E); all 0 where it is unknown or beyond the record."""
    return (tokens[:, :, None] == np.arange(NUM_BASES)).reshape(len(tokens), -1).astype(np.float32)


class Motif(NamedTuple):
    """The letters that tell one class best from the others: its place, and the shares of records that have them."""

    letters: str
    target: int
    share: float
    share_of_others: float


def find_motif(tokens: np.ndarray, truth: np.ndarray, size: int, *, is_start: bool) -> Motif:
    """Find what outermost `size` bases are most typical of one class.

    Args:
        tokens: Of an end (R, E).
        truth: Classes (R,), or which of several each record has, bool (R, C).
        size: Bases.
        is_start: Whether the first are the outermost ones.
    """
    outermost = tokens[:, :size] if is_start else tokens[:, -size:]
    words, numbers = np.unique(outermost, axis=0, return_inverse=True)
    numbers = numbers.reshape(-1)
    is_of = truth if truth.ndim == 2 else truth[:, None] == np.arange(truth.max() + 1)
    totals = is_of.sum(axis=0)
    counts = np.zeros((len(words), len(totals)))
    np.add.at(counts, numbers, is_of)
    shares = counts / totals
    others = (np.bincount(numbers)[:, None] - counts) / (len(truth) - totals)
    word, target = np.unravel_index(int(np.argmax(shares - others)), shares.shape)
    return Motif(decode(words[word]), int(target), float(shares[word, target]), float(others[word, target]))
