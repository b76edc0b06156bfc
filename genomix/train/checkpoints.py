"""Checkpoints of a training: written whole, checked when read, the last two kept."""

from __future__ import annotations

import logging
import pickle
import time
import zipfile
from pathlib import Path
from typing import Any

import torch

from genomix.checkpoint import CHECKPOINT, CHECKPOINT_BEFORE
from genomix.config import says_the_same
from genomix.errors import CannotWriteError, DataError
from genomix.files import atomic_path

LOG = logging.getLogger("genomix")
SCHEMA_VERSION = 1
CONFIGURATION = "configuration"
"""The entry of a fingerprint that is a configuration, written by `to_yaml`."""
EVERY_S = 60.0
COST = 50
"""Writing takes at most one part in so many of the time: large checkpoints are written less often."""


class Checkpoints:
    """Writes and reads the checkpoints of a run directory.

    Args:
        directory: The run directory.
        every_s: Seconds between two of them, at least; 0 for one after each step.
        fingerprint: What a checkpoint must have in common with the training that goes on from it, by name.
    """

    def __init__(self, directory: Path, every_s: float = EVERY_S, fingerprint: dict[str, str] | None = None) -> None:
        self.path, self.before = directory / CHECKPOINT, directory / CHECKPOINT_BEFORE
        self._every_s = every_s
        self.fingerprint = fingerprint or {}
        self._next = 0.0

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next; the first is due at once, so that a full disk shows early."""
        return time.monotonic() >= self._next

    def write(self, state: dict[str, Any]) -> None:
        """Write a checkpoint; the last one becomes the one before, and the one before that is gone.

        Raises:
            CannotWriteError: If it cannot be written; those that were there still are.
        """
        began = time.monotonic()
        whole = {"schema_version": SCHEMA_VERSION, "fingerprint": self.fingerprint, "training": state}
        try:
            with atomic_path(self.path) as temporary:
                _save(whole, temporary)
                if self.path.exists():
                    self.path.replace(self.before)
        except CannotWriteError as error:
            kept = "the checkpoint before it is kept" if self.path.exists() or self.before.exists() else "there is none"
            raise CannotWriteError(
                f"{error}; {kept}: free some space or mend the directory, then go on with --resume {self.path.parent}"
            ) from error
        now = time.monotonic()
        self._next = now + (max(self._every_s, COST * (now - began)) if self._every_s else 0.0)

    def read(self) -> dict[str, Any] | None:
        """Return the state of the newest checkpoint that is whole; None where there is none at all.

        Raises:
            DataError: If those there are damaged, or belong to another training.
        """
        damaged = []
        for path in (self.path, self.before):
            if not path.exists():
                continue
            try:
                whole = _load(path)
            except (OSError, zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
                damaged.append(
                    f"{path}: damaged ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
                )
                continue
            self._compare(path, whole)
            for message in damaged:
                LOG.warning("%s; training goes on from the one before it, %s", message, path.name)
            return whole["training"]
        if damaged:
            raise DataError(
                "\n".join([*damaged, f"remove them to train from the beginning: rm {self.path} {self.before}"])
            )
        return None

    def _compare(self, path: Path, whole: Any) -> None:
        if not isinstance(whole, dict) or whole.get("schema_version") != SCHEMA_VERSION:
            raise DataError(f"{path}: written by another version of genomix; go on with that one, or train anew")
        found = whole["fingerprint"]
        other = [name for name, value in self.fingerprint.items() if not _agree(name, value, found.get(name))]
        if other:
            raise DataError(
                f"{path}: belongs to a training with other {' and '.join(other)}; go on with those, or train anew in "
                "another directory"
            )


def _agree(name: str, value: str, found: Any) -> bool:
    return found == value or (name == CONFIGURATION and isinstance(found, str) and says_the_same(found, value))


def _save(state: dict[str, Any], path: Path) -> None:
    try:
        torch.save(state, path)
    except RuntimeError as error:  # torch says so where a write fails
        raise OSError(0, str(error).splitlines()[0]) from error


def _load(path: Path) -> Any:
    """Read a file of torch, every byte of it checked by the sums in it; nobody's code is run."""
    with zipfile.ZipFile(path) as archive:
        bad = archive.testzip()
    if bad is not None:
        raise zipfile.BadZipFile(f"{bad} does not fit its sum")
    return torch.load(path, map_location="cpu", weights_only=True)
