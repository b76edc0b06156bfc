"""What each part of the default preset is worth: named variants of it against it, judged on validation records only.

    python benchmarks/ablations.py SETS_DIR --sets a b c --variants benchmarks/ablations.yaml --seeds 0 1 2 \
        --epochs 40 --jobs 2 --out runs --results ablations

The file of variants has a name and a list of `--set` assignments for each. All are trained alike, for --epochs or for a
--budget each without stopping early, or by the preset's own rule; training is given a copy of each set without its test
records. Differences are paired: a variant and the default on the same set with the same seed. What is done is not
repeated. RESULTS.tsv has a row a run, RESULTS-differences.tsv a row a variant and set, RESULTS.md the table,
which --card puts into the preset's card, between marks. With --keep, what RESULTS.tsv has of other sets and seeds stays
in all of them, as a variant is paired with the default of the same command alone; it must be of the same --default and
the same --variants, which no row tells.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from accuracy_tables import costs, told
from candidates import SYNTAX, Candidate, file_name, parse_candidates
from measured import (
    METRICS,
    TITLES,
    Row,
    add_rows,
    conditions,
    exit_code,
    markdown_table,
    number_of,
    row_of,
    rows_to_keep,
    succeeded,
    write_results,
)
from runs import add_run_options, leave_with, limits, perform_all
from sets import open_sets, runs_on
from write_cards import find_card, write_ablations_card

from genomix.config import PRESETS
from genomix.errors import NoInputError, UsageError
from genomix.metrics import HIGHER_IS_BETTER
from genomix.metrics.paired import holm

DEFAULT = "default"


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences, variant less default, and its standard error; None of fewer than two."""

    mean: float
    error: float | None

    def __str__(self) -> str:
        """Write `+0.012 ± 0.004`."""
        return f"{self.mean:+.3f}" + ("" if self.error is None else f" ± {self.error:.3f}")


def read_variants(path: Path, base: Candidate) -> list[Candidate]:
    """Read named lists of assignments, and return the default and them.

    Raises:
        NoInputError: If there is no such file.
        UsageError: If it is something else, or an assignment does not fit the configuration.
    """
    try:
        stated = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NoInputError(f"{path}: cannot read these variants ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(stated, dict) or not all(isinstance(one, list) for one in stated.values()):
        raise UsageError(f"{path}: must have a name and a list of key=value for each variant")
    variants = [Candidate(DEFAULT, base.source, base.assignments)]
    for name, assignments in stated.items():
        variants.append(Candidate(str(name), base.source, (*base.assignments, *map(str, assignments))))
        _check(variants[-1], path)
    if len({file_name(one.name) for one in variants}) < len(variants):
        raise UsageError(f"{path}: two variants have the same name, or one is called {DEFAULT}; rename it")
    return variants


def differences_of(rows: Sequence[Row], metric: str) -> dict[str, dict[str, list[float]]]:
    """Return, by variant and set, the differences to the default over the seeds that both have."""
    values = {(row["model"], row["set"], str(row["seed"])): number_of(row[metric]) for row in succeeded(rows)}
    found: dict[str, dict[str, list[float]]] = {}
    for (model, name, seed), value in values.items():
        usual = values.get((DEFAULT, name, seed))
        if model != DEFAULT and usual is not None and value is not None:
            found.setdefault(model, {}).setdefault(name, []).append(value - usual)
    return found


def summarise(values: Sequence[float]) -> Difference:
    """Return the mean and its standard error."""
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else None
    return Difference(float(np.mean(values)), error)


def sign_test(values: Sequence[float]) -> float | None:
    """Return the two-sided p-value of "as often better as worse" (exact binomial); None where all are equal.

    The sizes of differences on different sets do not compare, their signs do. Ties do not count.
    """
    from scipy.stats import binomtest

    signs = [value > 0 for value in values if value]
    return float(binomtest(sum(signs), len(signs)).pvalue) if signs else None


def to_markdown(rows: Sequence[Row], metric: str) -> str:
    """Write a row a variant: the difference on each set, over all sets, the test, and what the variant costs."""
    found = differences_of(rows, metric)
    sets, models = (list(dict.fromkeys(row[column] for row in rows)) for column in ("set", "model"))
    pooled = {model: [value for values in found.get(model, {}).values() for value in values] for model in models}
    adjusted = dict(zip(models, holm([sign_test(pooled[model]) for model in models]), strict=True))
    better = 1 if HIGHER_IS_BETTER[metric] else -1
    lines = []
    for model in models:
        by_set = {name: summarise(values) for name, values in found.get(model, {}).items()}
        cells = [str(by_set.get(name, "-")) for name in sets]
        over_all = str(summarise([one.mean for one in by_set.values()])) if by_set else "-"
        signs = [np.sign(better * value) for value in pooled[model]]
        p = adjusted[model]
        test = [f"{signs.count(1)} / {signs.count(-1)}" if signs else "-", "-" if p is None else f"{p:.3f}"]
        own = [row for row in rows if row["model"] == model]
        lines.append([model, *cells, over_all, *test, *costs(own), told(own)])
    columns = ["variant", *sets, "all sets", "better / worse", "p", "parameters", "training (s)", "epochs", "runs"]
    note = (
        f"Difference of {TITLES[metric]} on the validation records to the default, paired by set and seed: of a set "
        "the mean ± its standard error over seeds, of all sets the mean ± its standard error over sets. p is of the "
        "sign test over all pairs, after Holm for the variants; before Holm n pairs give 2^(1 - n) at the least."
    )
    return f"{note}\n\n{markdown_table(columns, lines)}\n\n{conditions(rows)}"


def difference_rows(found: Mapping[str, Mapping[str, Sequence[float]]], metric: str) -> list[dict[str, Any]]:
    """Return a row a variant and set."""
    rows = []
    for model, by_set in found.items():
        for name, values in by_set.items():
            one = summarise(values)
            rows.append({"variant": model, "set": name, "metric": metric, "pairs": len(values), **vars(one)})
    return rows


def main() -> int:
    """Train what is not trained yet, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets_dir", type=Path, help="folder with a folder for each set")
    parser.add_argument("--sets", nargs="+", required=True, help="names of sets")
    parser.add_argument("--variants", type=Path, default=Path(__file__).with_suffix(".yaml"))
    parser.add_argument("--only", nargs="+", help="names of variants, if not all")
    parser.add_argument("--default", default="paramixer", metavar="MODEL", help=f"what they are variants of: {SYNTAX}")
    parser.add_argument("--epochs", type=int, help="of each training")
    parser.add_argument("--metric", choices=METRICS, default=METRICS[0])
    parser.add_argument("--keep", action="store_true", help="keep what RESULTS.tsv has of other sets and seeds")
    parser.add_argument("--card", action="store_true", help="put the table into the card of the default's preset")
    add_run_options(parser)
    options = parser.parse_args()
    base = parse_candidates([options.default])[0]
    if options.card:
        find_card(base.source)
    variants = read_variants(options.variants, base)
    if unknown := set(options.only or ()) - {one.name for one in variants}:
        raise UsageError(f"--only {min(unknown)!r}: {options.variants} has no such variant")
    variants = [one for one in variants if options.only is None or one.name in (DEFAULT, *options.only)]
    flags = limits(options.budget, options.epochs)
    limit = {"budget": f"{options.epochs} epochs"} if options.epochs else {}
    budget = limit.get("budget", options.budget or "")
    kept = rows_to_keep(options.results, "val", budget) if options.keep else []
    runs = [
        run
        for one in open_sets(options.sets_dir, options.sets, "val", options.out)
        for run in runs_on(one, variants, options, folder="ablations", flags=flags, judge="val", **limit)
    ]
    made = [row_of(outcome) for outcome in perform_all(runs, options.jobs)]
    rows = add_rows(kept, made, alike=("set", "seed"))
    differences = difference_rows(differences_of(rows, options.metric), options.metric)
    table = to_markdown(rows, options.metric)
    write_results(options.results, table, rows=rows, differences=differences)
    if options.card:
        write_ablations_card(base.source, f"{_describe(options.default)}\n\n{table}")
    return exit_code(made)


def _describe(default: str) -> str:
    return "" if default in PRESETS else f"The default is here `{default}`."


def _check(variant: Candidate, path: Path) -> None:
    try:
        _ = variant.config
    except UsageError as error:
        raise UsageError(f"{path}: variant {variant.name!r}: {error}") from error


if __name__ == "__main__":
    leave_with(main)
