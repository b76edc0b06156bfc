"""`genomix simulate`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from genomix.cli import options
from genomix.errors import UsageError

SPLIT_RECORDS = {"train": 10_000, "val": 1_000, "test": 1_000}


def simulate(
    task: Annotated[
        Literal["adding", "temporal-order", "motif-pair"],
        typer.Argument(metavar="TASK", help="adding, temporal-order (both arrays of numbers) or motif-pair (DNA)."),
    ],
    out: Annotated[str, typer.Option("--out", "-o", help="Directory to write.")] = "simulated",
    length: Annotated[int, typer.Option("--length", min=2, help="Positions of every record; bp of DNA.")] = 1024,
    records: Annotated[int, typer.Option("--records", min=0, help="Records to train on.")] = SPLIT_RECORDS["train"],
    val_records: Annotated[int, typer.Option("--val-records", min=0, help="Records to choose on.")] = SPLIT_RECORDS[
        "val"
    ],
    test_records: Annotated[int, typer.Option("--test-records", min=0, help="Records held out.")] = SPLIT_RECORDS[
        "test"
    ],
    motif_length: Annotated[
        int | None, typer.Option("--motif-length", help="bp of a motif of motif-pair, 4 at least and 12 by default.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the random numbers.")] = 0,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Make up data whose answer depends on two positions anywhere in a record: a test of what a network can carry."""
    from genomix.data.simulated import MOTIF_BP, Problem, write_simulated
    from genomix.files import new_directory

    options.start_log(quiet=quiet)
    num_records = {"train": records, "val": val_records, "test": test_records}
    if motif_length is not None and task != "motif-pair":
        raise UsageError(f"--motif-length {motif_length}: {task} has no motifs; leave it out, or make motif-pair")
    problem = Problem(task, length, num_records, MOTIF_BP if motif_length is None else motif_length, seed)
    problem.check_room(Path(out))
    directory = new_directory(out, force=force)
    write_simulated(problem, directory, options.warn)
    counts = ", ".join(f"{number} {split}" for split, number in num_records.items())
    options.say(f"{directory}: {task}, {length} {'bp' if task == 'motif-pair' else 'positions'}, records: {counts}")
    if task == "motif-pair" and records:
        paths = shlex.join(str(directory / name) for name in ("data.fa", "labels.tsv"))
        options.say(f"next: genomix train {paths}")
