"""`genomix embed`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genomix.cli import options
from genomix.cli.predict import BatchBases, Long, Strands, Stride
from genomix.errors import UsageError

if TYPE_CHECKING:
    from genomix.checkpoint import Model

RunPath = Annotated[
    str, typer.Argument(metavar="RUN", help="Run directory, model's folder, or the weights in it: one model.")
]
Sequences = Annotated[
    list[str], typer.Argument(metavar="INPUT...", help="Sequence files, directories of them, or - for stdin.")
]


def embed(
    run: RunPath,
    inputs: Sequences,
    output: Annotated[
        str, typer.Option("--output", "--out", "-o", help="File of vectors to write: .npz or .parquet.")
    ] = "vectors.npz",
    per: Annotated[
        Literal["record", "window"], typer.Option("--per", help="One vector a record, or one a window of it.")
    ] = "record",
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
    """Write the vector that the model's last layer reads of each record, or of each window, for other programs."""
    from genomix.data.vector_files import check_vector_output
    from genomix.runtime import choose_device, keep_freed_memory, set_threads

    options.start_log(quiet=quiet)
    check_vector_output(output, force=force)
    set_threads(threads)
    keep_freed_memory()
    chosen = choose_device(device)
    model = load_one(run, inputs, chosen, "embed")

    from genomix.embed import embed as embed_records
    from genomix.scoring import make_scorer

    scorer = make_scorer(model, device=chosen, long=long, strands=strands, stride=stride, batch_bases=batch_bases)
    began = time.monotonic()
    summary = embed_records(scorer, inputs, output, per=per, on_invalid=on_invalid, force=force, warn=options.warn)
    for sentence in summary.report.warnings():
        options.warn(sentence)
    options.say(
        f"{output}: {summary.num_rows} vectors of {summary.dim} numbers, one a {per}, strands: {scorer.strands}; "
        f"{summary.report.num_bases} bp in {time.monotonic() - began:.1f} s"
    )


def load_one(run: str, inputs: list[str], device: str, command: str) -> Model:
    """Load the one model that a command is about.

    Raises:
        UsageError: If there are several, in a directory or among the inputs.
        NoInputError, DataError: If it is missing or damaged.
    """
    from genomix.checkpoint import META, find_members, is_model, load_meta, load_model, load_pretrained

    if members := find_members(run):
        raise UsageError(
            f"{run}: holds {len(members)} models, each with vectors and weights of its own; choose one of them, such "
            f"as genomix {command} {members[0]}"
        )
    if more := [name for name in inputs if is_model(name)]:
        raise UsageError(f"{', '.join(more)}: is a model too; {command} takes one model, choose one")
    if command == "embed" and (Path(run) / META).is_file() and load_meta(Path(run)).kind == "pretrained":
        return load_pretrained(run, device=device)
    return load_model(run, device=device, calibrated=False)
