"""`genomix split`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from genomix.cli import options
from genomix.errors import UsageError

STDOUT = "-"


def split(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT... [LABELS]", help="Sequences and their labels, in any of the ways genomix train takes them."
        ),
    ] = None,
    out: Annotated[str, typer.Option("--out", "-o", help="Table to write; - is stdout.")] = STDOUT,
    kind: options.Split = None,
    similarity: options.Similarity = None,
    splits_path: options.SplitsPath = None,
    val_fraction: Annotated[float | None, typer.Option("--val-fraction", help="Share of val; 0.15 by default.")] = None,
    test_fraction: Annotated[
        float | None, typer.Option("--test-fraction", help="Share of test; 0.15 by default.")
    ] = None,
    folds: Annotated[int | None, typer.Option("--folds", help="Make so many folds instead of one test split.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="The same seed gives the same table.")] = None,
    labels: options.Labels = None,
    label_regex: options.LabelRegex = None,
    class_files: options.ClassFiles = None,
    multi_label: options.MultiLabel = None,
    levels: options.Levels = None,
    on_invalid: options.OnInvalid = "error",
    on_missing: options.OnMissing = "error",
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Divide labelled records into train, val and test, or into folds, and say how alike the parts are."""
    from genomix.cli.divisions import describe_divisions
    from genomix.config import make_config
    from genomix.data.labels import label_kind
    from genomix.data.splits import divide_into_folds, divide_records, format_folds, format_splits
    from genomix.files import check_file, write_text
    from genomix.runtime import set_threads

    options.start_log(quiet=quiet)
    options.check_splits(kind, splits_path)
    if folds is not None and test_fraction is not None:
        raise UsageError("--test-fraction: each fold is the test in its turn; leave out this option or --folds")
    stated = options.stated(
        data__split=kind,
        data__similarity=similarity,
        data__val_fraction=val_fraction,
        data__test_fraction=test_fraction,
        training__seed=seed,
    )
    config = make_config(overrides=stated | options.label_overrides(multi_label, levels))
    if out != STDOUT:
        check_file(Path(out), force=force)
    set_threads(threads)
    pairs = options.parse_class_files(class_files)
    sequences, table = options.split_inputs(inputs or [], labels, labelled_otherwise=bool(label_regex or pairs))
    records = options.load_records(
        sequences,
        table,
        splits_path,
        label_regex=label_regex,
        class_files=pairs,
        on_invalid=on_invalid,
        on_missing=on_missing,
        min_per_class=config.data.min_per_class,
        kind=label_kind(config.data),
    )
    if folds is None:
        divisions = [divide_records(records, config.data, config.training.seed)]
        text = format_splits(records.ids, records.labels, divisions[0])
    else:
        divisions = divide_into_folds(records, config.data, config.training.seed, folds)
        text = format_folds(records.ids, records.labels, divisions, records.splits)
    for note in (note for one in divisions for note in one.notes):
        options.warn(note)
    for line in describe_divisions(records, divisions, config.data.similarity):
        options.say(line)
    if out == STDOUT:
        sys.stdout.write(text)
    else:
        write_text(out, text)
        options.say(f"the splits are in {out}")
