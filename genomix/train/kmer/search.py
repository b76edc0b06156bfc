"""Tries k-mer baselines: fitted to the training records, judged by the validation records.

R records, F k-mers that are told apart, C classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse

from genomix.config import KmerConfig, TrainingConfig
from genomix.data.labelled import LabelledRecords
from genomix.data.splits import Splits
from genomix.metrics import score
from genomix.metrics.calibration import calibrate
from genomix.nn.kmer import NUM_BASES
from genomix.train.kmer.candidates import CLEARLY_NATS, Candidate, reads_one_strand
from genomix.train.kmer.counts import count_kmers, join_strands, most_counts
from genomix.train.kmer.design import Linear, find_probabilities, is_projected, num_entries
from genomix.train.kmer.fit import sample
from genomix.train.kmer.linear import fit_logistic, fit_naive_bayes
from genomix.train.kmer.mismatch import fit_alike
from genomix.train.kmer.places import Placed, try_places

KS = range(2, 11)
PENALTIES = tuple(10.0**power for power in range(-5, 3))
ALIKE_KS, MISMATCHES = (8, 10), (0.2, 0.4)
"""Of long k-mers whose weights are alike: lengths, and correlations of the weights of those that differ in a base."""
ALIKE_PENALTIES = tuple(10.0**power for power in range(-7, 0))
"""Of those; whatever the k-mers, their features have a variance of 1 on average, and of long ones there are more."""
MOST_WEIGHTS, MOST_READ = 1 << 22, 1 << 24
"""What is still fitted so: weights, those of both strands and of each column of scores, and counts read in a step."""
MOST_SHORT = 8
"""k up to which k-mers each with a weight of its own are fitted whatever the number of weights."""
ITERATIONS = 300
"""Of the solver for a candidate; the one that is chosen is fitted anew, with more."""
ALIKE_ITERATIONS = 60
MOST_RECORDS = 50_000
"""Training, and validation, records that candidates are fitted to and judged by."""
MOST_ENTRIES = 64_000_000
"""Numbers in a matrix, and those that the solver reads a step: k with more are not tried."""
LEAST_NATS = 0.5
"""Of log loss over all validation records, less than which is no gain that would be worth a larger model."""
PATIENCE = 2
"""Candidates in a row, and k in a row, that are no better than one before, after which none larger are tried."""


class _Counts(NamedTuple):
    """Counts of one k on one or both strands: those of training records and of validation records, (R, F) each."""

    train: sparse.csr_array
    val: sparse.csr_array


class Search:
    """Tries one candidate after the other; for the arguments see `genomix.train.kmer.choice.choose_kmer`."""

    def __init__(self, config: KmerConfig, records: LabelledRecords, splits: Splits, training: TrainingConfig) -> None:
        self.config, self.records, self.metric = config, records, training.metric
        self.balanced = training.classes != "natural"
        self.num_classes = len(records.classes)
        self.train, self.val = (
            part[sample(records.truth[part], MOST_RECORDS, training.seed)] for part in (splits.train, splits.val)
        )
        self.targets, self.wanted = records.truth[self.train], records.truth[self.val]
        self.num_columns = self.num_classes if self.num_classes > 2 or self.targets.ndim == 2 else 1
        self.strands = ("forward", "canonical") if config.strands == "auto" else (config.strands,)
        self.seed = training.seed
        self.placed: Placed | None = None
        self.reads_both = training.reverse_complement is True

    def run(self) -> Iterator[Candidate]:
        """Yield candidates: k-mers each with a weight of its own, then long ones whose weights are alike."""
        apart: list[Candidate] = []
        if not self.config.mismatch:
            for one in self._run_apart():
                apart.append(one)
                yield one
        self.placed = self._try_places(apart)
        if self.config.mismatch == 0 or self.config.classifier == "naive-bayes":
            return
        for strands in self._alike_strands(apart):
            yield from self._run_alike(apart, strands)

    def _alike_strands(self, apart: Sequence[Candidate]) -> Sequence[str]:
        """Return the strands for which weights that are alike are tried: both only where nothing else tells."""
        if len(self.strands) == 1 or not apart:
            return self.strands
        one_strand = reads_one_strand(apart, len(self.val), self.placed) and not self.reads_both
        return ["forward" if one_strand else "canonical"]

    def _try_places(self, apart: Sequence[Candidate]) -> Placed | None:
        """Try k-mers in their places, if the strand is open and so much is left to gain that it could matter."""
        least = min((one.log_loss for one in apart), default=0.0)
        if len(self.strands) == 1 or least * len(self.val) < CLEARLY_NATS:
            return None
        return try_places(self.records, self.train, self.val, self.seed, balanced=self.balanced)

    def _run_alike(self, apart: Sequence[Candidate], strands: str) -> Iterator[Candidate]:
        """Yield candidates whose k-mers' weights are alike: of the shortest k all r, of a longer one the best of these.

        Where they are no better than k-mers of that length each with a weight of its own, longer ones are not tried.
        Who states r gets it whatever the records, but longer k only as others do.
        """
        config = self.config
        least = min((one.log_loss for one in apart), default=math.inf)
        if least * len(self.val) < LEAST_NATS:
            return
        mismatches = MISMATCHES if config.mismatch is None else (config.mismatch,)
        for k in ALIKE_KS if config.k is None else (config.k,):
            is_asked = not apart and k == (config.k or ALIKE_KS[0])
            if not is_asked and (k < ALIKE_KS[0] or not self._is_worth(k)):
                return
            counts = self._count(k, strands)
            tried = {r: list(self._try_alike(counts, k, strands, r)) for r in mismatches}
            yield from (one for path in tried.values() for one in path)
            losses = {r: min(one.log_loss for one in path) for r, path in tried.items()}
            mismatches = (min(losses, key=losses.__getitem__),)
            same = [one.log_loss for one in apart if one.config.k == k and one.config.strands == strands]
            if losses[mismatches[0]] > min(same, default=least):
                return

    def _is_worth(self, k: int) -> bool:
        """Say whether records hold as many k-mers as there are, and not too many for the solver."""
        lengths = self.records.lengths[self.train].astype(np.int64)
        fits = (
            self.num_columns * NUM_BASES**k <= MOST_WEIGHTS and self.num_columns * most_counts(lengths, k) <= MOST_READ
        )
        return fits and np.maximum(lengths - k + 1, 0).sum() >= NUM_BASES**k

    def _try_alike(self, counts: _Counts, k: int, strands: str, mismatch: float) -> Iterator[Candidate]:
        config = self.config
        roots = config.features != "frequencies"
        stated = {"k": k, "strands": strands, "classifier": "logistic", "mismatch": mismatch}
        stated |= {"features": "roots" if roots else "frequencies"}
        penalties = ALIKE_PENALTIES if config.inverse_regularisation is None else (config.inverse_regularisation,)
        fits = fit_alike(
            counts.train,
            self.targets,
            penalties,
            k=k,
            mismatch=mismatch,
            roots=roots,
            balanced=self.balanced,
            iterations=ALIKE_ITERATIONS,
        )
        yield from self._follow(fits, penalties, stated, counts.val)

    def _count(self, k: int, strands: str) -> _Counts:
        parts = (count_kmers(self.records.store, self.records.indices[part], k) for part in (self.train, self.val))
        return _Counts(*(part if strands == "forward" else join_strands(part, k) for part in parts))

    def _run_apart(self) -> Iterator[Candidate]:
        """Yield candidates: k by k, for each both ways to count, and for each naive Bayes and a path of C."""
        tried: dict[str, list[list[Candidate]]] = {strands: [] for strands in self.strands}
        left = list(self.strands)
        for k in KS if self.config.k is None else [self.config.k]:
            if any(tried.values()) and not self._may_fit(k):
                return
            forward = self._count(k, "forward")
            for strands in list(left):
                before = tried[strands]
                counts = forward if strands == "forward" else _Counts(*(join_strands(part, k) for part in forward))
                if before and not self._is_fit(counts.train):
                    left.remove(strands)
                    continue
                before.append(list(self._try(counts, k, strands)))
                yield from before[-1]
                if self._ended(before):
                    left.remove(strands)
            if not left:
                return

    def _may_fit(self, k: int) -> bool:
        """Say, before anything is counted, whether there is room for the counts, and of long k-mers for the weights."""
        has_room = most_counts(self.records.lengths[self.train], k) <= MOST_ENTRIES
        return has_room and (k <= MOST_SHORT or self.num_columns * NUM_BASES**k <= MOST_WEIGHTS)

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
        fits = fit_logistic(
            counts.train, self.targets, penalties, roots=roots, balanced=self.balanced, iterations=ITERATIONS
        )
        yield from self._follow(fits, penalties, stated, counts.val)

    def _follow(
        self, fits: Iterator[Linear], penalties: Sequence[float], stated: dict[str, object], val: sparse.csr_array
    ) -> Iterator[Candidate]:
        """Yield logistic regression C by C until it becomes no better."""
        path: list[Candidate] = []
        for penalty, linear in zip(penalties, fits, strict=False):
            logistic = KmerConfig.model_validate(stated | {"inverse_regularisation": penalty})
            path.append(self._judge(logistic, linear, val))
            yield path[-1]
            if self._ended([[one] for one in path]):
                return

    def _judge(self, config: KmerConfig, linear: Linear, counts: sparse.csr_array) -> Candidate:
        roots, multi_label = config.features == "roots", self.wanted.ndim == 2
        probabilities = find_probabilities(linear, counts, roots=roots, multi_label=multi_label)
        value = score(self.metric, self.wanted, probabilities)
        calibrated = calibrate(probabilities, self.wanted, chose_epoch=False).log_loss.after
        return Candidate(config, value, calibrated, linear.weight.size + linear.bias.size)

    def _is_fit(self, counts: sparse.csr_array) -> bool:
        """Say whether counts are few enough for the solver, and say something of each class."""
        speaks = np.diff(counts.indptr) > 0
        says_all = len(np.unique(self.targets[speaks], axis=0)) == len(np.unique(self.targets, axis=0))
        entries = num_entries(counts)
        read = entries * self.num_columns * (not is_projected(counts))
        return max(entries, read) <= MOST_ENTRIES and says_all

    def _ended(self, groups: list[list[Candidate]]) -> bool:
        """Say whether the last groups of candidates hold none that is better than all before, in metric or log loss."""
        last, before = groups[-PATIENCE:], [one for group in groups[:-PATIENCE] for one in group]
        if not before:
            return False
        most, least = max(one.worth(self.metric) for one in before), min(one.log_loss for one in before)
        enough = least - LEAST_NATS / len(self.val)
        return not any(one.worth(self.metric) > most or one.log_loss < enough for group in last for one in group)
