"""What a run is made of: the configuration, its presets, and how files, flags and defaults come together.

A configuration is a tree of sections, written as YAML. `None` stands for "decide from the data and the machine";
training fills such values in and writes the resolved tree to the run directory, where it is valid input again.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from genomix.errors import NoInputError, UsageError

SCHEMA_VERSION = 1
Fraction = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A part of the configuration; a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, protected_namespaces=())


class EmbeddingConfig(Section):
    """Tokens to vectors."""

    dim: PositiveInt = 8
    position: Literal["none", "learned", "sinusoidal"] = "none"
    dropout: Fraction = 0.0


class StemConfig(Section):
    """Convolutions before the encoder: the first over bases, the others where `stride` bases are one position."""

    base_dim: PositiveInt = 32
    widths: Annotated[list[PositiveInt], Field(min_length=1)] = [9, 5, 5]
    stride: PositiveInt = 4

    @field_validator("widths")
    @classmethod
    def _odd(cls, widths: list[int]) -> list[int]:
        if any(width % 2 == 0 for width in widths):
            raise ValueError("widths of convolutions must be odd")
        return widths


class ParamixerConfig(Section):
    """The encoder of this project; `genomix.nn.paramixer` explains each value."""

    name: Literal["paramixer"] = "paramixer"
    dim: PositiveInt = 64
    hidden_dim: PositiveInt = 64
    num_layers: PositiveInt = 1
    protocol: Literal["chord", "cdil"] = "chord"
    residual: Literal["step", "input"] = "step"
    link_scale: Annotated[float, Field(ge=0)] = 0.1
    normalise: bool = True
    input_dropout: Fraction = 0.0
    dropout: Fraction = 0.0


class HeadConfig(Section):
    """From the pooled vector to one logit a class."""

    norm: Literal["none", "layer", "batch"] = "batch"
    dropout: Fraction = 0.0


class NetworkConfig(Section):
    """A network: embedding, stem, encoder, pooling, head."""

    kind: Literal["network"] = "network"
    max_length: PositiveInt | None = None
    padding: Literal["mask", "token"] = "mask"
    embedding: EmbeddingConfig = EmbeddingConfig()
    stem: StemConfig | None = StemConfig()
    encoder: ParamixerConfig = ParamixerConfig()
    pooling: Literal["mean", "max", "attention", "cls", "flatten"] = "mean"
    head: HeadConfig = HeadConfig()


class KmerConfig(Section):
    """Canonical k-mer frequencies and logistic regression."""

    kind: Literal["kmer"] = "kmer"
    k: Annotated[int, Field(ge=1, le=8)] = 5
    inverse_regularisation: PositiveFloat = 1.0


class DataConfig(Section):
    """How the records are divided where no split is given."""

    val_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.15
    test_fraction: Fraction = 0.15
    min_per_class: PositiveInt = 3

    @model_validator(mode="after")
    def _leave_some_to_train_on(self) -> Self:
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError("val_fraction and test_fraction must sum to less than 1, to leave records to train on")
        return self


class TrainingConfig(Section):
    """How the weights are found."""

    max_epochs: PositiveInt | None = None
    max_time_s: PositiveFloat | None = None
    patience: PositiveInt | None = None
    metric: Literal["f1_macro", "accuracy", "balanced_accuracy", "mcc", "roc_auc", "log_loss"] = "f1_macro"
    validate_every: PositiveInt | None = None
    learning_rate: PositiveFloat = 3e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_fraction: Fraction = 0.1
    clip_norm: PositiveFloat = 1.0
    label_smoothing: Fraction = 0.0
    ema_decay: Fraction = 0.0
    batch_records: PositiveInt | None = None
    batch_bases: PositiveInt | None = None
    classes: Literal["natural", "weighted", "sampled"] = "natural"
    reverse_complement: bool = True
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    deterministic: bool = False
    baselines: bool = True


class PredictionConfig(Section):
    """How records are scored."""

    long: Literal["window", "whole", "crop"] = "window"
    stride: PositiveInt | None = None
    strands: Literal["forward", "both"] = "both"
    batch_bases: PositiveInt | None = None


class Config(Section):
    """Everything about a run but its data and its machine."""

    schema_version: Literal[1] = SCHEMA_VERSION
    preset: str = "paramixer"
    model: Annotated[NetworkConfig | KmerConfig, Field(discriminator="kind")] = NetworkConfig()
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()
    prediction: PredictionConfig = PredictionConfig()


PRESETS: dict[str, dict[str, Any]] = {
    "paramixer": {},
    "paramixer-cdil": {"model": {"encoder": {"protocol": "cdil"}}},
    "paramixer-paper": {
        "model": {
            "max_length": 16384,
            "padding": "token",
            "embedding": {"dim": 32, "position": "learned", "dropout": 0.2},
            "stem": None,
            "encoder": {
                "dim": 32,
                "hidden_dim": 128,
                "num_layers": 1,
                "protocol": "chord",
                "residual": "step",
                "link_scale": 1.0,
                "normalise": False,
                "input_dropout": 0.2,
                "dropout": 0.8,
            },
            "pooling": "flatten",
            "head": {"norm": "none"},
        },
        "training": {
            "learning_rate": 1e-4,
            "weight_decay": 0.0,
            "warmup_fraction": 0.0,
            "schedule": "constant",
            "batch_records": 16,
            "reverse_complement": False,
        },
        "prediction": {"long": "crop", "strands": "forward"},
    },
    "kmer": {"model": {"kind": "kmer"}, "prediction": {"long": "whole", "strands": "forward"}},
}


def make_config(
    preset: str | None = None, path: str | Path | None = None, overrides: Mapping[str, Any] | None = None
) -> Config:
    """Build a configuration from a preset or a file, then from overrides.

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
        raise UsageError(f"{path}: preset: {name!r} is not known{_nearest(name, PRESETS)}")
    tree = _merge(_merge({"model": {"kind": "network"}}, PRESETS[name]), stated)
    tree["preset"] = name
    for key, value in (overrides or {}).items():
        tree = _merge(tree, _nested(key, value))
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        place = f"{path}: " if path is not None else ""
        raise UsageError("\n".join(f"{place}{line}" for line in _explain(error))) from error
    kind = PRESETS[name].get("model", {}).get("kind", "network")
    if config.model.kind != kind:
        raise UsageError(
            f"model.kind: the preset {name!r} is a {kind}, not a {config.model.kind}; choose another --model"
        )
    return config


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
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, default_flow_style=False)


