"""How often the 95 % intervals of metrics hold the truth, on made-up data sets of which the truth is known.

    python benchmarks/interval_coverage.py --records 50 200 1000 --csv intervals.csv
    python benchmarks/interval_coverage.py --differences --records 50 200 --csv differences.csv

A record of class c has the features N(skill e_c, 1), one a class, from which the class probabilities follow exactly by
Bayes' rule; with their logarithms divided by a temperature other than 1 they are not calibrated. Classes are equally
frequent, or the first nine times as frequent as each of the others. The truth of a metric is its value for a million
records; the calibration error of calibrated probabilities is 0. A row has the share of the data sets whose interval
holds the truth, its standard error, how often the truth is below and above, and the mean width: "ours" of the intervals
that `compute_metrics` gives, "percentile" of percentile intervals of the same resamples.

With --differences two models of the same records, each with features of its own, are compared as `compare_metrics`
does. The kind "equal" has two equally good models, of which a test at 0.05 should find one better in 5 % of the data
sets ("rejected"); "other" one with less skill and another temperature.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genomix.metrics import METRIC_NAMES, Interval
from genomix.metrics.bootstrap import percentile_interval, resample
from genomix.metrics.intervals import intervals_of
from genomix.metrics.paired import bootstrap_p
from genomix.metrics.weighted import Records

MANY = 1_000_000
LEVEL = 0.95
SKILLS = {2: (1.2, 2.5), 5: (1.6, 3.2)}
"""Of a number of classes: for an accuracy of 0.8 or 0.7, and for 0.96, where classes are equally frequent."""
TEMPERATURES = (1.0, 0.5)
SLACK = 1e-9


class Problem(NamedTuple):
    """Where data sets come from."""

    num_classes: int
    is_balanced: bool
    skill: float
    temperature: float

    @property
    def frequencies(self) -> np.ndarray:
        """Of the classes (C,)."""
        weights = np.ones(self.num_classes)
        weights[0] = 1 if self.is_balanced else 9
        return weights / weights.sum()

    def draw(self, num_records: int, rng: np.random.Generator) -> np.ndarray:
        """Return targets (R,)."""
        return rng.choice(self.num_classes, size=num_records, p=self.frequencies)

    def predict(self, targets: np.ndarray, rng: np.random.Generator) -> Records:
        """Return records with the probabilities of a model that sees features of its own."""
        features = rng.normal(size=(len(targets), self.num_classes)) + self.skill * np.eye(self.num_classes)[targets]
        logits = (self.skill * features + np.log(self.frequencies)) / self.temperature
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return Records(targets, odds / odds.sum(axis=1, keepdims=True))


class Tally:
    """Intervals, beside the truth."""

    def __init__(self, truth: float) -> None:
        self.truth = truth
        self.ends: list[tuple[float, float]] = []

    def add(self, interval: Interval | None) -> None:
        """Count an interval, if there is one."""
        if interval is not None:
            self.ends.append((interval.low, interval.high))

    def row(self) -> dict[str, Any]:
        """Return what is reported of them."""
        lows, highs = np.array(self.ends).reshape(-1, 2).T
        below, above = (self.truth < lows - SLACK).mean(), (self.truth > highs + SLACK).mean()
        covered = 1 - below - above
        error = np.sqrt(covered * (1 - covered) / len(lows))
        shares = {"covered": covered, "standard_error": error, "below": below, "above": above}
        rounded = {name: round(float(share), 4) for name, share in shares.items()}
        width = float((highs - lows).mean())
        return {"intervals": len(lows), "truth": round(self.truth, 5), **rounded, "width": round(width, 5)}


@cache
def truth_of(problem: Problem) -> dict[str, float]:
    """Return the metrics of very many records."""
    rng = np.random.default_rng(1)
    found = resample([problem.predict(problem.draw(MANY, rng), rng)], METRIC_NAMES, num_resamples=0)
    truth = {name: float(one.values[0]) for name, one in found.items()}
    return truth | {"ece": 0.0} if problem.temperature == 1 else truth


def measure(problem: Problem, num_records: int, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield a row a metric and kind of interval."""
    truth = truth_of(problem)
    tallies = {(name, kind): Tally(truth[name]) for name in METRIC_NAMES for kind in ("ours", "percentile")}
    for number in range(options.datasets):
        rng = np.random.default_rng([options.seed, num_records, number])
        records = problem.predict(problem.draw(num_records, rng), rng)
        found = resample([records], METRIC_NAMES, num_resamples=options.resamples, seed=int(rng.integers(2**31)))
        intervals = intervals_of(records, found, 0, LEVEL)
        for name, one in found.items():
            tallies[name, "ours"].add(intervals.get(name))
            tallies[name, "percentile"].add(percentile_interval(one.drawn[0], LEVEL))
    for (name, kind), tally in tallies.items():
        yield {"metric": name, "kind": kind, **tally.row()}


def measure_differences(problem: Problem, num_records: int, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield a row a metric and kind of second model."""
    worse = problem._replace(skill=0.9 * problem.skill, temperature=0.8 * problem.temperature)
    for kind, second in (("equal", problem), ("other", worse)):
        first_truth, second_truth = truth_of(problem), truth_of(second)
        tallies = {name: Tally(second_truth[name] - first_truth[name]) for name in METRIC_NAMES}
        rejected = {name: [] for name in METRIC_NAMES}
        for number in range(options.datasets):
            rng = np.random.default_rng([options.seed, num_records, number])
            targets = problem.draw(num_records, rng)
            runs = [model.predict(targets, rng) for model in (problem, second)]
            found = resample(runs, METRIC_NAMES, num_resamples=options.resamples, seed=int(rng.integers(2**31)))
            for name, one in found.items():
                drawn = one.drawn[1] - one.drawn[0]
                if (p := bootstrap_p(drawn)) is not None:
                    tallies[name].add(percentile_interval(drawn, LEVEL))
                    rejected[name].append(p <= 1 - LEVEL)
        for name, tally in tallies.items():
            yield {"metric": name, "kind": kind, **tally.row(), "rejected": round(float(np.mean(rejected[name])), 4)}


def main() -> None:
    """Print a row a problem, size, metric and kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, nargs="+", default=[50, 200, 1000], help="of a data set")
    parser.add_argument("--classes", type=int, nargs="+", default=list(SKILLS), choices=list(SKILLS))
    parser.add_argument("--datasets", type=int, default=1000, help="of a problem and size")
    parser.add_argument("--resamples", type=int, help="1,000, and 2,000 of differences, as the commands draw")
    parser.add_argument("--differences", action="store_true", help="compare two models")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--csv", type=Path, help="file of results, added to")
    options = parser.parse_args()
    options.resamples = options.resamples or (2000 if options.differences else 1000)
    run = measure_differences if options.differences else measure
    for num_records, num_classes in product(options.records, options.classes):
        for is_balanced, skill, temperature in product((True, False), SKILLS[num_classes], TEMPERATURES):
            problem = Problem(num_classes, is_balanced, skill, temperature)
            rows = [{"records": num_records, **problem._asdict(), **row} for row in run(problem, num_records, options)]
            write_rows(rows, options.csv)


def write_rows(rows: list[dict[str, Any]], path: Path | None) -> None:
    """Print rows as tab-separated text, and add them to a file."""
    table = csv.DictWriter(sys.stdout, list(rows[0]), delimiter="\t", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    sys.stdout.flush()
    if path is not None:
        is_new = not path.exists()
        with path.open("a", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]))
            if is_new:
                table.writeheader()
            table.writerows(rows)


if __name__ == "__main__":
    main()
