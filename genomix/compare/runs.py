"""The runs to compare: their predictions, and what is known of the models that made them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from genomix import checkpoint
from genomix.config import PRESETS, make_config, model_name
from genomix.data.labels import LabelRow, read_labels
from genomix.data.prediction_reader import PredictionTable, read_predictions
from genomix.errors import DataError, GenomixError, NoInputError, Problems, UsageError

Warn = Callable[[str], None]
Labels = Mapping[str, LabelRow]
"""Rows of a table of labels by the ids of the records."""


class RunFile(NamedTuple):
    """A run as it was named, its predictions table, and its directory, if it is one."""

    name: str
    path: Path
    directory: Path | None


@dataclass(frozen=True)
class Run:
    """Predictions to compare.

    Attributes:
        name: As the user named the run.
        path: Of the predictions table.
        table: The predictions.
        labels: Rows of the `splits.tsv` beside the predictions; none where there is no such file.
        model: Preset, and the encoder where it is not the preset's; None where there is no configuration beside them.
        num_parameters: Of the model; None where no meta data are beside them.
        trained_on: Ids of the records of training and validation; None where nothing says what they were.
    """

    name: str
    path: Path
    table: PredictionTable
    labels: list[LabelRow]
    model: str | None
    num_parameters: int | None
    trained_on: frozenset[str] | None


def find_runs(paths: Sequence[str], baseline: str | None) -> tuple[list[RunFile], int]:
    """Return the runs with the baseline among them, and its place; a baseline that is none of the others comes first.

    Args:
        paths: Run directories or predictions tables.
        baseline: One of them or a further one; by default the first.

    Raises:
        UsageError: If there are fewer than two, or one is named twice.
        NoInputError: If one does not exist, or is a directory without predictions; all of them are reported at once.
    """
    problems = Problems()
    files = [_find(path, problems) for path in paths]
    chosen = None if baseline is None else _find(baseline, problems)
    if chosen is not None and chosen.path.resolve() not in {file.path.resolve() for file in files}:
        files.insert(0, chosen)
    places: dict[Path, int] = {}
    for place, file in enumerate(files):
        first = places.setdefault(file.path.resolve(), place)
        if first != place:
            raise UsageError(f"{file.name}: is the same run as {files[first].name}; name each run once")
    if len(files) < 2:
        raise UsageError("give at least two runs to compare: genomix compare run-a/ run-b/")
    problems.raise_if_any(NoInputError)
    return files, 0 if chosen is None else places[chosen.path.resolve()]


def read_runs(files: Sequence[RunFile], warn: Warn) -> list[Run]:
    """Read the predictions of each run, and what is beside them.

    Raises:
        NoInputError: If a table is unreadable or empty.
        DataError: If a file is damaged. The problems of all runs are reported at once, as the first one's error.
    """
    runs: list[Run] = []
    failures: list[GenomixError] = []
    for file in files:
        try:
            runs.append(_read_run(file, warn))
        except GenomixError as error:
            failures.append(error)
    if failures:
        raise type(failures[0])("\n".join(str(error) for error in failures))
    return runs


def _find(path: str, problems: Problems) -> RunFile:
    name = path.rstrip("/") or path
    if Path(path).is_dir():
        table = Path(path) / checkpoint.PREDICTIONS
        has_weights = (Path(path) / checkpoint.WEIGHTS).is_file()
        if not table.is_file() and not has_weights and (Path(path) / checkpoint.CONFIG).is_file():
            problems.add(_preset_problem(name))
        elif not table.is_file():
            problems.add(
                f"{name}: has no {checkpoint.PREDICTIONS}, which training writes of the held-out records; compare a "
                f"table of predictions instead (genomix predict {name} test.fa -o pred.tsv) and name its --labels"
            )
        return RunFile(name, table, Path(path))
    if not Path(path).exists() and path in PRESETS:
        problems.add(_preset_problem(name))
    elif not Path(path).exists():
        problems.add(f"{name}: there is no such run directory or predictions table; check the path")
    return RunFile(name, Path(path), None)


def _preset_problem(name: str) -> str:
    return (
        f"{name}: is a preset, without weights and predictions; train a run of it and compare that "
        f"(genomix train data.fa labels.tsv --model {name} -o run/)"
    )


def _read_run(file: RunFile, warn: Warn) -> Run:
    labels: list[LabelRow] = []
    model = num_parameters = trained_on = None
    if file.directory is not None:
        splits, config, meta = (
            file.directory / name for name in (checkpoint.SPLITS, checkpoint.CONFIG, checkpoint.META)
        )
        model = _read_model(file.name, config) if config.is_file() else None
        labels = read_labels(str(splits), warn) if splits.is_file() else []
        trained_on = _find_trained_on(file.directory, labels)
        num_parameters = _read_num_parameters(meta) if meta.is_file() else None
    return Run(file.name, file.path, read_predictions(file.path), labels, model, num_parameters, trained_on)


def _find_trained_on(directory: Path, labels: Sequence[LabelRow]) -> frozenset[str] | None:
    """Return what the model, or the models, of a directory's predictions learnt from; None where nothing says so.

    Pooled predictions of folds are each by the model that has not learnt from the record.
    """
    stated: Any = None
    with contextlib.suppress(OSError, ValueError):
        stated = json.loads((directory / checkpoint.METRICS).read_text(encoding="utf-8"))
    if not isinstance(stated, dict) or "sequences" not in stated:
        pooled = any(row.fold for row in labels)
        return frozenset() if pooled else _used_in_training(labels)
    named = stated.get("model")
    used = [_used_by_model(model) for model in (named if isinstance(named, list) else [named])]
    known = [one for one in used if one is not None]
    return frozenset().union(*known) if known and len(known) == len(used) else None


def _used_by_model(model: object) -> frozenset[str] | None:
    """Return what the model in a directory learnt from, any of them where it holds several."""
    try:
        rows = read_labels(str(Path(str(model)) / checkpoint.SPLITS), lambda _: None)
    except GenomixError:
        return None
    if any(row.fold for row in rows):
        return frozenset(row.id for row in rows if row.fold)
    return _used_in_training(rows)


def _used_in_training(rows: Sequence[LabelRow]) -> frozenset[str] | None:
    if not any(row.split for row in rows):
        return None
    return frozenset(row.id for row in rows if row.split in ("train", "val"))


def _read_model(name: str, path: Path) -> str:
    try:
        config = make_config(path=path)
    except UsageError as error:
        raise DataError(str(error)) from error
    if config.data.labels == "multi":
        raise UsageError(
            f"{name}: its records may have several labels, and only runs of one label a record can be compared; "
            "measure each by itself (genomix evaluate)"
        )
    return model_name(config)


def _read_num_parameters(path: Path) -> int:
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
        return int(stated["num_parameters"])
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: damaged meta data ({error.msg}); restore it or train again") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}: damaged meta data (num_parameters: {error!r}); restore it or train again") from error
