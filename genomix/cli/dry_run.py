"""What `genomix train --dry-run` does, and what it prints, on stdout."""

from __future__ import annotations

import typer

from genomix.cli.resuming import load
from genomix.runtime import choose_device, keep_freed_memory, set_threads
from genomix.train.begun import Begun
from genomix.train.dry_run import DryRun, dry_run

MIB = 1 << 20


def rehearse(begun: Begun, device: str, threads: int | None) -> None:
    """Read the records, decide everything, and print it.

    Raises:
        GenomixError: Whatever would keep the training from being done.
    """
    set_threads(threads)
    keep_freed_memory()
    chosen = choose_device(device)
    records, _ = load(begun)
    print_dry_run(dry_run(begun.config, records, chosen), chosen)


def print_dry_run(found: DryRun, device: str) -> None:
    """Print what was decided, the size of the work, and the estimate of the memory, one fact a line."""
    splits, training = found.splits, found.config.training
    for sentence in found.said:
        typer.echo(f"decided {sentence}")
    for sentence in found.undecided:
        typer.echo(f"undecided {sentence}")
    for note in splits.notes:
        typer.echo(f"warning: {note}")
    typer.echo(f"records: {len(splits.train)} train, {len(splits.val)} val, {len(splits.test)} test")
    if not found.num_steps:
        typer.echo("memory: this model is not trained in steps; nothing to estimate")
        return
    typer.echo(f"network: {found.num_parameters} parameters")
    typer.echo(f"steps: {found.num_steps} an epoch, at most {training.max_epochs} epochs")
    typer.echo(f"batch: at most {found.batch_bases} bp at once, {found.step.bytes_per_base / 1024:.1f} KiB each")
    parts = f"batch {_mib(found.step.bytes_per_base * found.batch_bases)}, optimiser {_mib(found.step.fixed_bytes)}"
    if device == "cpu":
        parts = f"process {_mib(found.process_bytes)}, {parts}"
    typer.echo(f"memory: {_mib(found.peak_bytes)} MiB at most on {device} ({parts})")
    typer.echo(f"available: {_mib(found.available_bytes)} MiB")


def _mib(size: float) -> str:
    return f"{size / MIB:.0f}"
