"""Models on disk: written whole and read back without running anybody's code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor, nn

from genomix.checkpoint.directory import CONFIG, META, REFERENCE, WEIGHTS, has_more_to_do, is_model
from genomix.checkpoint.meta import Meta, check_has_classes, load_calibration, load_meta, save_calibration
from genomix.config import Config, HeadConfig, KmerConfig, NetworkConfig, make_config, to_yaml
from genomix.data.levels import Levels
from genomix.data.reference import Reference, read_reference, save_reference
from genomix.errors import DataError, NoInputError, Problems, UsageError
from genomix.files import atomic_path, write_text
from genomix.metrics.calibration import Calibration
from genomix.nn.build import FEATURES, build_classifier, build_kmer
from genomix.nn.composition import Composition

COMPOSITION = "composition."
"""What the tensors of a `Composition` begin with, in the file of the weights."""


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
        composition: The k-mer classifier that speaks beside the network, on the CPU; None where the network is alone.
    """

    classifier: nn.Module
    config: Config
    meta: Meta
    path: Path
    calibration: Calibration | None = None
    reference: Reference | None = None
    composition: Composition | None = None

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
    save_weights(model.classifier, model.path / WEIGHTS, model.composition)
    write_text(model.path / META, model.meta.model_dump_json(indent=2) + "\n")
    if model.calibration is not None:
        save_calibration(model.path, model.calibration)
    if model.reference is not None:
        save_reference(model.path / REFERENCE, model.reference)


def save_weights(classifier: nn.Module, path: Path, composition: Composition | None = None) -> None:
    """Write the weights of a network, and of what speaks beside it, as safetensors."""
    state = dict(classifier.state_dict())
    if composition is not None:
        state |= {COMPOSITION + name: tensor for name, tensor in composition.state_dict().items()}
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    with atomic_path(path) as temporary:
        safetensors.torch.save_file(state, temporary)


def load_weights(classifier: nn.Module, path: Path, composition: Composition | None = None) -> None:
    """Read weights into a network of the same shape; a safetensors file holds numbers only, never code.

    What speaks beside the network is read into `composition`, or left where there is none.

    Raises:
        DataError: If the file is damaged or belongs to another network.
    """
    try:
        state = safetensors.torch.load_file(path)
        beside = {name: state.pop(name) for name in list(state) if name.startswith(COMPOSITION)}
        classifier.load_state_dict(state)
        if composition is not None:
            composition.load_state_dict({name.removeprefix(COMPOSITION): beside[name] for name in beside})
    except (safetensors.SafetensorError, OSError) as error:
        raise DataError(f"{path}: damaged or not a safetensors file ({error}); copy it again") from error
    except RuntimeError as error:
        raise DataError(f"{path}: these weights do not fit the {CONFIG} beside them: {error}") from error


