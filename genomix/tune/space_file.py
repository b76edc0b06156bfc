"""What is searched, as YAML: read from a user's file, checked before anything begins, and written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from genomix.config import Config
from genomix.config.explaining import nearest
from genomix.errors import NoInputError, Problems, UsageError
from genomix.tune.searched import Space, contains
from genomix.tune.space import Choices, Parameter, Range
from genomix.tune.values import tell_unknown, with_values

KEYS = ("low", "high", "log", "step", "choices")
HOW = "write {low: 1, high: 8}, with log: true or step: 2 where it fits, or {choices: [a, b]}, or null to leave it out"
REFUSED = {
    "data": "it decides which records are validated on, which must be the same in all trials",
    "preset": "a study is of one preset; use --model",
    "schema_version": "it is not a setting",
    "model.kind": "a study is of one kind of model; use --model",
    "model.encoder.name": "a study is of one encoder; use --model, one study for each",
    "model.max_length": "trials are compared on what they read; use --max-length",
    "training.metric": "trials are compared by it; use --set training.metric=...",
    "training.seed": "luck is no setting; use --seed",
    "training.budget_s": "trials are compared after the same time; use --trial-budget",
    "training.max_epochs": "trials are compared after the same training; use --max-epochs",
}
"""Keys, or sections, that cannot be searched, and why."""
DRAWS = 32


def read_space(path: str | Path) -> dict[str, Parameter | None]:
    """Read a mapping of dotted keys to what they may be.

    Raises:
        NoInputError: If the file cannot be read.
        UsageError: If anything in it is wrong; all of it at once.
    """
    try:
        tree = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise NoInputError(f"{path}: cannot read this search space ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise UsageError(f"{path}{line}: not valid YAML: {getattr(error, 'problem', None) or error}") from error
    if not isinstance(tree, Mapping) or not tree:
        raise UsageError(f"{path}: a search space is a mapping of keys of the configuration; {HOW}")
    return parse_space(tree, str(path))


def parse_space(tree: Mapping[str, Any], place: str) -> dict[str, Parameter | None]:
    """Return what a mapping of dotted keys says; `place` is what it is called in messages.

    Raises:
        UsageError: If anything in it is wrong; all of it at once.
    """
    problems, found = Problems(), dict[str, Parameter | None]()
    for key, stated in tree.items():
        reason = next((why for one, why in REFUSED.items() if f"{key}.".startswith(f"{one}.")), None)
        wrong = f"cannot be searched: {reason}" if reason else None
        if wrong is None and stated is not None:
            parameter, wrong = _parse(stated)
            found[str(key)] = parameter
        elif wrong is None:
            found[str(key)] = None
        if wrong is not None:
            problems.add(f"{place}: {key}: {wrong}")
    problems.raise_if_any(UsageError)
    return found


def to_tree(space: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return a space as plain values, which `parse_space` reads back unchanged."""
    tree = dict[str, Any]()
    for key, one in space.items():
        if isinstance(one, Choices):
            tree[key] = {"choices": [list(value) if isinstance(value, tuple) else value for value in one.values]}
        else:
            more = ({"log": True} if one.log else {}) | ({} if one.step is None else {"step": one.step})
            tree[key] = {"low": one.low, "high": one.high} | more
    return tree


def to_yaml(space: Mapping[str, Parameter]) -> str:
    """Return a space as YAML, a line a key."""
    lines = [
        f"{key}: {yaml.safe_dump(one, default_flow_style=True, sort_keys=False, width=1000).strip()}"
        for key, one in to_tree(space).items()
    ]
    return "\n".join(lines) + "\n"


def check_space(space: Space, config: Config, place: str, left_out: Iterable[str] = ()) -> None:
    """Check that each end of each range, and each choice, is part of a valid configuration.

    It need not be one with the other values as they are: a few others are drawn.

    Args:
        space: What is searched.
        config: What trials start from.
        place: What the space is called in messages.
        left_out: Keys, or sections, that are not to be searched; they only have to be known.

    Raises:
        UsageError: If one is not, or a key is not known.
    """
    rng = np.random.default_rng(0)
    problems = Problems()
    for key, one in space.items():
        ends = one.values if isinstance(one, Choices) else (one.low, one.high)
        for value in ends:
            wrong = _try(config, {key: value})
            others = (draw(space, rng) for _ in range(DRAWS))
            if wrong is not None and all(_try(config, values | {key: value}) is not None for values in others):
                problems.add(_locate(place, wrong))
                break
    for key in left_out:
        if (wrong := tell_unknown(config, key)) is not None:
            problems.add(_locate(place, wrong))
    problems.raise_if_any(UsageError)


def draw(space: Space, rng: np.random.Generator) -> dict[str, Any]:
    """Return a value for each key, at random."""
    return {key: _draw(one, rng) for key, one in space.items()}


def _draw(parameter: Parameter, rng: np.random.Generator) -> Any:
    if isinstance(parameter, Choices):
        return parameter.values[rng.integers(len(parameter.values))]
    low, high = parameter.low, parameter.high
    if parameter.step is not None:
        value = low + parameter.step * int(rng.integers(int((high - low) / parameter.step + 1e-9) + 1))
    else:
        value = float(np.exp(rng.uniform(np.log(low), np.log(high)))) if parameter.log else rng.uniform(low, high)
    return round(value) if parameter.is_whole else min(max(value, low), high)


def _locate(place: str, wrong: str) -> str:
    return "\n".join(f"{place}: {line}" for line in wrong.splitlines())


def _try(config: Config, values: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a configuration that has these values; None where nothing is."""
    try:
        with_values(config, values)
    except UsageError as error:
        return str(error)
    return None


def _parse(stated: Any) -> tuple[Parameter | None, str | None]:
    """Return what a key may be, or what is wrong with the statement."""
    if not isinstance(stated, Mapping):
        return None, f"{stated!r} is no range; {HOW}"
    if unknown := [name for name in stated if name not in KEYS]:
        return None, f"{unknown[0]!r} is not known{nearest(str(unknown[0]), KEYS)}; {HOW}"
    if "choices" in stated:
        choices = stated["choices"]
        if len(stated) > 1 or not isinstance(choices, list) or not choices:
            return None, f"choices are a list of values, and stand alone; {HOW}"
        if any(isinstance(value, Mapping) for value in choices):
            return None, f"a choice is a value or a list, not a mapping; {HOW}"
        return Choices(tuple(tuple(one) if isinstance(one, list) else one for one in choices)), None
    return _parse_range(stated)


def _parse_range(stated: Mapping[str, Any]) -> tuple[Parameter | None, str | None]:
    numbers = [stated.get(name) for name in ("low", "high")]
    numbers += [stated["step"]] if stated.get("step") is not None else []
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float) or not np.isfinite(number):
            like = " (YAML reads 1e-4 as text: write 1.0e-4)" if isinstance(number, str) else ""
            return None, f"low, high and step are numbers, not {number!r}{like}; {HOW}"
    low, high, log, step = stated["low"], stated["high"], stated.get("log", False), stated.get("step")
    if not isinstance(log, bool):
        return None, f"log is true or false, not {log!r}"
    if low > high:
        return None, f"low ({low}) is above high ({high}); exchange them"
    if log and low <= 0:
        return None, f"low ({low}) must be above 0 with log; choose a small number instead"
    if log and step is not None:
        return None, "log and step do not go together; leave one of them out"
    if step is not None and (step <= 0 or not contains(Range(low, high, step=step), high)):
        return None, f"steps of {step} do not lead from {low} to {high}; choose a step that does"
    return Range(low, high, log=log, step=step), None
