"""Models on disk: what a run directory holds, written whole and read back without running anybody's code."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import nn

from genomix.config import Config, KmerConfig, make_config, to_yaml
from genomix.data.levels import Levels
from genomix.data.reference import Reference, read_reference, save_reference
from genomix.errors import DataError, NoInputError, UsageError
from genomix.metrics.calibration import Calibration
from genomix.nn.build import build_classifier
from genomix.runtime import atomic_path, write_text

CONFIG, WEIGHTS, META = "config.yaml", "model.safetensors", "meta.json"
SPLITS, HISTORY, METRICS, PREDICTIONS, LOG = "splits.tsv", "history.csv", "metrics.json", "predictions.tsv", "train.log"
CHECKS, HELD_OUT, REPORT = "checks.json", "held_out.tsv", "report.html"
CALIBRATION, REFERENCE = "calibration.json", "reference.safetensors"
CHECKPOINT, CHECKPOINT_BEFORE, BEGUN = "checkpoint.pt", "checkpoint-before.pt", "begun.json"
FILES = (
    *(CONFIG, WEIGHTS, META, SPLITS, HISTORY, METRICS, PREDICTIONS, LOG),
    *(CHECKS, HELD_OUT, CALIBRATION, REFERENCE, REPORT, CHECKPOINT, CHECKPOINT_BEFORE, BEGUN),
)
MEMBER = re.compile(r"(?:fold|member)-([0-9]+)")
"""Names of the runs in a directory of several."""
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
    classes: list[str]
    vocabulary: str = "ACGTN"
    train_lengths: Lengths
    num_parameters: int
    created: str
    versions: dict[str, str]
    inputs: dict[str, str]
    command: list[str]
    training: dict[str, Any]


@dataclass
class Model:
    """A classifier with what it needs to be used: its configuration and its meta data.

    Attributes:
        classifier: The network, in evaluation mode.
        config: Resolved configuration.
        meta: Classes, lengths, origin.
        path: The directory it came from, or went to.
        calibration: What makes its probabilities honest; None for models that were not calibrated.
        reference: What its training records are like; None where nothing says so.
    """

    classifier: nn.Module
    config: Config
    meta: Meta
    path: Path
    calibration: Calibration | None = None
    reference: Reference | None = None

    @property
    def classes(self) -> list[str]:
        """Class names in the order of the logits."""
        return self.meta.classes

    @property
    def is_multi_label(self) -> bool:
        """Whether a record may have several labels, or none, each with a probability of its own."""
        return self.config.data.labels == "multi"

    @property
    def levels(self) -> Levels | None:
        """The tree that its classes make; None for plain labels."""
        names = self.config.data.levels
        return Levels(names, tuple(self.classes)) if names else None

    @property
    def max_length(self) -> int | None:
        """Bases the network reads at once; None for models that read any length, such as k-mer counts."""
        return None if isinstance(self.config.model, KmerConfig) else self.config.model.max_length


def save_model(model: Model) -> None:
    """Write all that is known of a model into its directory, each file whole or not at all.

    Raises:
        CannotWriteError: If the directory cannot be written.
    """
    write_text(model.path / CONFIG, to_yaml(model.config))
    save_weights(model.classifier, model.path / WEIGHTS)
    write_text(model.path / META, model.meta.model_dump_json(indent=2) + "\n")
    if model.calibration is not None:
        save_calibration(model.path, model.calibration)
    if model.reference is not None:
        save_reference(model.path / REFERENCE, model.reference)


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


def save_weights(classifier: nn.Module, path: Path) -> None:
    """Write the weights of a network as safetensors."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in classifier.state_dict().items()}
    with atomic_path(path) as temporary:
        safetensors.torch.save_file(state, temporary)


def load_weights(classifier: nn.Module, path: Path) -> None:
    """Read weights into a network of the same shape; a safetensors file holds numbers only, never code.

    Raises:
        DataError: If the file is damaged or belongs to another network.
    """
    try:
        state = safetensors.torch.load_file(path)
        classifier.load_state_dict(state)
    except (safetensors.SafetensorError, OSError) as error:
        raise DataError(f"{path}: damaged or not a safetensors file ({error}); copy it again") from error
    except RuntimeError as error:
        raise DataError(f"{path}: these weights do not fit the {CONFIG} beside them: {error}") from error