def load_features(network: nn.Module, path: Path) -> None:
    """Read embedding, stem and encoder from the weights of another network into this one; the rest stays as it is.

    Raises:
        DataError: If the file is damaged, or these parts are of other sizes; all that differ are named.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys() if is_of_features(name)}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as error:
        raise DataError(f"{path}: damaged or not a safetensors file ({error}); copy it again") from error
    ours = {name: tensor for name, tensor in network.state_dict().items() if is_of_features(name)}
    problems = Problems()
    for name in dict.fromkeys([*ours, *state]):
        here, there = (_describe_shape(tensors.get(name)) for tensors in (ours, state))
        if here != there:
            problems.add(f"{path}: {name} is {there} there, and {here} in the network that is to start from it")
    problems.raise_if_any()
    network.load_state_dict(state, strict=False)


def is_of_features(name: str) -> bool:
    """Say whether a tensor of a network belongs to its embedding, stem or encoder."""
    return name.partition(".")[0] in FEATURES


def _describe_shape(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else " x ".join(map(str, tensor.shape)) or "a number"


def load_pretrained(path: str | Path, *, device: str = "cpu") -> Model:
    """Read a pretrained network, to make vectors of records: the mean, or the maximum, of what its encoder gives.

    Its classifier has no classes; what stands before its last layer is of use.

    Raises:
        NoInputError, DataError: As `load_model`.
    """
    folder = _model_folder(Path(path))
    meta, config = load_meta(folder), _read_config(folder)
    if isinstance(config.model, KmerConfig):
        raise DataError(f"{folder / CONFIG}: is not that of a network; restore it or pretrain again")
    network = config.model.model_copy(update={"head": HeadConfig(norm="none")})
    if network.pooling != "max":
        # the token that stands for a record has not been trained, and a flattened one is not of a fixed place
        network = network.model_copy(update={"pooling": "mean"})
    classifier = build_classifier(network, 1)
    load_features(classifier, folder / WEIGHTS)
    return Model(classifier.to(device).eval(), config.model_copy(update={"model": network}), meta, folder)


def load_model(path: str | Path, *, device: str = "cpu", calibrated: bool = True) -> Model:
    """Read a trained model from a run directory, a model's folder, or the weights file inside one.

    Args:
        path: The model.
        device: Where to put its network.
        calibrated: Whether to read its calibration as well.

    Raises:
        NoInputError: If it does not exist or holds no weights.
        DataError: If a file in it is damaged, or was written by a newer version.
        UsageError: If it is pretrained only, and has no classes.
    """
    folder = _model_folder(Path(path))
    meta = load_meta(folder)
    check_has_classes(meta, folder)
    config = _read_config(folder)
    try:
        classifier = build_classifier(config.model, len(meta.classes))
    except UsageError as error:
        raise DataError(f"{folder / CONFIG}: {error}") from error
    composition = _read_composition(config, folder, len(meta.classes))
    load_weights(classifier, folder / WEIGHTS, composition)
    reference = read_reference(folder / REFERENCE) if (folder / REFERENCE).is_file() else None
    calibration = load_calibration(folder) if calibrated else None
    return Model(classifier.to(device).eval(), config, meta, folder, calibration, reference, composition)


def _read_composition(config: Config, folder: Path, num_classes: int) -> Composition | None:
    """Return what speaks beside the network of a folder, unread, or None: older models are networks alone."""
    if not isinstance(config.model, NetworkConfig) or config.model.composition is None:
        return None
    try:
        with safetensors.safe_open(folder / WEIGHTS, "pt") as file:
            if not any(name.startswith(COMPOSITION) for name in file.keys()):  # noqa: SIM118
                config.model.composition = None
                return None
    except (safetensors.SafetensorError, OSError):
        return None  # whoever reads the weights says so
    return Composition(build_kmer(config.model.composition, num_classes)).eval()


def _read_config(folder: Path) -> Config:
    try:
        return make_config(path=folder / CONFIG)
    except UsageError as error:
        raise DataError(str(error)) from error


def _model_folder(path: Path) -> Path:
    if not path.exists():
        raise NoInputError(f"{path}: no such run directory or model")
    if not path.is_dir() and not is_model(path):
        raise NoInputError(f"{path}: is no model; name a run directory or a model's folder first, then the sequences")
    folder = path if path.is_dir() else path.parent
    missing = [name for name in (CONFIG, WEIGHTS, META) if not (folder / name).is_file()]
    if missing and has_more_to_do(folder):
        raise NoInputError(f"{folder}: this training has no weights yet; go on with it first (--resume {folder})")
    if missing == [WEIGHTS]:
        raise NoInputError(f"{folder}: holds no model: neither {WEIGHTS} nor runs (member-1, fold-1); copy them again")
    if WEIGHTS in missing and CONFIG not in missing:
        raise NoInputError(
            f"{folder}: a preset without weights (no {WEIGHTS}); train it first: genomix train --model {folder} ..."
        )
    if missing:
        raise NoInputError(f"{folder}: not a run directory or model: {', '.join(missing)} missing")
    return folder
