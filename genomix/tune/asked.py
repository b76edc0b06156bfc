"""What a study was begun with, kept in its directory so that any process can go on with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from genomix.errors import DataError, UsageError
from genomix.files import write_text
from genomix.train.begun import Begun, read_stated

STUDY = "study.json"


class Asked(BaseModel):
    """What was asked for.

    Attributes:
        schema_version: Of the file.
        training: The data, and the configuration that trials start from.
        space: What is searched, see `genomix.tune.space_file.parse_space`.
        trials: How many; None for as many as the time allows.
        budget_s: Seconds that all trials together may take; None for no limit.
        keep: Whether the weights of trials are kept.
    """

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1] = 1
    training: Begun
    space: dict[str, Any]
    trials: int | None = None
    budget_s: float | None = None
    keep: bool = False

    def write(self, directory: Path) -> None:
        """Write it into the directory of the study, with paths that hold from anywhere.

        Raises:
            CannotWriteError: If that cannot be written.
        """
        located = self.model_copy(update={"training": self.training.located()})
        write_text(directory / STUDY, located.model_dump_json(indent=2) + "\n")

    def check_same(self, directory: Path, other: Asked) -> None:
        """Check that `other` is about the same study; how long it goes on, and what is kept, may change.

        Raises:
            UsageError: If its settings are others.
            DataError: If its sequences are.
        """
        self.check_settings(directory, other)
        if self.training.sequences != other.training.sequences:
            raise DataError(f"--resume {directory}: was begun with other sequences; begin a study in another directory")

    def check_settings(self, directory: Path, other: Asked) -> None:
        """Check, before anything is read, that `other` asks for the same settings.

        Raises:
            UsageError: If it does not.
        """
        changed = self.training.differences(other.training)
        for key in dict.fromkeys([*self.space, *other.space]):
            before, now = self.space.get(key, "nothing"), other.space.get(key, "nothing")
            if before != now:
                changed.append(f"search space, {key}: begun with {before}, now {now}")
        if changed:
            raise UsageError("\n".join([f"--resume {directory}: this is another study than was begun", *changed]))


def read_asked(directory: Path) -> Asked | None:
    """Return what the study in a directory was begun with; None where there is none.

    Raises:
        DataError: If the file that says so is damaged.
    """
    return read_stated(directory / STUDY, Asked, "begin a study in another directory")
