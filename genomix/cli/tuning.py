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
        check_space(searched, base, path)
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


def take_over(path: Path, asked: Asked, *, states_settings: bool, states_length: bool) -> Asked:
    """Return what is to be done in a directory: what was begun there, or what is asked for now.

    Raises:
        UsageError: If nothing was begun, and it is not said what to begin.
        CannotWriteError: If there is something else in the directory.
    """
    from genomix.tune.asked import read_asked

    found = read_asked(path)
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
    kept = {"trials": found.trials, "budget_s": found.budget_s, "keep": found.keep or asked.keep}
    return whole.model_copy(update=kept | length)


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
