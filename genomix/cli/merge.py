"""`genomix merge`."""

from __future__ import annotations

from typing import Annotated

import typer

from genomix.cli import options


def merge(
    shards: Annotated[
        list[str], typer.Argument(metavar="TABLE...", help="Tables of all shards, which genomix predict --shard wrote.")
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", help="Table to write, of the format of the shards; - is stdout.")
    ] = "-",
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Put the tables of all shards together: the same file, byte for byte, as of one prediction."""
    from genomix.merge import merge as merge_tables

    options.start_log(quiet=quiet)
    merged = merge_tables(shards, output, force=force, warn=options.warn)
    options.say(f"{merged.num_records} records of {merged.num_shards} shards")
