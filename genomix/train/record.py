"""What a training tells: its log and its results, as text."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from genomix.metrics import Metrics
from genomix.runtime import write_text

LOG = logging.getLogger("genomix")
ALREADY_SAID = {"already_said": True}
"""Marks what the user was told before the run's log began, so that it is only written there."""


def write_metrics(path: Path, split: str, results: Mapping[str, Metrics]) -> None:
    """Write the metrics of the model, the first of the results, and of the baselines, the others."""
    own, *baselines = results
    stated = {
        "split": split,
        "model": own,
        "metrics": results[own].to_dict(),
        "baselines": {name: results[name].to_dict() for name in baselines},
    }
    write_text(path, json.dumps(stated, indent=2) + "\n")


class LogFile:
    """Writes what is logged inside the block to a file as well."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        self._handler = logging.FileHandler(self._path, mode="w", encoding="utf-8")
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        LOG.addHandler(self._handler)

    def __exit__(self, *exception: object) -> None:
        LOG.removeHandler(self._handler)
        self._handler.close()
