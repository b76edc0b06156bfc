"""`genomix compare`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from genomix.cli import options
from genomix.errors import CannotWriteError, UsageError
from genomix.files import check_file, write_text
from genomix.runtime import set_threads

SUFFIX = ".tsv"


def compare(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN", help="Run directories, or predictions tables, of the same records."),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option("--metric", help="NAME or NAME,NAME,...; accuracy,f1_macro,mcc,roc_auc,log_loss by default."),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option("--baseline", help="The run to set the others against; the first by default.")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option("--labels", "-l", help="Table of the right labels, where no run is a directory with splits.tsv."),
    ] = None,
    split: Annotated[
        Literal["train", "val", "test"] | None,
        typer.Option("--split", help="Compare only records of this split of the labels."),
    ] = None,
    resamples: Annotated[int, typer.Option("--resamples", min=100, help="Of the records, for intervals and p.")] = 2000,
    confidence: Annotated[float, typer.Option("--confidence", help="Of the intervals, between 0 and 1.")] = 0.95,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the resamples.")] = 0,
    holm: Annotated[bool, typer.Option("--holm", help="Also print p adjusted for the number of runs (Holm).")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, not as tables.")] = False,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Also write a table with a row a run and metric (.tsv).")
    ] = None,
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Compare runs on the same records: metrics, differences with intervals and p-values, McNemar's test."""
    options.start_log(quiet=quiet)
    if output is not None:
        _check_output(Path(output), force=force)
    set_threads(threads)

    from genomix.compare import compare_runs
    from genomix.metrics import USUAL_METRICS

    names = [name.strip() for text in metrics or [] for name in text.split(",")]
    found = compare_runs(
        runs or [],
        baseline=baseline,
        metrics=names or USUAL_METRICS,
        labels_path=labels,
        split=split,
        num_resamples=resamples,
        confidence_level=confidence,
        seed=seed,
        warn=options.warn,
    )
    if output is not None:
        write_text(output, found.to_tsv())
    if as_json:
        sys.stdout.write(json.dumps(found.to_dict(), indent=2) + "\n")
    else:
        from genomix.cli.comparison import print_comparison

        print_comparison(found, holm=holm)


def _check_output(path: Path, *, force: bool) -> None:
    if path.suffix.lower() != SUFFIX:
        raise UsageError(f"-o {path}: the table has tabs between its columns; name it {path.stem}{SUFFIX}")
    check_file(path, force=force)
    if not os.access(path.parent, os.W_OK):
        raise CannotWriteError(f"{path}: cannot write here; choose another place")