def _preset_path(name: str) -> Path:
    path = Path(name)
    path = path / "config.yaml" if path.is_dir() else path
    if not path.is_file():
        names = ", ".join(PRESETS)
        raise UsageError(
            f"--model {name!r} is neither a preset nor a folder with a config.yaml{_nearest(name, PRESETS)}; "
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


def _explain(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        place = [str(part) for part in problem["loc"] if part not in ("network", "kmer")]
        key = ".".join(place)
        if problem["type"] == "extra_forbidden":
            known = _known_keys(Config, list(problem["loc"][:-1]))
            yield f"{key}: there is no such key{_nearest(place[-1], known)}; keys here: {', '.join(known)}"
        else:
            yield f"{key}: {problem['msg'].removeprefix('Value error, ')} (found {problem['input']!r})"


def _known_keys(section: type[Section], place: list[Any]) -> list[str]:
    if not place:
        return list(section.model_fields)
    head, *rest = place
    inner = _sections_of(section.model_fields[head].annotation) if head in section.model_fields else []
    if len(inner) > 1 and rest:
        tag, *rest = rest
        inner = [one for one in inner if one.model_fields["kind"].default == tag]
    return _known_keys(inner[0], rest) if inner else []


def _sections_of(annotation: Any) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections_of(part)]


def _nearest(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
