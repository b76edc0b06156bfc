"""What a run directory says: each file that is there, read and checked; the others are missing, which is no error."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError, model_validator

from genomix import checkpoint
from genomix.checkpoint import Meta
from genomix.data.checks import Checks, HeldOut, read_checks, read_held_out
from genomix.data.prediction_reader import PredictionTable, read_predictions
from genomix.data.splits import read_folds, read_splits
from genomix.errors import DataError, NoInputError
from genomix.metrics import Metrics, Spread
from genomix.metrics.answered import Answered
from genomix.metrics.calibration import Calibration
from genomix.metrics.comparison import Compared
from genomix.metrics.conformal import Coverage

T = TypeVar("T")

DEFAULT_METRIC = "f1_macro"
_WARNING = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ WARNING (.*)$", re.MULTILINE)


class Results(BaseModel):
    """What `metrics.json` holds.

    Attributes:
        split: The records that were measured: `test`, `val`, `folds` (pooled over them), or None where nothing says so.
        model: Its name; of an evaluation the path that was named.
        metrics: Of the model.
        baselines: Metrics by the name of the baseline.
        compared: The model set against a baseline, record by record, by the name of the baseline.
        levels: Metrics of the model by level, from the top down, where labels are hierarchical.
        answered: How the records fare that an evaluated model was sure enough to answer.
        coverage: How its sets of labels fare.
        folds: Metrics of the model over the folds, by name.
    """

    split: str | None = None
    model: str = "model"
    metrics: Metrics
    baselines: dict[str, Metrics] = {}
    compared: dict[str, Compared] = {}
    levels: dict[str, Metrics] = {}
    answered: Answered | None = None
    coverage: Coverage | None = None
    folds: dict[str, Spread] = {}

    @model_validator(mode="after")
    def _fit(self) -> Self:
        for metrics in (self.metrics, *self.baselines.values()):
            shape = {len(metrics.per_class), len(metrics.confusion), *map(len, metrics.confusion)}
            is_whole = shape == {len(metrics.classes)} and sum(map(sum, metrics.confusion)) == metrics.num_records
            if (
                (metrics.confusion and not is_whole)
                or not metrics.num_records
                or metrics.values.get("accuracy") is None
            ):
                raise ValueError("accuracy, classes, confusion matrix and number of records do not fit each other")
        return self


class Labelled(NamedTuple):
    """The records of `splits.tsv`: ids (R,), labels (R,) and the split or fold of each (R,), "" where it is in none."""

    ids: list[str]
    labels: list[str]
    parts: list[str]
    has_folds: bool


class Row(NamedTuple):
    """One epoch of `history.csv`: its number, loss, scores on the validation records, and whether it was the best."""

    epoch: int
    train_loss: float
    scores: dict[str, float]
    is_best: bool


@dataclass(frozen=True)
class RunFiles:
    """The files of a run directory, or of a directory of several runs; None or nothing for those that are missing.

    Attributes:
        directory: Where they are.
        members: Names of the runs in it; none for a single run.
        config: `config.yaml` as text.
        metric: The main metric, by which the epoch was chosen.
        is_multi: Whether a record may have several labels; then its predictions are not read.
        meta: `meta.json`.
        results: `metrics.json`.
        histories: Rows of each `history.csv`, by the name of the member; "" for that of a single run.
        labelled: `splits.tsv`.
        predictions: `predictions.tsv`.
        calibration: `calibration.json`.
        checks: `checks.json`.
        held_out: `held_out.tsv`.
        warnings: What `train.log` warned of.
    """

    directory: Path
    members: list[str]
    config: str | None
    metric: str
    is_multi: bool
    meta: Meta | None
    results: Results
    histories: dict[str, list[Row]]
    labelled: Labelled | None
    predictions: PredictionTable | None
    calibration: Calibration | None
    checks: Checks | None
    held_out: HeldOut | None
    warnings: list[str]


def read_run(directory: Path) -> RunFiles:
    """Read the files of a run directory.

    Raises:
        NoInputError: If there is no such directory, or it has no results.
        DataError: If a file is damaged.
        UsageError: If it is of a pretraining.
    """
    if not directory.is_dir():
        raise NoInputError(f"{directory}: no such run directory")
    if not (directory / checkpoint.METRICS).is_file():
        if checkpoint.has_more_to_do(directory):
            raise NoInputError(f"{directory}: this training has not ended; go on with it first (--resume {directory})")
        raise NoInputError(
            f"{directory}: not a run directory with results: it has no {checkpoint.METRICS}; train a model first "
            "(genomix train data.fa labels.tsv -o run/)"
        )

    if (directory / checkpoint.META).is_file():
        checkpoint.check_has_classes(checkpoint.load_meta(directory), directory)

    def read(name: str, reader: Callable[[Path], T]) -> T | None:
        return reader(directory / name) if (directory / name).is_file() else None

    members = [member.name for member in checkpoint.find_members(directory)]
    config = read(checkpoint.CONFIG, _read_text)
    tree = _parse(config or "", directory / checkpoint.CONFIG)
    is_multi = tree["data"].get("labels") == "multi"
    homes = {name: directory / name for name in members} or {"": directory}
    histories = {name: home / checkpoint.HISTORY for name, home in homes.items()}
    return RunFiles(
        directory=directory,
        members=members,
        config=config,
        metric=str(tree["training"].get("metric", DEFAULT_METRIC)),
        is_multi=is_multi,
        meta=read(checkpoint.META, lambda path: _validated(path, Meta)),
        results=_validated(directory / checkpoint.METRICS, Results),
        histories={name: _read_history(path) for name, path in histories.items() if path.is_file()},
        labelled=read(checkpoint.SPLITS, _read_labelled),
        predictions=None if is_multi else read(checkpoint.PREDICTIONS, read_predictions),
        calibration=read(checkpoint.CALIBRATION, lambda path: _validated(path, Calibration)),
        checks=read(checkpoint.CHECKS, read_checks),
        held_out=read(checkpoint.HELD_OUT, read_held_out),
        warnings=list(dict.fromkeys(_WARNING.findall(read(checkpoint.LOG, _read_text) or ""))),
    )


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise NoInputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not a text in UTF-8; restore it or train again") from error


def _validated(path: Path, kind: type[T]) -> T:
    try:
        return TypeAdapter(kind).validate_json(_read_text(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise DataError(f"{path}: damaged ({place + ': ' if place else ''}{first['msg']}); train again") from error


def _parse(config: str, path: Path) -> dict[str, dict[str, Any]]:
    """Return the sections of a configuration of this or of an older version, which need not be valid today."""
    try:
        tree = yaml.safe_load(config) or {}
        return {name: dict(tree.get(name) or {}) for name in ("data", "training")}
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        raise DataError(f"{path}: is not a configuration in YAML; restore it or train again") from error


def _read_labelled(path: Path) -> Labelled:
    if _read_text(path).partition("\n")[0].split("\t")[-1].strip() == "fold":
        table = read_folds(path)
        return Labelled(table.ids, table.labels, table.folds, True)
    ids, labels, splits = read_splits(path)
    return Labelled(ids, labels, splits.names(), False)


def _read_history(path: Path) -> list[Row]:
    lines = csv.DictReader(_read_text(path).splitlines())
    try:
        return [
            Row(
                int(line["epoch"]),
                float(line["train_loss"]),
                {
                    key.removeprefix("val_"): float(cell)
                    for key, cell in line.items()
                    if key.startswith("val_") and cell
                },
                line["best"] == "1",
            )
            for line in lines
        ]
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{path}:{lines.line_num}: is not a row of epoch, losses and scores; train again") from error
