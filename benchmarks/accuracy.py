"""Chosen models on sets of data with official splits: the table of docs/accuracy.md.

    python benchmarks/accuracy.py SETS_DIR --sets a b c --models paramixer kmer cnn --seeds 0 1 2 --budget 10m \
        --jobs 2 --out runs --results benchmarks/results/accuracy

A set is a folder with data.fa.gz and labels.tsv. One that names no val gets one by genomix's own split of train, from
the seed; one without test is judged on val, which is said. For each set, model and seed there is one `genomix train`;
without --budget it has no other flags. What is done is not repeated, what was killed goes on. A run that fails is a row
with its reason, and the exit code is 1.

RESULTS.tsv has a row a run, RESULTS.md the tables. --docs puts these into docs/accuracy.md, --cards a model's rows into
its card, both between the marks of a --part. With --judge val, for choosing, training never sees a test record.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from accuracy_tables import write_markdown
from candidates import SYNTAX, parse_candidates
from measured import add_rows, exit_code, row_of, rows_to_keep, write_results
from runs import Run, add_run_options, budget_flags, leave_with, perform_all
from sets import add_judge_option, open_sets, runs_on
from write_cards import ACCURACY, write_accuracy_cards, write_accuracy_page

from genomix.errors import UsageError


def plan(options: argparse.Namespace) -> list[Run]:
    """Return the runs of all sets, models and seeds.

    Raises:
        UsageError, NoInputError, DataError: If a model, a set or the budget is not as it should be.
    """
    candidates, flags = parse_candidates(options.models), budget_flags(options.budget)
    sets = open_sets(options.sets_dir, options.sets, options.judge, options.out)
    return [run for one in sets for run in runs_on(one, candidates, options, flags=flags, judge=options.judge)]


def main() -> int:
    """Train what is not trained yet, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets_dir", type=Path, help="folder with a folder for each set")
    parser.add_argument("--sets", nargs="+", required=True, help="names of sets")
    parser.add_argument("--models", nargs="+", default=["paramixer", "kmer"], metavar="MODEL", help=SYNTAX)
    parser.add_argument("--docs", action="store_true", help="put the tables into docs/accuracy.md")
    parser.add_argument("--cards", action="store_true", help="put a model's rows into its card")
    parser.add_argument("--part", choices=ACCURACY, default="accuracy", help="of the docs and the cards, between marks")
    parser.add_argument("--keep", action="store_true", help="keep what RESULTS.tsv has of other sets, models and seeds")
    add_run_options(parser)
    add_judge_option(parser)
    options = parser.parse_args()
    if options.judge != "test" and (options.docs or options.cards):
        raise UsageError("--judge val is for choosing; docs and cards have figures of the test records")
    kept = rows_to_keep(options.results, options.judge) if options.keep else []
    made = [row_of(outcome) for outcome in perform_all(plan(options), options.jobs)]
    rows = add_rows(kept, made)
    write_results(options.results, write_markdown(rows), rows=rows)
    if options.docs:
        write_accuracy_page(rows, options.part)
    if options.cards:
        write_accuracy_cards(rows, options.part)
    return exit_code(made)


if __name__ == "__main__":
    leave_with(main)
