"""What a model must carry beside its weights, as JSON files that are read strictly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from genomix.checkpoint.directory import CALIBRATION, META
from genomix.errors import DataError, UsageError
from genomix.files import write_text
from genomix.metrics.calibration import Calibration

SCHEMA_VERSION = 1

Stated = TypeVar("Stated", bound=BaseModel)


class Lengths(BaseModel):
    """Lengths in bp of the records that were trained on."""

    min: int
    median: int
    max: int


class Meta(BaseModel):
    """What a model must carry beside its weights to be used and understood.

    Attributes:
        schema_version: Of this file.
        kind: `pretrained` is a network without classes yet, see `genomix pretrain`.
        classes: Names, in the order of the logits.
        vocabulary: Letters, in the order of the tokens.
        train_lengths: Of the training records.
        num_parameters: Trainable numbers of the network.
        created: When training ended, UTC, ISO 8601.
        versions: Of genomix, Python and the libraries that numbers depend on.
        inputs: sha256 of the encoded sequences and of the label file.
        command: The command line that trained it.
        training: What happened: device, threads, seconds, epochs, best epoch, and what was decided automatically.
    """

    model_config = ConfigDict(extra="allow")

    schema_version: int = SCHEMA_VERSION
    kind: Literal["classifier", "pretrained"] = "classifier"
    classes: list[str]
    vocabulary: str = "ACGTN"
    train_lengths: Lengths
    num_parameters: int
    created: str
    versions: dict[str, str]
    inputs: dict[str, str]
    command: list[str]
    training: dict[str, Any]


def save_calibration(directory: Path, calibration: Calibration) -> None:
    """Write the calibration of the model, or of the several models, in a directory.

    Raises:
        CannotWriteError: If it cannot be written.
    """
    write_text(directory / CALIBRATION, calibration.model_dump_json(indent=2) + "\n")


def load_calibration(directory: Path) -> Calibration | None:
    """Read the calibration in a directory; None where there is none.

    Raises:
        DataError: If the file is damaged, or was written by a newer version.
    """
    path = directory / CALIBRATION
    mend = "restore it, train again, or do without it (--no-calibration)"
    return _read_stated(path, Calibration, "calibration", mend) if path.is_file() else None


def load_meta(directory: Path) -> Meta:
    """Read the meta data of the model, or of the several models, in a directory.

    Raises:
        DataError: If the file is damaged, or was written by a newer version.
    """
    return _read_stated(directory / META, Meta, "meta data", "restore it or train again")


def check_has_classes(meta: Meta, directory: Path) -> None:
    """Check that the model in a directory is a classifier.

    Raises:
        UsageError: If it is pretrained only, and has no classes.
    """
    if meta.kind == "pretrained":
        raise UsageError(
            f"{directory}: is pretrained and has no classes yet; train a classifier from it first: "
            f"genomix train data.fa labels.tsv --init-from {directory} -o run/"
        )


def library_versions() -> dict[str, str]:
    """Return the versions that a number may depend on."""
    import platform
    from importlib.metadata import version

    import numpy as np

    import genomix

    return {
        "genomix": genomix.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "scikit-learn": version("scikit-learn"),
    }


def _read_stated(path: Path, kind: type[Stated], name: str, mend: str) -> Stated:
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
        newest = kind.model_fields["schema_version"].default
        if isinstance(stated, dict) and int(stated.get("schema_version", 0)) > newest:
            raise DataError(f"{path}: written by a newer genomix (schema {stated['schema_version']}); update genomix")
        return kind.model_validate(stated)
    except (json.JSONDecodeError, UnicodeDecodeError, ValidationError, TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: damaged {name} ({error}); {mend}") from error
