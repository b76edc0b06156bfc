"""What `genomix tune` does once its options are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from genomix.cli import options
from genomix.errors import CannotWriteError, GenomixError, PreemptedError, UsageError
from genomix.stopping import Stopping

if TYPE_CHECKING:
    from genomix.config import Config
    from genomix.tune.asked import Asked
    from genomix.tune.results import Results
    from genomix.tune.searched import Space


def find_searched(base: Config, fixed: list[str], path: str | None) -> Space:
    """Return what is searched, with what the file at `path` says of it, checked.

    Raises:
        UsageError, NoInputError: If that file is wrong, cannot be read, or leaves nothing to search.
    """
    from genomix.tune.searched import combine, find_space
    from genomix.tune.space_file import check_space, read_space

    stated = read_space(path) if path is not None else {}
    searched = combine(find_space(base, fixed), stated, fixed, str(path))
    if path is not None:
        check_space(searched, base, path, [key for key, one in stated.items() if one is None])
    return searched


def print_space(space: Space, base: Config) -> None:
    """Print a search space on stdout, with the size of the networks in it."""
    from genomix.config import KmerConfig
    from genomix.tune.size import count_parameters
    from genomix.tune.space_file import to_yaml

    if not isinstance(base.model, KmerConfig):
        sizes = count_parameters(base, space)
        typer.echo(f"# parameters of the network, for 2 classes: {sizes.least:,} to {sizes.most:,}, now {sizes.own:,}")
    typer.echo(to_yaml(space), nl=False)


def limit_each(base: Config, found: Asked | None, share_s: float | None) -> None:
    """Limit each trial, where nothing is stated, as the study was begun that is gone on with.

    Args:
        base: What trials start from; its limits are changed.
        found: What was begun; None where nothing was.
        share_s: Seconds for each where a study begins and neither its time nor its passes are stated.
    """
    limits = base.training
    if found is not None:
        begun = found.training.config.training
        limits.budget_s, limits.max_epochs = limits.budget_s or begun.budget_s, limits.max_epochs or begun.max_epochs
    elif limits.budget_s is None and limits.max_epochs is None:
        limits.budget_s = share_s


def take_over(path: Path, found: Asked | None, asked: Asked, *, states_settings: bool, states_length: bool) -> Asked:
    """Return what is to be done in a directory: what was begun there, or what is asked for now.

    Args:
        path: The directory.
        found: What was begun there; None where nothing was.
        asked: What is asked for now.
        states_settings: Whether settings are among that.
        states_length: Whether the number of trials, or the time of all, is; the one that is not stays as it was.

    Raises:
        UsageError: If nothing was begun, and it is not said what to begin.
        CannotWriteError: If there is something else in the directory.
    """
    named = asked.training.inputs or asked.training.class_files
    if found is None and not named:
        raise UsageError(
            f"--resume {path}: no study was begun there; give sequences and labels as well, and it will begin"
        )
    if found is None and path.is_dir() and any(one.name != "deciding.lock" for one in path.iterdir()):
        raise CannotWriteError(f"{path}: holds no study that could be gone on with; name another directory")
    if found is None:
        return asked
    if not named and states_settings:
        raise UsageError(
            f"--resume {path}: goes on as it was begun; leave out other settings, or give all of the command again, "
            "sequences included"
        )
    whole = asked if named else found
    if named:
        found.check_settings(path, asked)
    length: dict[str, Any] = {"trials": asked.trials, "budget_s": asked.budget_s} if states_length else {}
    stated = {name: limit for name, limit in length.items() if limit is not None}
    kept = {"trials": found.trials, "budget_s": found.budget_s, "keep": found.keep or asked.keep}
    for name, option, unit in (("trials", "--trials", ""), ("budget_s", "--budget", "s")):
        if stated and name not in stated and kept[name] is not None:
            options.say(f"--resume {path}: {option} {kept[name]:.10g}{unit} holds as before")
    return whole.model_copy(update=kept | stated)


def perform(asked: Asked, path: Path, *, device: str, threads: int | None, stop: Stopping, **how: bool) -> None:
    """Make the trials, and say and print what came of them.

    Raises:
        GenomixError: Whatever keeps it from being done.
    """
    from genomix.cli.resuming import load
    from genomix.cli.tables import print_rows
    from genomix.runtime import choose_device, keep_freed_memory, set_threads
    from genomix.tune.asked import STUDY
    from genomix.tune.results import BEST, sentences
    from genomix.tune.tuning import Tuning

    count = set_threads(threads)
    keep_freed_memory()
    try:
        chosen = choose_device(device)
        records, _ = load(asked.training)
        training = asked.training.model_copy(update={"sequences": records.store.sha256})
        asked = asked.model_copy(update={"training": training})
        results = Tuning(
            asked, records, path, device=chosen, threads=count, stop=stop, on_trial=_BestSoFar().say, **how
        ).run()
    except (PreemptedError, KeyboardInterrupt) as error:
        if not (path / STUDY).is_file():
            raise
        kind = type(error) if isinstance(error, GenomixError) else KeyboardInterrupt
        raise kind(f"{error or 'interrupted'}; go on with: genomix tune --resume {path}") from error
    for sentence in sentences(results):
        options.say(sentence)
    if results.running:
        options.say(f"{len(results.running)} trials are still at work in other processes, which end the study")
    if results.best is not None:
        options.say(f"train with it: genomix train --config {path / BEST} ...")
    if results.changes:
        rows = [[key, _show(before), _show(after)] for key, (before, after) in results.changes.items()]
        print_rows("what the best has in place of the preset's own", ["setting", "preset", "best"], rows)


class _BestSoFar:
    """Says which trial is the best, once for each."""

    def __init__(self) -> None:
        self._number: int | None = None

    def say(self, results: Results) -> None:
        best = results.best
        if best is not None and best.number != self._number:
            self._number = best.number
            options.say(f"best so far: trial {best.number}, {results.metric} {best.value:.4f}")


def _show(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "auto" if value is None else str(value)
