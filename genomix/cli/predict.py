"""`genomix predict`."""

from __future__ import annotations

import time
from typing import Annotated, Literal

import typer

from genomix.cli import options

ModelPath = Annotated[str, typer.Argument(metavar="MODEL", help="Run directory, model's folder, or the weights in it.")]
Long = Annotated[
    Literal["window", "whole", "crop"] | None,
    typer.Option(
        "--long", help="Records longer than the model reads: cover with windows, read whole, or read the middle."
    ),
]
Strands = Annotated[
    Literal["forward", "both"] | None,
    typer.Option(
        "--strands", help="both: mean over the record and its reverse complement; as the model says by default."
    ),
]
Stride = Annotated[
    int | None, typer.Option("--stride", min=1, help="bp between windows; as wide as the windows by default.")
]
BatchBases = Annotated[int | None, typer.Option("--batch-bases", min=1, help="Most bases computed at once.")]


def predict(
    model: ModelPath,
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Sequence files, directories of them, or - for stdin.")
    ],
    output: Annotated[
        str,
        typer.Option("--output", "-o", help="Table to write: .tsv, .csv, .tsv.gz, .csv.gz or .parquet; - is stdout."),
    ] = "-",
    long: Long = None,
    strands: Strands = None,
    stride: Stride = None,
    batch_bases: BatchBases = None,
    on_invalid: options.OnInvalid = "error",
    device: options.Device = "auto",
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Write one row a record: id, length, label, confidence, a probability for each class, status and note."""
    from genomix.data.predictions import check_output
    from genomix.runtime import choose_device, keep_freed_memory, set_threads

    options.start_log(quiet=quiet)
    check_output(output, force=force)
    set_threads(threads)
    keep_freed_memory()

    from genomix.predict import predict as predict_records
    from genomix.scoring import load_scorer

    scorer = load_scorer(
        model, device=choose_device(device), long=long, strands=strands, stride=stride, batch_bases=batch_bases
    )
    began = time.monotonic()
    summary = predict_records(scorer, inputs, output, on_invalid=on_invalid, force=force, warn=options.warn)
    for sentence in summary.report.warnings():
        options.warn(sentence)
    seconds = time.monotonic() - began
    labels = ", ".join(f"{label} {count}" for label, count in summary.labels.most_common())
    flagged = ", ".join(f"{status} {count}" for status, count in sorted(summary.statuses.items()) if status != "ok")
    options.say(
        f"{summary.num_records} records, {summary.num_bases} bp in {seconds:.1f} s "
        f"({summary.num_bases / seconds / 1000:.0f} kbp/s): {labels}" + (f"; flagged: {flagged}" if flagged else "")
    )
