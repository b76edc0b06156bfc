"""`genomix check`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genomix.cli import options
from genomix.errors import DataError, UsageError

if TYPE_CHECKING:
    from genomix.data.checks import Checks
    from genomix.data.labels import LabelledRecords
    from genomix.data.splits import Splits

MOST_CLASSES = 20
"""Classes in the table; of more, the largest."""
LINE = 120
"""Columns of the table of checks where stdout is no terminal."""


def check(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="INPUT... [LABELS]", help="Sequences, then the table of labels, as for genomix train."),
    ] = None,
    splits: Annotated[
        str | None,
        typer.Option("--splits", help="Table of id and split (or fold), in place of the labels' own."),
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Look at fewer k-mers and records, as genomix train does.")
    ] = False,
    similarity: Annotated[
        float, typer.Option("--similarity", help="From which on records are near-duplicates, over 0 and at most 1.")
    ] = 0.9,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 65 for a WARN, too.")] = False,
    out: Annotated[str | None, typer.Option("--out", "-o", help="JSON file to write the checks to.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON, not as tables.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of samples, folds and resamples.")] = 0,
    multi_label: options.MultiLabel = None,
    levels: options.Levels = None,
    labels: options.Labels = None,
    label_regex: options.LabelRegex = None,
    class_files: options.ClassFiles = None,
    on_invalid: options.OnInvalid = "error",
    on_missing: options.OnMissing = "error",
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Look for what makes a result look better than it is: leaks, shortcuts, wrong labels. FAIL is exit code 65."""
    from genomix.files import check_file
    from genomix.runtime import set_threads

    options.start_log(quiet=quiet)
    if not 0 < similarity <= 1:
        raise UsageError(f"--similarity {similarity:g}: give a value over 0 and at most 1, such as 0.9")
    if multi_label and levels is not None:
        raise UsageError("--multi-label --levels: labels are either several a record, or paths; leave one of them out")
    if out is not None:
        check_file(Path(out), force=force)
    set_threads(threads)

    from genomix.data.checks import run_checks, write_checks
    from genomix.data.labels import LabelKind
    from genomix.data.levels import parse_levels

    pairs = options.parse_class_files(class_files)
    sequences, table = options.split_inputs(inputs or [], labels, labelled_otherwise=bool(label_regex or pairs))
    records = options.load_records(
        sequences,
        table,
        splits,
        label_regex=label_regex,
        class_files=pairs,
        on_invalid=on_invalid,
        on_missing=on_missing,
        kind=LabelKind(is_multi=bool(multi_label), levels=parse_levels(levels) if levels is not None else ()),
    )
    checks = run_checks(records, given_splits(records), fast=fast, similarity=similarity, seed=seed)
    if out is not None:
        write_checks(out, checks)
    if as_json:
        sys.stdout.write(json.dumps(checks.to_dict(), indent=2, ensure_ascii=False) + "\n")
    else:
        print_checks(checks)
    if checks.worst == "FAIL" or (strict and checks.worst == "WARN"):
        raise typer.Exit(DataError.exit_code)


def given_splits(records: LabelledRecords) -> Splits | None:
    """Return the splits that the labels have, or the first of their folds; no val is made where there is none."""
    from genomix.data.label_table import UNUSED
    from genomix.data.splits import from_column, from_folds

    if records.splits is not None and (records.folds is None or {"val", "test"} & set(records.splits)):
        return from_column(records.splits, records.targets, val_fraction=0.0)
    if records.folds is None:
        return None
    splits = records.splits or [""] * len(records.folds)
    folds = ["" if split == UNUSED else fold for fold, split in zip(records.folds, splits, strict=True)]
    first = from_folds(folds, records.targets, val_fraction=0.0)[0]
    options.say(f"fold {first.fold!r} is looked at as the test split, the others as train")
    return first


def print_checks(checks: Checks) -> None:
    """Print what the records are, and what each check found, the worst first."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from genomix.cli.tables import print_rows, print_table
    from genomix.data.checks.check import STATUSES

    everything, splits = checks.summary["all"], checks.summary["splits"]
    classes = sorted(checks.summary["classes"].items(), key=lambda entry: -entry[1]["records"])
    title = f"{everything['records']:,} records, {everything['bases']:,} bases, {len(classes)} classes"
    if len(classes) > MOST_CLASSES:
        title += f" (the {MOST_CLASSES} largest; all of them: --json)"
    names = ["", "records", *splits, "bases", "shortest", "median", "longest", "GC", "N"]
    rows = [_summary_row("all", everything, [f"{one['records']:,}" for one in splits.values()])]
    for label, one in classes[:MOST_CLASSES]:
        rows.append(_summary_row(f"class {label}", one, [f"{split['classes'][label]:,}" for split in splits.values()]))
    rows += [_summary_row(name, one, [""] * len(splits)) for name, one in splits.items()]
    print_rows(title, names, rows)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("status", "check", "what was found, and what to do"):
        table.add_column(name, no_wrap=not name.startswith("what"))
    for one in sorted(checks.checks, key=lambda one: -STATUSES.index(one.status)):
        table.add_row(one.status, one.name.replace("_", " "), Text(one.sentence))
    print_table(table, width=LINE)
    counts = {status: sum(one.status == status for one in checks.checks) for status in reversed(STATUSES)}
    sys.stdout.write(f"{checks.worst}: " + ", ".join(f"{count} {status}" for status, count in counts.items()) + "\n")


def _summary_row(name: str, summary: dict[str, Any], by_split: list[str]) -> list[str]:
    gc = "-" if summary["gc"] is None else f"{summary['gc']:.3f}"
    numbers = [f"{summary[key]:,.0f}" for key in ("bases", "shortest", "median", "longest")]
    return [name, f"{summary['records']:,}", *by_split, *numbers, gc, f"{summary['unknown']:.4f}"]
