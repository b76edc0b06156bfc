"""Models on disk: written whole and read back without running anybody's code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
from torch import nn

from genomix.checkpoint.directory import CONFIG, META, REFERENCE, WEIGHTS, is_model
from genomix.checkpoint.meta import Meta, load_calibration, load_meta, save_calibration
from genomix.config import Config, KmerConfig, make_config, to_yaml
from genomix.data.levels import Levels
from genomix.data.reference import Reference, read_reference, save_reference
from genomix.errors import DataError, NoInputError, UsageError
from genomix.metrics.calibration import Calibration
from genomix.nn.build import build_classifier
from genomix.runtime import atomic_path, write_text


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
