"""Where a network's first weights come from, if not from chance: embedding, stem and encoder of another run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict
from torch import nn

from genomix.checkpoint import (
    CONFIG,
    META,
    WEIGHTS,
    find_members,
    has_more_to_do,
    is_of_features,
    load_features,
    load_meta,
)
from genomix.config import PRESETS, Config, KmerConfig, NetworkConfig, make_config
from genomix.errors import DataError, NoInputError, UsageError
from genomix.files import hash_file
from genomix.nn.build import build_features

FREE = ("pooling", "head", "composition")
"""Sections of a network that are made anew: their weights come from the labels."""
HARMLESS = ("dropout", "input_dropout", "recompute")
"""Keys of the others that do not change what the weights mean."""


class InitFrom(BaseModel):
    """What the first weights are.

    Attributes:
        path: The run directory.
        sha256: Of its weights.
        kind: Whether it is pretrained, or a classifier.
        num_tensors, num_parameters: Taken from there: tensors, and numbers in them.
    """

    model_config = ConfigDict(extra="forbid")

    path: str
    sha256: str
    kind: str
    num_tensors: int
    num_parameters: int

    def located(self) -> InitFrom:
        """Return the same with a path that holds from anywhere."""
        return self.model_copy(update={"path": str(Path.cwd() / self.path)})

    def describe(self) -> str:
        """Return where the weights come from as a sentence."""
        return (
            f"starting from {self.path} ({self.kind}): {self.num_parameters:,} parameters in {self.num_tensors} "
            f"tensors of embedding, stem and encoder, sha256 {self.sha256}; pooling, head and k-mers begin anew"
        )


class Source(NamedTuple):
    """A run to start from, its configuration, and the shape of each tensor that is taken, by name."""

    init_from: InitFrom
    config: Config
    shapes: dict[str, list[int]]


def read_source(path: str) -> Source:
    """Look at the run that a training is to start from.

    Raises:
        NoInputError, DataError: If it is missing or damaged.
        UsageError: If it is no network that one could start from.
    """
    import safetensors

    folder = Path(path)
    if members := find_members(folder):
        raise UsageError(
            f"--init-from {path}: holds {len(members)} models, each with weights of its own; choose one of them, such "
            f"as {members[0]}"
        )
    if has_more_to_do(folder):
        raise UsageError(f"--init-from {path}: this training has not ended; go on with it (--resume {path}) first")
    missing = [name for name in (CONFIG, WEIGHTS, META) if not (folder / name).is_file()]
    if missing:
        raise NoInputError(f"--init-from {path}: not a run directory or model: {', '.join(missing)} missing")
    config, meta = make_config(path=folder / CONFIG), load_meta(folder)
    if isinstance(config.model, KmerConfig):
        raise UsageError(f"--init-from {path}: is a k-mer model, which has no layers to start from; choose a network")
    try:
        with safetensors.safe_open(folder / WEIGHTS, "pt") as file:
            names = [name for name in file.keys() if is_of_features(name)]  # noqa: SIM118 (not a mapping)
            shapes = {name: file.get_slice(name).get_shape() for name in names}
    except (safetensors.SafetensorError, OSError) as error:
        raise DataError(f"{folder / WEIGHTS}: damaged or not a safetensors file ({error}); copy it again") from error
    counts = {"num_tensors": len(shapes), "num_parameters": sum(math.prod(shape) for shape in shapes.values())}
    return Source(InitFrom(path=path, sha256=hash_file(folder / WEIGHTS), kind=meta.kind, **counts), config, shapes)


def adopt(source: Source, preset: str | None, path: str | None, overrides: Mapping[str, Any]) -> Config:
    """Return the configuration of a training that starts from another run, with the network of that run.

    Pooling and head are those asked for, or else as in that run. So is whether k-mers speak beside the network; but
    those found for other labels are not kept: what is not asked for is searched anew.

    Args:
        source: The run.
        preset: As in `make_config`; by default that of the run.
        path: See there.
        overrides: See there.

    Raises:
        UsageError: If something is asked for that contradicts the network of the run: all of it at once.
    """
    network = source.config.model
    if not isinstance(network, NetworkConfig):
        raise AssertionError("read_source lets only networks pass")
    theirs = network.model_dump(mode="json")
    if network.composition is not None:
        theirs["composition"] = {"kind": "kmer"}
    if preset is None and path is None:
        preset = source.config.preset
        asked = make_config(preset, None, {"model": theirs, **overrides})
        stated = _stated(None, None, overrides, asked)
    else:
        stated = _stated(preset, path, overrides, make_config(preset, path, overrides))
    wrong = [
        f"model.{key}: {_show(value)} is asked for, and {source.init_from.path} has {_show(_find(theirs, key))}"
        for key, value in stated.items()
        if not _may_differ(key, network) and value != _find(theirs, key)
    ]
    if wrong:
        what = "its network is used as it is; leave these out, or choose another run to start from"
        raise UsageError("\n".join([f"--init-from {source.init_from.path}: {what}", *wrong]))
    for key, value in stated.items():
        _put(theirs, key, value)
    others = {key: value for key, value in overrides.items() if key.partition(".")[0] != "model"}
    config = make_config(preset, path, {**others, "model": theirs})
    config.masking = None
    _check_shapes(source, config, network)
    return config


def _check_shapes(source: Source, config: Config, theirs: NetworkConfig) -> None:
    """Raise a UsageError if the length or the pooling asked for make parts of other sizes than the run has."""
    ours = config.model
    if not isinstance(ours, NetworkConfig) or (ours.max_length, ours.pooling) == (theirs.max_length, theirs.pooling):
        return
    embedding, stem, encoder, *_ = build_features(ours)
    parts = nn.ModuleDict({"embedding": embedding, "encoder": encoder} | ({} if stem is None else {"stem": stem}))
    here = {name: list(tensor.shape) for name, tensor in parts.state_dict().items()}
    if different := [name for name in {**here, **source.shapes} if here.get(name) != source.shapes.get(name)]:
        path = source.init_from.path
        raise UsageError(
            f"--init-from {path}: its weights do not fit a network with other positions: model.max_length is "
            f"{theirs.max_length} and model.pooling {theirs.pooling} there, {ours.max_length} and {ours.pooling} here, "
            f"and {len(different)} tensors differ, such as {different[0]}; leave these out, or pretrain with them"
        )


def check_freezing(config: Config, init_from: InitFrom | None) -> None:
    """Check that what is to be frozen has learnt something.

    Raises:
        UsageError: If it has not.
    """
    if config.training.freeze != "none" and init_from is None:
        raise UsageError(
            f"training.freeze: {config.training.freeze} would keep random weights as they are; name a run to start "
            "from (--init-from), or leave it out"
        )


def start_from(network: nn.Module, init_from: InitFrom) -> None:
    """Give a network the weights that it is to start from.

    Raises:
        NoInputError: If the run is gone.
        DataError: If its weights are not those any more that the training was begun with, or do not fit.
    """
    path = Path(init_from.path) / WEIGHTS
    if not path.is_file():
        raise NoInputError(f"{path}: is gone, and this training has no checkpoint yet; bring it back, or train anew")
    if hash_file(path) != init_from.sha256:
        raise DataError(f"{path}: not the weights any more that this training was begun with; restore them")
    load_features(network, path)


def _stated(preset: str | None, path: str | None, overrides: Mapping[str, Any], asked: Config) -> dict[str, Any]:
    """Return the keys of the network that were asked for, with their values; what are mere defaults are not."""
    file = _config_of(preset) if preset not in (None, *PRESETS) else path
    written: Any = {} if file is None else yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {}
    named = preset if preset in PRESETS else written.get("preset")
    keys = {"kind", "encoder.name"} if named else set[str]()
    for tree in (PRESETS.get(named or "", {}), written):
        keys |= _flatten(tree.get("model") or {}).keys()
    for key, value in overrides.items():
        if key.startswith("model."):
            keys |= _flatten({key.removeprefix("model."): value}).keys()
    values = _flatten(asked.model.model_dump(mode="json"))
    found = {key: value for key, value in values.items() if any(f"{key}.".startswith(f"{above}.") for above in keys)}
    return {key: value for key, value in found.items() if (key, value) != ("max_length", None)}


def _may_differ(key: str, network: NetworkConfig) -> bool:
    first, last = key.partition(".")[0], key.rpartition(".")[2]
    bound = network.is_position_bound and (
        network.embedding.position == "learned" or network.encoder.POSITION_BOUND or network.padding == "token"
    )
    return first in FREE or last in HARMLESS or (key == "max_length" and not bound)


def _config_of(preset: str | None) -> str | None:
    if preset is None:
        return None
    return str(Path(preset) / CONFIG if Path(preset).is_dir() else preset)


def _find(tree: dict[str, Any], key: str) -> Any:
    """Return the value of a dotted key; None where there is none."""
    found: Any = tree
    for name in key.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _put(tree: dict[str, Any], key: str, value: Any) -> None:
    *above, last = key.split(".")
    for name in above:
        tree[name] = tree[name] or {}
        tree = tree[name]
    tree[last] = value


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= (
            _flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) and value else {f"{prefix}{key}": value}
        )
    return flat


def _show(value: object) -> str:
    return "none" if value is None else "one" if isinstance(value, Mapping) else str(value)
