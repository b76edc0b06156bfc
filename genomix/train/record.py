"""What a training tells: its beginning, the checks of its data, its results, and all of it in a log."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from genomix import checkpoint
from genomix.config import Config
from genomix.data.checks import Check, HeldOut, run_checks, write_checks, write_held_out
from genomix.data.labels import LabelledRecords
from genomix.data.predictions import PredictionWriter
from genomix.data.splits import Splits
from genomix.files import write_text
from genomix.metrics import Spread
from genomix.train.kmer import Found, format_candidates
from genomix.train.measure import Measured

LOG = logging.getLogger("genomix")
ALREADY_SAID = {"already_said": True}
"""Marks what the user was told before the run's log began, so that it is only written there."""
NAMED = 20
"""Classes that are listed when training begins."""
FINE = "PASS"


def say_start(records: LabelledRecords, splits: Splits, said: Sequence[str], found: Found | None, metric: str) -> None:
    """Say what is learnt from, and what was decided before there was a log.

    Args:
        records: All labelled records.
        splits: Their division.
        said: A sentence for each value of the configuration that was decided.
        found: The k-mers, if they have been searched already.
        metric: What they were chosen by.
    """
    for sentence in records.warnings:
        LOG.warning("%s", sentence, extra=ALREADY_SAID)
    for sentence in splits.notes:
        LOG.warning("%s", sentence)
    if not len(splits.test):
        LOG.warning("there is no test split: the results are those of the validation records, which chose the epoch")
    counts = records.counts
    named = ", ".join(f"{name} {count}" for name, count in list(zip(records.classes, counts, strict=True))[:NAMED])
    named += f", and {len(counts) - NAMED} more" if len(counts) > NAMED else ""
    LOG.info("%d records, %d bp, %d classes: %s", len(records.targets), records.lengths.sum(), len(counts), named)
    LOG.info("split: %d train, %d val, %d test", len(splits.train), len(splits.val), len(splits.test))
    if found is not None:
        LOG.info("%s", found.describe(metric), extra=ALREADY_SAID)
    for sentence in said:
        LOG.info("decided %s", sentence)


def check(records: LabelledRecords, splits: Splits, config: Config, path: Path, also: Check | None) -> None:
    """Look for what makes results look better than they are, say what is found, and write it down.

    Args:
        records: All labelled records.
        splits: Their division.
        config: Of the training.
        path: The run directory.
        also: Another check that was made, if there was one.
    """
    found = run_checks(records, splits, fast=True, similarity=config.data.similarity, seed=config.training.seed)
    found.checks += [also] if also is not None else []
    write_checks(path / checkpoint.CHECKS, found)
    for one in found.checks:
        if one.status != FINE:
            LOG.warning("%s: %s: %s", one.status, one.name, one.sentence)
    passed = sum(one.status == FINE for one in found.checks)
    LOG.info("checks of the data: %d of %d passed; all of them: %s", passed, len(found.checks), checkpoint.CHECKS)


def write_measured(
    path: Path,
    measured: Measured,
    records: LabelledRecords,
    held_out: HeldOut,
    spread: Mapping[str, Spread] | None = None,
) -> None:
    """Write the metrics and predictions of held-out records, and what these records are like.

    Args:
        path: The run directory.
        measured: The predictions and metrics.
        records: All labelled records.
        held_out: What the records are like.
        spread: Of the metrics over folds, by name.
    """
    several = any(row.deviations is not None for row in measured.predictions)
    with PredictionWriter(path / checkpoint.PREDICTIONS, records.classes, force=True, deviations=several) as writer:
        writer.write(measured.predictions)
    write_metrics(path / checkpoint.METRICS, measured, spread)
    write_held_out(path / checkpoint.HELD_OUT, held_out)
    if measured.baseline is not None:
        write_baseline(path, measured.baseline, measured.metric)


def write_baseline(path: Path, found: Found, metric: str) -> None:
    """Write what was tried for the k-mer baseline into a run directory, if anything was left open."""
    if found.candidates:
        write_text(path / checkpoint.BASELINE, format_candidates(found.candidates, found.config, metric))


def write_metrics(path: Path, measured: Measured, spread: Mapping[str, Spread] | None = None) -> None:
    """Write the metrics of the model and of the baselines, the model's by level, and their spread over folds."""
    own, *baselines = measured.results
    stated: dict[str, Any] = {
        "split": measured.split,
        "model": own,
        "metrics": measured.own.to_dict(),
        "baselines": {name: measured.results[name].to_dict() for name in baselines},
    }
    if measured.compared:
        stated["compared"] = {name: asdict(found) for name, found in measured.compared.items()}
    if measured.levels:
        stated["levels"] = {name: metrics.to_dict() for name, metrics in measured.levels.items()}
    if spread:
        stated["folds"] = {name: asdict(one) for name, one in spread.items()}
    write_text(path, json.dumps(stated, indent=2) + "\n")


class LogFile:
    """Writes what is logged inside the block to a file as well."""

    def __init__(self, path: Path, *, append: bool = False) -> None:
        self._path = path
        self._mode = "a" if append else "w"

    def __enter__(self) -> None:
        self._handler = logging.FileHandler(self._path, mode=self._mode, encoding="utf-8")
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        LOG.addHandler(self._handler)

    def __exit__(self, *exception: object) -> None:
        LOG.removeHandler(self._handler)
        self._handler.close()
