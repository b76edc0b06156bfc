"""The result in plain words: how good, on what, and whether that is more than simpler means reach.

Shapes: H held-out records.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from genomix.metrics.answered import exact_interval
from genomix.metrics.comparison import Compared, compare_metrics
from genomix.report.files import Labelled, Results
from genomix.report.scored import Scored
from genomix.report.standing import Standing, is_certain, judge_against, num_right
from genomix.report.wording import (
    SPLIT_WORDS,
    baseline_word,
    capital,
    count_of,
    listed,
    metric_word,
    number,
    span,
    with_interval,
)

FALLBACK = "accuracy"
KMER, MAJORITY = "kmer", "majority"
NUM_RESAMPLES = 1000
JOINED: dict[Standing, str] = {"better": "than", "not distinguishable": "from", "worse": "than"}


@dataclass(frozen=True)
class Verdict:
    """What a run comes to.

    Attributes:
        headline: The main metric with its interval, on which records, and how it stands to the baselines.
        sentences: By what that is known, and what limits it.
        standings: By the name of the baseline.
    """

    headline: str
    sentences: list[str]
    standings: dict[str, Standing]


def judge(results: Results, metric: str, scored: Scored | None, labelled: Labelled | None) -> Verdict:
    """Say how good the model is, and how it stands to its baselines.

    Args:
        results: What was measured.
        metric: The main metric; the accuracy takes its place where it is undefined for these records.
        scored: The records, if their predictions and labels are known.
        labelled: All records of the run, if known.
    """
    own = results.metrics
    used = metric if own.values.get(metric) is not None else FALLBACK
    sentences = []
    if used != metric:
        sentences.append(f"The main metric, {metric_word(metric)}, is undefined for these records.")
    if is_certain(own):
        exact = span(exact_interval(num_right(own), own.num_records))
        sentences.append(
            f"{num_right(own)} of {count_of(own.num_records, 'record')} are right, so that resampling them shows no "
            f"spread; by the exact binomial interval the accuracy may be {exact}."
        )
    standings: dict[str, Standing] = {}
    for name, baseline in results.baselines.items():
        compared = results.compared.get(name)
        if compared is None and name == MAJORITY:
            compared = _compare_with_shares(scored, labelled, used)
        standing, reason = judge_against(own, baseline, compared, used)
        standings[name] = standing
        value = with_interval(baseline, used)
        sentences.append(f"{capital(standing)} {JOINED[standing]} the {baseline_word(name)}, {value}: {reason}.")
    return Verdict(_headline(results, used, standings), [*sentences, *_limits(results)], standings)


def _headline(results: Results, metric: str, standings: dict[str, Standing]) -> str:
    own = results.metrics
    interval = span(own.intervals.get(metric))
    head = f"{capital(metric_word(metric))} {number(own.values.get(metric))}"
    head += f" (95 % interval {interval})" if interval else ""
    head += f" on {own.num_records:,} {SPLIT_WORDS.get(results.split or '', 'records')}"
    parts = []
    for standing, join in JOINED.items():
        names = [f"the {baseline_word(name)}" for name, found in standings.items() if found == standing]
        parts += [f"{standing} {join} {listed(names)}"] if names else []
    return f"{head}: {', '.join(parts)}" if parts else head


def _limits(results: Results) -> list[str]:
    """Say what there is nothing to compare with, and which records the figures are of."""
    sentences = []
    if not results.baselines:
        sentences.append("No baseline was measured beside it, so nothing here says whether simpler means do as well.")
    elif KMER not in results.baselines and results.model == KMER:
        sentences.append("This model is itself made of k-mer counts, which is what networks are set against.")
    elif KMER not in results.baselines:
        sentences.append("No k-mer baseline was measured, so nothing here says whether k-mer counts do as well.")
    if results.split == "val":
        sentences.append(
            "There was no test split: these records also chose the epoch, the k-mers and the calibration: new ones may "
            "fare worse."
        )
    if results.split is None:
        sentences.append("Nothing here says whether the model has seen these records before.")
    return sentences


def _compare_with_shares(scored: Scored | None, labelled: Labelled | None, metric: str) -> Compared | None:
    """Set the model against the majority baseline, whose probabilities are the shares of the training records."""
    if scored is None or scored.num_left_out or labelled is None or labelled.has_folds:
        return None
    pairs = zip(labelled.labels, labelled.parts, strict=True)
    counts = Counter(label for label, part in pairs if part == "train")
    shares = np.array([counts[label] for label in scored.classes], dtype=float)
    if not shares.any():
        return None
    probabilities = {"model": scored.probabilities, MAJORITY: np.tile(shares / shares.sum(), (len(scored.ids), 1))}
    compared = compare_metrics(
        scored.targets, probabilities, scored.classes, [metric], baseline=MAJORITY, num_resamples=NUM_RESAMPLES
    )
    return compared.runs[0]
