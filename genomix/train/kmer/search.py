"""Finds the best k-mer baseline: fitted to the training records, judged by the validation records.

R records, F k-mers that are told apart, C classes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.special import expit, softmax

from genomix.config import KmerConfig, TrainingConfig
from genomix.data.labelled import LabelledRecords
from genomix.data.splits import Splits
from genomix.metrics import score
from genomix.metrics.calibration import calibrate
from genomix.nn.kmer import KmerClassifier
from genomix.train.kmer.candidates import Candidate, choose, describe
from genomix.train.kmer.counts import count_kmers, join_strands
from genomix.train.kmer.design import Linear, find_logits, is_projected, num_entries
from genomix.train.kmer.fit import fit_kmer, sample
from genomix.train.kmer.linear import fit_logistic, fit_naive_bayes

LOG = logging.getLogger("genomix")
KS = range(2, 9)
PENALTIES = tuple(10.0**power for power in range(-5, 3))
ITERATIONS = 300
"""Of the solver for a candidate; the one that is chosen is fitted anew, with more."""
MOST_RECORDS = 50_000
"""Training, and validation, records that candidates are fitted to and judged by."""
MOST_ENTRIES = 64_000_000
"""Numbers in a matrix, and a quarter of those that the solver reads a step: k with more are not tried."""
CLEARLY, CLEARLY_NATS = 0.02, 5.0
"""By how much one way to count must be better than the other for the strand to matter: share of the log loss, and nats
over all validation records."""
LEAST_NATS = 0.5
"""Of log loss over all validation records, less than which is no gain that would be worth a larger model."""
PATIENCE = 2
"""Candidates in a row, and k in a row, that are no better than one before, after which none larger are tried."""


class Found(NamedTuple):
    """What a search found.

    Attributes:
        config: The best configuration, settled.
        classifier: Fitted to all training records.
        candidates: All that were tried, in order; none where nothing was left open.
        seconds: The search took, with the fit.
    """

    config: KmerConfig
    classifier: KmerClassifier
    candidates: list[Candidate]
    seconds: float

    def describe(self, metric: str) -> str:
        """Say what was found, how, and how long it took, in one sentence."""
        how = f"chosen among {len(self.candidates)} on the validation records by {metric}"
        stated = how if self.candidates else "as stated"
        return f"k-mer baseline: {describe(self.config)}, {stated} ({self.seconds:.0f} s)"


class _Counts(NamedTuple):
    """Counts of one k on one or both strands: those of training records and of validation records, (R, F) each."""

    train: sparse.csr_array
    val: sparse.csr_array


def choose_kmer(config: KmerConfig, records: LabelledRecords, splits: Splits, training: TrainingConfig) -> Found:
    """Choose what a configuration leaves open on the validation records, and fit it to the training records.

    Records that are held out for testing are never read. Where a configuration leaves nothing open, it is only fitted.

    Args:
        config: Of the k-mer model.
        records: All labelled records.
        splits: Which of them are to learn from, and which to choose by.
        training: The metric to choose by, whether the classes weigh alike, and the seed.
    """
    began = time.monotonic()
    candidates: list[Candidate] = []
    metric = training.metric
    if not config.is_settled:
        search = _Search(config, records, splits, training)
        candidates = list(search.run())
        config = choose(candidates, metric, len(search.val)).config
    num_classes, seed = len(records.classes), training.seed
    rows, targets = records.indices[splits.train], records.truth[splits.train]
    balanced = training.classes != "natural"
    classifier = fit_kmer(config, records.store, rows, targets, num_classes, seed, balanced=balanced)
    found = Found(config, classifier, candidates, time.monotonic() - began)
    LOG.info("%s", found.describe(metric))
    return found


def choose_canonical(found: Found, records: LabelledRecords, splits: Splits, training: TrainingConfig) -> Found:
    """Return the best of what a search found that says the same of both strands, fitted; itself if it does already.

    That is what goes with a network that reads both strands.
    """
    canonical = [one for one in found.candidates if one.config.strands == "canonical"]
    if found.config.strands == "canonical" or not canonical:
        return found
    best = choose(canonical, training.metric, len(splits.val)).config
    rows, targets = records.indices[splits.train], records.truth[splits.train]
    balanced, num_classes = training.classes != "natural", len(records.classes)
    classifier = fit_kmer(best, records.store, rows, targets, num_classes, training.seed, balanced=balanced)
    return found._replace(config=best, classifier=classifier)


def reads_one_strand(candidates: Sequence[Candidate], num_records: int) -> bool | None:
    """Say whether k-mers of the strand that is given tell the classes apart better than those of both strands.

    They do where the least log loss on the V validation records, `num_records`, is lower by `CLEARLY` and, summed over
    them, `CLEARLY_NATS` at least: promoters, transcripts and other records that are all given in the direction they are
    read. None where only one of the two was tried.
    """
    forward, canonical = (
        min((one.log_loss for one in candidates if one.config.strands == strands), default=None)
        for strands in ("forward", "canonical")
    )
    if forward is None or canonical is None:
        return None
    return forward < (1 - CLEARLY) * canonical and (canonical - forward) * num_records > CLEARLY_NATS


class _Search:
    """Tries one candidate after the other; for the arguments see `choose_kmer`."""

    def __init__(self, config: KmerConfig, records: LabelledRecords, splits: Splits, training: TrainingConfig) -> None:
        self.config, self.records, self.metric = config, records, training.metric
        self.balanced = training.classes != "natural"
        self.num_classes = len(records.classes)
        self.train, self.val = (
            part[sample(records.truth[part], MOST_RECORDS, training.seed)] for part in (splits.train, splits.val)
        )
        self.targets, self.wanted = records.truth[self.train], records.truth[self.val]
        self.strands = ("forward", "canonical") if config.strands == "auto" else (config.strands,)

    def run(self) -> Iterator[Candidate]:
        """Yield candidates: k by k, for each both ways to count, and for each naive Bayes and a path of C."""
        tried: dict[str, list[list[Candidate]]] = {strands: [] for strands in self.strands}
        for k in KS if self.config.k is None else [self.config.k]:
            parts = self.train, self.val
            forward = _Counts(*(count_kmers(self.records.store, self.records.indices[part], k) for part in parts))
            for strands in self.strands:
                before = tried[strands]
                if self._ended(before):
                    continue
                joined = _Counts(*(join_strands(part, k) for part in forward))
                counts = forward if strands == "forward" else joined
                if before and not self._is_fit(counts.train):
                    continue
                before.append(list(self._try(counts, k, strands)))
                yield from before[-1]
            if all(self._ended(before) for before in tried.values()):
                return

    def _try(self, counts: _Counts, k: int, strands: str) -> Iterator[Candidate]:
        config = self.config
        stated = {"k": k, "strands": strands}
        if config.classifier != "logistic" and config.inverse_regularisation is None and config.features != "roots":
            bayes = KmerConfig.model_validate(stated | {"classifier": "naive-bayes", "features": "frequencies"})
            linear = fit_naive_bayes(counts.train, self.targets, self.num_classes, balanced=self.balanced)
            yield self._judge(bayes, linear, counts.val)
        if config.classifier == "naive-bayes":
            return
        roots = config.features != "frequencies"
        stated |= {"classifier": "logistic", "features": "roots" if roots else "frequencies"}
        penalties = PENALTIES if config.inverse_regularisation is None else (config.inverse_regularisation,)
        path: list[Candidate] = []
        fits = fit_logistic(
            counts.train, self.targets, penalties, roots=roots, balanced=self.balanced, iterations=ITERATIONS
        )
        for penalty, linear in zip(penalties, fits, strict=False):
            logistic = KmerConfig.model_validate(stated | {"inverse_regularisation": penalty})
            path.append(self._judge(logistic, linear, counts.val))
            yield path[-1]
            if self._ended([[one] for one in path]):
                return

    def _judge(self, config: KmerConfig, linear: Linear, counts: sparse.csr_array) -> Candidate:
        logits = find_logits(linear, counts, roots=config.features == "roots")
        probabilities = expit(logits) if self.wanted.ndim == 2 else softmax(logits, axis=1)
        value = score(self.metric, self.wanted, probabilities)
        calibrated = calibrate(probabilities, self.wanted, chose_epoch=False).log_loss.after
        return Candidate(config, value, calibrated, linear.weight.size + linear.bias.size)

    def _is_fit(self, counts: sparse.csr_array) -> bool:
        """Say whether counts are few enough for the solver, and say something of each class."""
        speaks = np.diff(counts.indptr) > 0
        num_columns = self.num_classes if self.num_classes > 2 or self.targets.ndim == 2 else 1
        says_all = len(np.unique(self.targets[speaks], axis=0)) == len(np.unique(self.targets, axis=0))
        entries = num_entries(counts)
        read = entries * num_columns * (not is_projected(counts))
        return max(entries, read / 4) <= MOST_ENTRIES and says_all

    def _ended(self, groups: list[list[Candidate]]) -> bool:
        """Say whether the last groups of candidates hold none that is better than all before, in metric or log loss."""
        last, before = groups[-PATIENCE:], [one for group in groups[:-PATIENCE] for one in group]
        if not before:
            return False
        most, least = max(one.worth(self.metric) for one in before), min(one.log_loss for one in before)
        enough = least - LEAST_NATS / len(self.val)
        return not any(one.worth(self.metric) > most or one.log_loss < enough for group in last for one in group)