def load_model(path: str | Path, *, device: str = "cpu", calibrated: bool = True) -> Model:
    """Read a trained model from a run directory, a model's folder, or the weights file inside one.

    Args:
        path: The model.
        device: Where to put its network.
        calibrated: Whether to read its calibration as well.

    Raises:
        NoInputError: If it does not exist or holds no weights.
        DataError: If a file in it is damaged, or was written by a newer version.
    """
    folder = _model_folder(Path(path))
    meta = load_meta(folder)
    try:
        config = make_config(path=folder / CONFIG)
    except UsageError as error:
        raise DataError(str(error)) from error
    try:
        classifier = build_classifier(config.model, len(meta.classes))
    except UsageError as error:
        raise DataError(f"{folder / CONFIG}: {error}") from error
    load_weights(classifier, folder / WEIGHTS)
    reference = read_reference(folder / REFERENCE) if (folder / REFERENCE).is_file() else None
    calibration = load_calibration(folder) if calibrated else None
    return Model(classifier.to(device).eval(), config, meta, folder, calibration, reference)


def find_members(directory: str | Path) -> list[Path]:
    """Return the run directories in a directory of several (`fold-1`, `member-1` and so on); none in any other.

    Where its meta data name them (`members`), they are these, in this order, whether they are there or not.
    """
    directory = Path(directory)
    if not directory.is_dir() or (directory / WEIGHTS).is_file():
        return []
    if stated := _stated_members(directory / META):
        return [directory / name for name in stated]
    named = ((MEMBER.fullmatch(path.name), path) for path in directory.iterdir() if path.is_dir())
    return [path for _, path in sorted((int(match[1]), path) for match, path in named if match)]


def clear(directory: Path) -> None:
    """Remove what a run, or several, left in a directory; what is not theirs stays."""
    for folder in [*directory.glob("*-*"), directory]:
        if folder == directory or (MEMBER.fullmatch(folder.name) and (folder / CONFIG).is_file()):
            for name in FILES:
                (folder / name).unlink(missing_ok=True)
            if folder != directory:
                with contextlib.suppress(OSError):
                    folder.rmdir()


def end(directory: Path) -> None:
    """Remove what is only needed to go on with a training, once it is complete."""
    for name in (CHECKPOINT, CHECKPOINT_BEFORE):
        (directory / name).unlink(missing_ok=True)


def is_complete(directory: Path) -> bool:
    """Say whether a run directory holds all that a training, or several, leave at their end."""
    stated = _read_object(directory / BEGUN).get("complete", True)
    if not stated or any((directory / name).exists() for name in (CHECKPOINT, CHECKPOINT_BEFORE)):
        return False
    members = _stated_members(directory / META)
    models = [directory / name for name in members] if members else [directory]
    return (directory / METRICS).is_file() and all((one / WEIGHTS).is_file() for one in models)


def is_model(path: str | Path) -> bool:
    """Say whether a path looks like a model, or several, rather than like sequences."""
    path = Path(path)
    if path.is_dir():
        return (path / CONFIG).is_file() or (path / WEIGHTS).is_file() or bool(find_members(path))
    return path.name in (CONFIG, WEIGHTS, META)


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


def _stated_members(path: Path) -> list[str]:
    """Return the names of runs that meta data give; none where they give none, or cannot be read."""
    names = _read_object(path).get("members")
    return [name for name in names if MEMBER.fullmatch(str(name))] if isinstance(names, list) else []


def _read_object(path: Path) -> dict[str, Any]:
    """Return what a JSON file states; nothing where it is missing, damaged or something else."""
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stated if isinstance(stated, dict) else {}


def _model_folder(path: Path) -> Path:
    if not path.exists():
        raise NoInputError(f"{path}: no such run directory or model")
    if not path.is_dir() and not is_model(path):
        raise NoInputError(f"{path}: is no model; name a run directory or a model's folder first, then the sequences")
    folder = path if path.is_dir() else path.parent
    missing = [name for name in (CONFIG, WEIGHTS, META) if not (folder / name).is_file()]
    if missing == [WEIGHTS]:
        raise NoInputError(f"{folder}: holds no model: neither {WEIGHTS} nor runs (member-1, fold-1); copy them again")
    if WEIGHTS in missing and CONFIG not in missing:
        raise NoInputError(
            f"{folder}: a preset without weights (no {WEIGHTS}); train it first: genomix train --model {folder} ..."
        )
    if missing:
        raise NoInputError(f"{folder}: not a run directory or model: {', '.join(missing)} missing")
    return folder


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
