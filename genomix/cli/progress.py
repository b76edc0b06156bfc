"""The progress bar of a training: only on a terminal, plain lines in a log otherwise."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from genomix.train.history import Step


class TrainingProgress:
    """Shows the epoch, the loss, the bases per second and the time left."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%  loss {task.fields[loss]:.3f}  {task.fields[speed]:.0f} kbp/s"),
            TimeElapsedColumn(),
            TextColumn("left {task.fields[left]}"),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task("train", total=1.0, epoch=1, loss=0.0, speed=0.0, left="?", visible=False)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, step: Step) -> None:
        """Show how far training is."""
        minutes, seconds = divmod(int(step.seconds_left), 60)
        self._bar.update(
            self._task,
            completed=step.progress,
            epoch=step.epoch,
            loss=step.loss,
            speed=step.bases_per_s / 1000,
            left=f"{minutes}:{seconds:02d}",
            visible=True,
        )
