"""The configuration of a training that starts from another run: the network of that run, and what is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from torch import nn

from genomix.checkpoint import CONFIG
from genomix.config import PRESETS, Config, NetworkConfig, make_config
from genomix.errors import UsageError
from genomix.nn.build import build_features
from genomix.train.init import Source

FREE = ("pooling", "head", "composition")
"""Sections of a network that are made anew: their weights come from the labels."""
HARMLESS = ("dropout", "input_dropout", "recompute")
"""Keys of the others that do not change what the weights mean."""


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
