"""Finds the best k-mer baseline, and fits it to the training records.

R records, F k-mers that are told apart, C classes.
"""

from __future__ import annotations

import logging
import time
from typing import NamedTuple

from genomix.config import KmerConfig, TrainingConfig
from genomix.data.labelled import LabelledRecords
from genomix.data.splits import Splits
from genomix.nn.kmer import KmerClassifier
from genomix.train.kmer.candidates import Candidate, choose, describe
from genomix.train.kmer.fit import fit_kmer
from genomix.train.kmer.places import Placed
from genomix.train.kmer.search import Search

LOG = logging.getLogger("genomix")


class Found(NamedTuple):
    """What a search found.

    Attributes:
        config: The best configuration, settled.
        classifier: Fitted to all training records.
        candidates: All that were tried, in order; none where nothing was left open.
        num_judged: Validation records that they were judged by.
        placed: What k-mers in their places say of the strands; None where that was not tried.
        seconds: The search took, with the fit.
    """

    config: KmerConfig
    classifier: KmerClassifier
    candidates: list[Candidate]
    num_judged: int
    placed: Placed | None
    seconds: float

    def describe(self, metric: str, name: str = "k-mer baseline") -> str:
        """Say what was found, for what, how, and how long it took, in one sentence."""
        how = f"chosen among {len(self.candidates)} on the validation records by {metric}"
        stated = how if self.candidates else "as stated"
        return f"{name}: {describe(self.config)}, {stated} ({self.seconds:.0f} s)"


def choose_kmer(
    config: KmerConfig,
    records: LabelledRecords,
    splits: Splits,
    training: TrainingConfig,
    name: str = "k-mer baseline",
) -> Found:
    """Choose what a configuration leaves open on the validation records, and fit it to the training records.

    Records that are held out for testing are never read. Where a configuration leaves nothing open, it is only fitted.

    Args:
        config: Of the k-mer model.
        records: All labelled records.
        splits: Which of them are to learn from, and which to choose by.
        training: The metric to choose by, whether the classes weigh alike, and the seed.
        name: What it is for, as the log says it.
    """
    began = time.monotonic()
    candidates: list[Candidate] = []
    metric, num_judged, placed = training.metric, len(splits.val), None
    if not config.is_settled:
        search = Search(config, records, splits, training)
        num_judged = len(search.val)
        candidates = list(search.run())
        placed = search.placed
        config = choose(candidates, metric, num_judged).config
    classifier = _fit(config, records, splits, training)
    found = Found(config, classifier, candidates, num_judged, placed, time.monotonic() - began)
    LOG.info("%s", found.describe(metric, name))
    return found


def choose_canonical(found: Found, records: LabelledRecords, splits: Splits, training: TrainingConfig) -> Found:
    """Return the best of what a search found that says the same of both strands, fitted; itself if it does already.

    That is what goes with a network that reads both strands.
    """
    canonical = [one for one in found.candidates if one.config.strands == "canonical"]
    if found.config.strands == "canonical" or not canonical:
        return found
    best = choose(canonical, training.metric, found.num_judged).config
    return found._replace(config=best, classifier=_fit(best, records, splits, training))


def _fit(config: KmerConfig, records: LabelledRecords, splits: Splits, training: TrainingConfig) -> KmerClassifier:
    rows, targets = records.indices[splits.train], records.truth[splits.train]
    balanced, num_classes = training.classes != "natural", len(records.classes)
    return fit_kmer(config, records.store, rows, targets, num_classes, training.seed, balanced=balanced)
