"""How files, flags and defaults come together to one configuration, and how it is written."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from genomix.config.encoders import ParamixerConfig
from genomix.config.explaining import explain, nearest
from genomix.config.presets import PRESETS
from genomix.config.schema import Config, NetworkConfig
from genomix.errors import NoInputError, UsageError


def make_config(
    preset: str | None = None, path: str | Path | None = None, overrides: Mapping[str, Any] | None = None
) -> Config:
    """Build a configuration from a preset or a file, then from overrides.

    Each is laid over what is below it, key by key. Where it names another encoder, the encoder below leaves its `dim`
    only, which fits the rest of the network: its other keys mean nothing to the new one.

    Args:
        preset: A name in `PRESETS`, or the path of a model's folder or configuration. Default: `paramixer`.
        path: A YAML file that may state any part of the tree; its own `preset` key is what it is laid over.
        overrides: Dotted keys and values (`{"training.seed": 1}`), laid over everything else.

    Raises:
        UsageError: If both a preset and a file are given, or anything in them is wrong; all of it is reported at once.
        NoInputError: If a file does not exist.
    """
    if preset is not None and path is not None:
        raise UsageError("give either --model or --config, not both; a configuration names its own preset")
    if preset is not None and preset not in PRESETS:
        path, preset = _preset_path(preset), None
    stated = _read_yaml(Path(path)) if path is not None else {}
    name = str(preset or stated.get("preset", "paramixer"))
    if name not in PRESETS:
        raise UsageError(f"{path}: preset: {name!r} is not known{nearest(name, PRESETS)}")
    tree = _lay_over(_merge({"model": {"kind": "network"}}, PRESETS[name]), [stated])
    tree["preset"] = name
    tree = _lay_over(tree, [_nested(key, value) for key, value in (overrides or {}).items()])
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        place = f"{path}: " if path is not None else ""
        raise UsageError("\n".join(f"{place}{line}" for line in explain(error))) from error
    kind = PRESETS[name].get("model", {}).get("kind", "network")
    if config.model.kind != kind:
        raise UsageError(
            f"model.kind: the preset {name!r} is a {kind}, not a {config.model.kind}; choose another --model"
        )
    return config


def model_name(config: Config) -> str:
    """Return what a model is called: its preset, and its encoder where that is not the preset's."""
    used, usual = (
        one.model.encoder.name if isinstance(one.model, NetworkConfig) else one.model.kind
        for one in (config, make_config(config.preset))
    )
    return config.preset if used == usual else f"{config.preset} with {used}"


def parse_assignment(text: str) -> tuple[str, Any]:
    """Split `key=value` of `--set`; the value is read as YAML: numbers, true, null and [lists] are what they look like.

    Raises:
        UsageError: If there is no `=` or the value is not YAML.
    """
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise UsageError(f"--set {text!r}: write it as key=value, for example training.learning_rate=0.001")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UsageError(f"--set {text!r}: the value is not valid YAML") from error


def to_yaml(config: Config) -> str:
    """Write a configuration as YAML that `make_config` reads back unchanged."""
    return yaml.safe_dump(_named_first(config.model_dump(mode="json")), sort_keys=False, default_flow_style=False)


def says_the_same(text: str, other: str) -> bool:
    """Return whether two texts of `to_yaml` are of one configuration: keys that a text lacks, as it is of an older
    version, have their defaults.
    """
    if text == other:
        return True
    try:
        return Config.model_validate(yaml.safe_load(text)) == Config.model_validate(yaml.safe_load(other))
    except (yaml.YAMLError, ValidationError):
        return False


def _named_first(tree: Any) -> Any:
    """Let every section begin with its name, if it has one; fields that sections share come before their own."""
    if not isinstance(tree, dict):
        return tree
    return {key: _named_first(tree[key]) for key in sorted(tree, key=lambda key: key != "name")}


def _preset_path(name: str) -> Path:
    path = Path(name)
    path = path / "config.yaml" if path.is_dir() else path
    if not path.is_file():
        names = ", ".join(PRESETS)
        raise UsageError(
            f"--model {name!r} is neither a preset nor a folder with a config.yaml{nearest(name, PRESETS)}; "
            f"presets: {names}"
        )
    return path


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NoInputError(f"{path}: cannot read this configuration ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise UsageError(f"{path}{line}: not valid YAML: {getattr(error, 'problem', None) or error}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise UsageError(
            f"{path}: a configuration is a mapping of sections (model, training, ...), not {type(tree).__name__}"
        )
    return tree


def _nested(key: str, value: Any) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def _lay_over(tree: Mapping[str, Any], parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge the parts of one layer, in their order, into what is below."""
    below, above = _encoder_of(tree), _encoder_of(functools.reduce(_merge, parts, {}))
    if below and "name" in above and above["name"] != below.get("name", ParamixerConfig().name):
        kept = {"dim": below["dim"]} if "dim" in below else {}
        tree = {**tree, "model": {**tree["model"], "encoder": kept}}
    return functools.reduce(_merge, parts, dict(tree))


def _encoder_of(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the encoder's keys; none where there are none, or something else stands in their place."""
    model = tree.get("model")
    encoder = model.get("encoder") if isinstance(model, Mapping) else None
    return encoder if isinstance(encoder, Mapping) else {}


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(copy.deepcopy(base))
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            merged[key] = _merge(below, value)
        elif isinstance(value, Mapping) and below is None and isinstance(key, str):
            merged[key] = _merge({}, value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged
