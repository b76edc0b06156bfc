"""A metric against the number of training records: would more data help, and from how many does a network win?

    python benchmarks/learning_curve.py SETS_DIR/gue_tf_3 --fractions 0.0625 0.25 1 --models paramixer kmer \
        --seeds 0 1 2 --out runs --results curve --plot curve.png

Training records are drawn by class and seed, and those of a smaller fraction are among those of a larger one; the
records of val and test stay as they are. Where a set names no val, it is drawn from all training records by the seed.
--docs puts table and picture into docs/accuracy.md, between marks that are called `curve SET`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from candidates import SYNTAX, parse_candidates
from curves import add_picture_options, perform_curve
from measured import METRICS
from runs import Data, Run, add_run_options, budget_flags, leave_with
from sets import DataSet, add_judge_option, open_sets, read_split, runs_on, write_table

from genomix.config import DataConfig
from genomix.data.labels import LabelRow
from genomix.data.splits import SPLIT_NAMES, from_column
from genomix.data.splits.assignment import stratify


def parse_fraction(text: str) -> float:
    """Return a share over 0, up to 1."""
    try:
        fraction = float(text)
    except ValueError:
        fraction = 0.0
    if not 0 < fraction <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share over 0 and up to 1")
    return fraction


def draw_records(rows: Sequence[LabelRow], fraction: float, seed: int) -> list[LabelRow]:
    """Return the rows, in their order, of a share of the training records and of all others, with their splits.

    Each class keeps its share, and one training record at least.

    Raises:
        DataError: If no record is for training.
    """
    classes = {label: number for number, label in enumerate(sorted({row.label for row in rows}))}
    targets = np.array([classes[row.label] for row in rows])
    given = [row.split or "" for row in rows]
    groups = [row.group for row in rows] if any(row.group for row in rows) else None
    splits = from_column(given, targets, groups=groups, val_fraction=DataConfig().val_fraction, seed=seed)
    shares = np.array([fraction, 1 - fraction, 0.0])
    chosen = splits.train[stratify(targets[splits.train], shares, np.random.default_rng(seed)) == 0]
    named = {
        number: name
        for name, numbers in zip(SPLIT_NAMES, (chosen, splits.val, splits.test), strict=True)
        for number in numbers.tolist()
    }
    return [
        LabelRow(row.id, row.label, row.group, named[number], row.source, row.line)
        for number, row in enumerate(rows)
        if number in named
    ]


def plan(options: argparse.Namespace) -> tuple[list[Run], dict[Path, tuple[str, int]]]:
    """Return the runs, and for each, by its path, its fraction as text, and its number of training records.

    Raises:
        UsageError, NoInputError, DataError: If an option, a model or the set is not as it should be.
    """
    candidates, flags = parse_candidates(options.models), (*budget_flags(options.budget), "--on-missing", "skip")
    folder = options.set_dir.resolve()
    (one,) = open_sets(folder.parent, [folder.name], options.judge, options.out)
    rows = read_split(one.data.labels)
    runs, places = [], {}
    for fraction in sorted(options.fractions):
        at = f"learning_curve/{fraction:g}"
        (one.folder / at).mkdir(parents=True, exist_ok=True)
        for seed in options.seeds:
            drawn = draw_records(rows, fraction, seed)
            labels = one.folder / at / f"labels-{seed}.tsv"
            write_table(labels, drawn)
            subset = DataSet(one.name, Data(one.data.sequences, labels), one.folder)
            of_seed = argparse.Namespace(**vars(options) | {"seeds": [seed]})
            added = runs_on(subset, candidates, of_seed, folder=at, flags=flags, judge=options.judge)
            number = sum(row.split == "train" for row in drawn)
            places |= {run.path: (f"{fraction:g}", number) for run in added}
            runs += added
    return runs, places


def main() -> int:
    """Train what is not trained yet, write the tables, and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set_dir", type=Path, help="folder of the set")
    parser.add_argument("--fractions", type=parse_fraction, nargs="+", default=[0.0625, 0.25, 1.0])
    parser.add_argument("--models", nargs="+", default=["paramixer", "kmer"], metavar="MODEL", help=SYNTAX)
    parser.add_argument("--metric", choices=METRICS, default="accuracy")
    add_picture_options(parser)
    add_run_options(parser)
    add_judge_option(parser)
    options = parser.parse_args()
    heading, axis = "share of the training records", "training records (share of all)"
    return perform_curve(*plan(options), options, kind="curve", heading=heading, axis=axis)


if __name__ == "__main__":
    leave_with(main)
