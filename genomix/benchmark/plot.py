"""A picture of results: time, speed and memory against the length of the records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from genomix.benchmark.results import Result
from genomix.files import atomic_path

SUFFIXES = (".png", ".svg", ".pdf")
MARKERS = "osD^vPX*"
PANEL_INCHES, HEIGHT_INCHES, DOTS_PER_INCH = 4.2, 4.4, 150
MOST_LEVEL_TICKS = 5
LEAST_SPAN = 10.0
"""Highest over lowest value of an axis, at least: a small difference is not drawn as a large one."""


class Panel(NamedTuple):
    """One of the pictures side by side."""

    title: str
    label: str
    value: Callable[[Result], float | None]
    format_tick: Callable[[float, int], str]


def _seconds(value: float, _: int) -> str:
    return f"{value:g} s" if value >= 1 else f"{1000 * value:g} ms"


def _bases(value: float, _: int) -> str:
    return f"{value / 1e6:g} M" if value >= 1e6 else f"{value / 1000:g} k"


def _mebibytes(value: float, _: int) -> str:
    return f"{value:,g}"


PANELS = (
    Panel("Training step", "time for a batch", lambda result: result.train_step_s, _seconds),
    Panel("Inference", "bases a second", lambda result: result.inference_bases_per_s, _bases),
    Panel("Peak memory of training", "MiB", lambda result: result.peak_memory_mib, _mebibytes),
)
INFERENCE_MEMORY = Panel("Peak memory of inference", "MiB", lambda result: result.inference_peak_memory_mib, _mebibytes)
"""Takes the place of the last panel where no training was measured."""


def write_plot(results: Sequence[Result], path: str | Path) -> None:
    """Draw one line a model in each panel, both axes logarithmic; the suffix of the file is its format.

    Args:
        results: One at least with a figure in it; a panel for which none has any is left out.
        path: The picture.

    Raises:
        CannotWriteError: If the file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    trained = any(result.train_step_s for result in results)
    panels = PANELS if trained else (*PANELS[:-1], INFERENCE_MEMORY)
    panels = [panel for panel in panels if any(panel.value(result) for result in results)]
    figure = Figure(figsize=(PANEL_INCHES * len(panels), HEIGHT_INCHES), layout=ConstrainedLayoutEngine(wspace=0.05))
    models = list(dict.fromkeys(result.model for result in results))
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _draw(axes, panel, models, results)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), frameon=False)
    figure.suptitle(_title(results))
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=Path(path).suffix[1:].lower(), dpi=DOTS_PER_INCH)


def _draw(axes: Any, panel: Panel, models: list[str], results: Sequence[Result]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    for number, model in enumerate(models):
        points = [(result.length, panel.value(result)) for result in results if result.model == model]
        measured = sorted((length, value) for length, value in points if value)
        axes.plot(
            *zip(*measured, strict=True) if measured else ((), ()), marker=MARKERS[number % len(MARKERS)], label=model
        )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    lengths = sorted({result.length for result in results})
    slanted = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if len(lengths) > MOST_LEVEL_TICKS else {}
    axes.set_xticks(lengths, [f"{length:,}" for length in lengths], **slanted)
    axes.set_xticks([], minor=True)
    values = [value for result in results if (value := panel.value(result))]
    low, high = min(values), max(values)
    room = max(1.3, (LEAST_SPAN * low / high) ** 0.5)
    axes.set_ylim(low / room, high * room)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))
    axes.yaxis.set_major_formatter(panel.format_tick)
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.set(title=panel.title, xlabel="length of the records (bp)", ylabel=panel.label)


def _title(results: Sequence[Result]) -> str:
    first = results[0]
    processor = next((result.processor for result in results if result.processor), first.device)
    threads = "1 thread" if first.threads == 1 else f"{first.threads} threads"
    return f"{processor}, {threads}, {first.dtype}, batch {first.batch_size}"
