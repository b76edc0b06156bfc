"""What a training was begun with, kept in its run directory so that it can be gone on with by the directory's name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from genomix import checkpoint
from genomix.checkpoint import BEGUN
from genomix.config import Config
from genomix.errors import DataError, UsageError
from genomix.files import write_text
from genomix.train.init import InitFrom

Stated = TypeVar("Stated", bound=BaseModel)


class Begun(BaseModel):
    """The data and the settings of a training, as they were asked for.

    Attributes:
        schema_version: Of the file.
        command: What began it.
        config: The configuration, with what was left open.
        inputs: Sequence files; `-` for stdin.
        labels: The table of labels; None where they come otherwise.
        label_regex: Pattern that takes labels from headers.
        class_files: Names of classes with their files.
        splits_path: Table of splits in place of the labels' own.
        on_invalid, on_missing: What was done with records that cannot be used.
        folds, ensemble: How many models of either kind; None for a single one.
        only: The one of them that is trained.
        sequences: sha256 of the sequences; None where they have not been read yet.
        complete: Whether the training has ended.
        checks: Whether the data are looked at first.
        init_from: The network whose weights it starts from.
    """

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1] = 1
    command: Literal["train", "pretrain"] = "train"
    config: Config
    inputs: list[str]
    labels: str | None = None
    label_regex: str | None = None
    class_files: list[tuple[str, str]] = []
    splits_path: str | None = None
    on_invalid: Literal["error", "skip", "mask"] = "error"
    on_missing: Literal["error", "skip"] = "error"
    folds: int | None = None
    ensemble: int | None = None
    only: int | None = None
    checks: bool = True
    init_from: InitFrom | None = None
    sequences: str | None = None
    complete: bool = False

    def write(self, directory: Path) -> None:
        """Write it into a run directory, with paths that hold from anywhere.

        Raises:
            CannotWriteError: If that cannot be written.
        """
        write_text(directory / BEGUN, self.located().model_dump_json(indent=2) + "\n")

    def located(self) -> Begun:
        """Return the same with paths that hold from anywhere."""
        places = {
            "inputs": [_absolute(path) for path in self.inputs],
            "labels": self.labels and _absolute(self.labels),
            "class_files": [(name, _absolute(path)) for name, path in self.class_files],
            "splits_path": self.splits_path and _absolute(self.splits_path),
            "init_from": self.init_from and self.init_from.located(),
        }
        return self.model_copy(update=places)

    def differences(self, other: Begun) -> list[str]:
        """Return a sentence for each setting that is another one in `other`; where the data lie does not count."""
        names = ("inputs", "labels", "class_files", "splits_path", "checks", "sequences", "complete")
        places: Any = {**dict.fromkeys(names, True), "init_from": {"path"}}
        mine, theirs = (_flatten(begun.model_dump(mode="json", exclude=places)) for begun in (self, other))
        return [
            f"{name.removeprefix('config.')}: begun with {_show(mine.get(name))}, now {_show(theirs.get(name))}"
            for name in dict.fromkeys([*mine, *theirs])
            if mine.get(name) != theirs.get(name)
        ]


def check_same(directory: Path, begun: Begun) -> None:
    """Check that what is in a run directory was begun as is asked for now.

    Raises:
        UsageError: If other settings are asked for.
        DataError: If the sequences are others.
    """
    found = read_begun(directory)
    if found is None:
        return
    if changed := found.differences(begun):
        raise UsageError("\n".join([f"--resume {directory}: this is another training than was begun", *changed]))
    if None not in (found.sequences, begun.sequences) and found.sequences != begun.sequences:
        raise DataError(f"--resume {directory}: was begun with other sequences; train anew in another directory")


def end_training(directory: Path, begun: Begun | None) -> None:
    """Remove what is only needed to go on, and write down that the training has ended, if anything says it began."""
    checkpoint.end(directory)
    if begun is not None:
        begun.model_copy(update={"complete": True}).write(directory)


def read_begun(directory: Path) -> Begun | None:
    """Return what the training in a directory was begun with; None where nothing says so.

    Raises:
        DataError: If the file that says so is damaged.
    """
    return read_stated(directory / BEGUN, Begun, "remove it, and give the sequences and options again")


def read_stated(path: Path, kind: type[Stated], mend: str) -> Stated | None:
    """Return what a JSON file states that was written with what was begun; None where there is no such file.

    Args:
        path: The file.
        kind: What it states.
        mend: What to do where it is damaged, for the message.

    Raises:
        DataError: If it is damaged, or of another version.
    """
    if not path.is_file():
        return None
    try:
        return kind.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:  # of JSON, of UTF-8, or of pydantic
        raise DataError(f"{path}: damaged, or of another version ({str(error).splitlines()[0]}); {mend}") from error


def _absolute(path: str) -> str:
    return path if path == "-" else str(Path.cwd() / path)


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _show(value: object) -> str:
    return "nothing" if value is None else str(value)
