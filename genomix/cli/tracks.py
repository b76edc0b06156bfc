"""What `genomix predict` offers where genomes come in and tracks go out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from genomix.cli import options
from genomix.errors import UsageError

if TYPE_CHECKING:
    from genomix.data.records import OnInvalid
    from genomix.stopping import Stopping
    from genomix.tracks import TrackSettings, TrackSummary

LINE_EVERY_S = 60.0
"""Seconds between lines of progress in a log."""

WindowSize = Annotated[
    int | None,
    typer.Option("--window", min=1, help="Tracks: bp of a window; what the model reads at once by default."),
]
RegionsPath = Annotated[
    str | None, typer.Option("--regions", metavar="BED", help="Tracks: only these intervals of the sequences.")
]
Classes = Annotated[
    str | None,
    typer.Option("--classes", metavar="A,B", help="Tracks: only these classes, a track each; all by default."),
]
MaxUnknown = Annotated[
    float | None,
    typer.Option(
        "--max-unknown",
        help="Tracks: skip windows with a larger share of unknown bases (N); 0.5 by default.",
        show_default=False,
    ),
]

_WHY_NOT = {
    "--long": "windows are read whole, as wide as --window says",
    "--min-confidence": "a track has every probability",
    "--coverage": "a track has probabilities, no sets of labels",
    "--shard": "divide the work by --regions instead, one BED file a job; values do not depend on the division",
}


def is_asked_for(output: str, *, window: int | None, regions: str | None) -> bool:
    """Say whether tracks are asked for: by the suffix of the output, or by an option."""
    from genomix.data.track_files import is_track_file

    return window is not None or regions is not None or is_track_file(output)


def check_options(output: str, others: Mapping[str, Any]) -> None:
    """Check, before the model is read, what can be checked.

    Raises:
        UsageError: If there is no file to write to, its format is none of tracks, or an option does not go with tracks.
    """
    from genomix.data.track_files import output_paths

    if output == "-":
        raise UsageError("tracks need a file: name it by --out, such as --out scores.bw")
    output_paths(output, ["track"])
    for option, value in others.items():
        if value is not None:
            raise UsageError(f"{option} does not go with tracks: {_WHY_NOT[option]}")


def refuse_options(given: Mapping[str, Any]) -> None:
    """Check that options of tracks are not given for a table.

    Raises:
        UsageError: If one is.
    """
    for option, value in given.items():
        if value is not None:
            raise UsageError(f"{option} goes with tracks only: write .bw, .bedgraph or .bed, or give --window")


def write(
    settings: TrackSettings,
    sequences: Sequence[str],
    output: str,
    *,
    regions: str | None,
    on_invalid: OnInvalid,
    force: bool,
    resume: bool,
    progress: TrackProgress,
    stopping: Stopping,
) -> None:
    """Write tracks, and say what became of the genome."""
    from genomix.data.track_files import output_paths
    from genomix.tracks import write_tracks

    grid = settings.grid
    options.say(
        f"windows of {grid.window} bp every {grid.stride} bp; tracks: {', '.join(settings.names)}; "
        "values: the mean probability over the windows that cover a base"
    )
    began = time.monotonic()
    with progress:
        summary = write_tracks(
            settings,
            sequences,
            output,
            regions=regions,
            on_invalid=on_invalid,
            force=force,
            resume=resume,
            warn=options.warn,
            progress=progress.show,
            stopping=stopping,
        )
    if summary.was_complete:
        return
    for sentence in summary.report.warnings():
        options.warn(sentence)
    for sentence in _skipped(summary, settings):
        options.warn(sentence)
    if summary.num_regions is not None:
        given, merged = summary.num_regions
        how = "by their index" if summary.by_index else "as a stream"
        options.say(f"{given} regions, {merged} after merging those that overlap or touch; sequences read {how}")
    files = ", ".join(map(str, output_paths(output, settings.names)))
    resumed = f" ({summary.num_resumed} of them resumed)" if summary.num_resumed else ""
    options.say(
        f"{files}: {summary.num_bases} bp with a value from {summary.num_scored} of {summary.num_windows} windows"
        f"{resumed} in {time.monotonic() - began:.1f} s"
    )


def _skipped(summary: TrackSummary, settings: TrackSettings) -> list[str]:
    sentences = {
        f"{{}} windows have more than {settings.max_unknown:.0%} unknown bases (N) and are skipped": summary.num_n_rich,
        f"{{}} sequences are shorter than {settings.shortest} bp and are skipped": summary.num_too_short,
    }
    return [text.format(number) for text, number in sentences.items() if number]


class TrackProgress:
    """Shows how many windows are done: a bar on a terminal, now and then a line in a log."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._is_terminal = console.is_terminal
        self._bar = Progress(
            TextColumn("{task.completed:.0f} of {task.fields[of]} windows"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task("tracks", total=None, of="?", visible=False)
        self._said = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, done: int, total: int | None) -> None:
        """Show how far the windows are."""
        of = "?" if total is None else f"{total:,}"
        self._bar.update(self._task, completed=done, total=total, of=of, visible=True)
        if not self._is_terminal and time.monotonic() - self._said >= LINE_EVERY_S:
            self._said = time.monotonic()
            options.say(f"{done:,} of {of} windows")
