"""`genomix benchmark`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genomix.cli import options
from genomix.errors import CannotWriteError, GenomixError, UsageError
from genomix.files import check_file

if TYPE_CHECKING:
    from genomix.benchmark.results import Result

LENGTHS = "1024,4096,16384,65536"


def benchmark(
    models: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="Preset or model's folder, paramixer by default. Once for each model."),
    ] = None,
    lengths: Annotated[
        list[str] | None, typer.Option("--length", help=f"bp of the records: N or N,N,...; {LENGTHS} by default.")
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Records computed at once.")] = 4,
    dtype: Annotated[
        Literal["float32", "bfloat16", "float16"], typer.Option("--dtype", help="Of the computation, by autocast.")
    ] = "float32",
    repeats: Annotated[
        int | None,
        typer.Option("--repeats", min=1, help="Timed repeats; by default at least 3, and at least a second in all."),
    ] = None,
    train_only: Annotated[bool, typer.Option("--train-only", help="Measure training steps only.")] = False,
    predict_only: Annotated[bool, typer.Option("--predict-only", help="Measure inference only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, not a table.")] = False,
    csv: Annotated[str | None, typer.Option("--csv", help="Also write the results to this file.")] = None,
    plot: Annotated[str | None, typer.Option("--plot", help="Also draw them: .png, .svg or .pdf.")] = None,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure speed and memory of training and inference, by length, on random bases with random weights."""
    from genomix.benchmark.plot import SUFFIXES, write_plot
    from genomix.benchmark.results import OK, OUT_OF_MEMORY, write_csv
    from genomix.benchmark.sweep import PHASES, Sweep
    from genomix.runtime import choose_device, set_threads

    options.start_log(quiet=quiet)
    if train_only and predict_only:
        raise UsageError("give either --train-only or --predict-only, or neither to measure both")
    if plot is not None and Path(plot).suffix.lower() not in SUFFIXES:
        raise UsageError(f"--plot {plot}: the suffix names no format of pictures; use one of {', '.join(SUFFIXES)}")
    for path in (csv, plot):
        if path is not None:
            _check_output(Path(path), force=force)
    sweep = Sweep(
        models=list(dict.fromkeys(models or ["paramixer"])),
        lengths=parse_lengths(lengths or [LENGTHS]),
        batch_size=batch_size,
        threads=set_threads(threads),
        dtype=dtype,
        # torch tells no peak memory of Apple's GPUs.
        device=choose_device(device).replace("mps", "cpu"),
        repeats=repeats,
        phases=PHASES[:1] if train_only else PHASES[1:] if predict_only else PHASES,
    )
    sweep.check()
    results: list[Result] = []
    for result in sweep.run():
        results.append(result)
        if as_json:
            sys.stdout.write(json.dumps(asdict(result)) + "\n")
            sys.stdout.flush()
        elif result.status == OK:
            options.say(f"{result.model} at {result.length} bp: measured")
    if not as_json:
        print_results(results)
    if csv is not None:
        write_csv(results, csv)
    if all(result.train_step_s is None and result.inference_s is None for result in results):
        if all(result.status == OUT_OF_MEMORY for result in results):
            raise UsageError("nothing could be measured for want of memory; use a smaller --length or --batch-size")
        raise GenomixError("nothing could be measured; the reasons are above")
    if plot is not None:
        write_plot(results, plot)


def parse_lengths(texts: Sequence[str]) -> list[int]:
    """Return the lengths named by texts such as `4096` and `1024,4096`, each once.

    Raises:
        UsageError: If one is not a whole number of at least 1.
    """
    words = [word.strip() for text in texts for word in text.split(",")]
    for word in words:
        if not (word.isascii() and word.isdigit() and int(word)):
            raise UsageError(f"--length {word!r} is not a number of bases; write it like 4096 or 1024,4096")
    return list(dict.fromkeys(int(word) for word in words))


def print_results(results: Sequence[Result]) -> None:
    """Print one row a result on stdout."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from genomix.cli.tables import print_table

    first = results[0]
    named = next((result for result in results if result.processor), first)
    table = Table(
        title=Text(
            f"batch {first.batch_size}, threads {first.threads}, {first.dtype}, {first.device}: "
            f"{named.processor}, torch {named.torch_version}"
        ),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("model", overflow="fold")
    figures = {
        "train step": [(one.train_step_s, one.train_bases_per_s, one.peak_memory_mib) for one in results],
        "inference": [(one.inference_s, one.inference_bases_per_s, one.inference_peak_memory_mib) for one in results],
    }
    measured = {name: column for name, column in figures.items() if any(seconds for seconds, _, _ in column)}
    for name in ("bp", *(head for phase in measured for head in (phase, "kbp/s", "peak MiB")), "before MiB"):
        table.add_column(name, justify="right", no_wrap=True)
    for number, result in enumerate(results):
        cells = [cell for column in measured.values() for cell in _cells(column[number])]
        before = "-" if result.baseline_memory_mib is None else f"{result.baseline_memory_mib:,.0f}"
        table.add_row(Text(result.model), f"{result.length:,}", *cells, before)
    print_table(table)
    for result in results:
        if result.status != "ok":
            Console().print(Text(f"{result.model} at {result.length:,} bp: {result.status}"))


def _cells(figures: tuple[float | None, float | None, float | None]) -> list[str]:
    seconds, bases_per_s, peak_mib = figures
    if seconds is None or bases_per_s is None or peak_mib is None:
        return ["-"] * 3
    return [
        f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms",
        f"{bases_per_s / 1000:,.0f}",
        f"{peak_mib:,.0f}",
    ]


def _check_output(path: Path, *, force: bool) -> None:
    check_file(path, force=force)
    if not os.access(path.parent, os.W_OK):
        raise CannotWriteError(f"{path}: cannot write here; choose another place")
