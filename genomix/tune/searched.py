"""What a study searches: the ranges of its encoder, as far as they apply, with what the user adds or replaces."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from genomix.config import Config, KmerConfig
from genomix.errors import UsageError
from genomix.tune.space import ENCODERS, KMER, SHARED, Choices, Parameter, Range
from genomix.tune.values import value_at

Space = dict[str, Parameter]

DIM, NUM_HEADS = "model.encoder.dim", "model.encoder.num_heads"


def find_space(config: Config, fixed: Collection[str] = ()) -> Space:
    """Return what is searched for a model by default.

    The value of the configuration itself is always inside: ranges reach out to it, choices are added to.

    Args:
        config: What trials start from.
        fixed: Keys, or sections, that are not searched.

    Raises:
        UsageError: If nothing is left to search.
    """
    space = dict(KMER) if isinstance(config.model, KmerConfig) else _network_space(config)
    space = {key: one for key, one in space.items() if not is_fixed(key, fixed)}
    space = {key: _reach_out(one, value_at(config, key)) for key, one in space.items()}
    _share_out(space, config)
    return space


def is_fixed(key: str, fixed: Collection[str]) -> bool:
    """Say whether a key, or a section it is in, is among those that are fixed."""
    return any(key == one or key.startswith(f"{one}.") for one in fixed)


def combine(space: Space, stated: Mapping[str, Parameter | None], fixed: Collection[str], place: str) -> Space:
    """Return a space in which what is stated replaces what is there, or comes to it.

    None leaves out a key, or what is searched by default in a section.

    Args:
        space: What is searched by default.
        stated: By the user.
        fixed: Keys that the user fixed.
        place: What the statement is called in messages.

    Raises:
        UsageError: If a key is fixed and searched, or nothing is left to search.
    """
    if both := [key for key in stated if is_fixed(key, fixed)]:
        raise UsageError(f"{place}: {both[0]}: is fixed by another option; leave one of the two out")
    left_out = [key for key, one in stated.items() if one is None]
    kept = {key: one for key, one in space.items() if not is_fixed(key, left_out)}
    kept |= {key: one for key, one in stated.items() if one is not None}
    if not kept:
        raise UsageError("nothing is left to search: fix less by --set, or name ranges in --space FILE")
    return kept


def contains(parameter: Parameter, value: Any) -> bool:
    """Say whether a value is one that a parameter can take."""
    if isinstance(parameter, Choices):
        return value in parameter.values
    if not isinstance(value, int | float) or isinstance(value, bool) or not parameter.low <= value <= parameter.high:
        return False
    if parameter.step is None:
        return not parameter.is_whole or isinstance(value, int)
    steps = (value - parameter.low) / parameter.step
    return math.isclose(steps, round(steps), abs_tol=1e-9)


def encode(value: Any) -> Any:
    """Return a choice as the storage takes it: lists as JSON."""
    return json.dumps(value) if isinstance(value, list | tuple) else value


def corners(space: Space) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the values at the low ends and at the high ends; of choices the least and the most, or the first."""
    low, high = dict[str, Any](), dict[str, Any]()
    for key, one in space.items():
        if isinstance(one, Range):
            low[key], high[key] = one.low, one.high
            continue
        numbers = [value for value in one.values if isinstance(value, int | float)]
        low[key], high[key] = (min(numbers), max(numbers)) if numbers else (one.values[0], one.values[0])
    return low, high


def _network_space(config: Config) -> Space:
    model = config.model
    if isinstance(model, KmerConfig):
        raise AssertionError("a k-mer model is no network")
    own = {f"model.encoder.{name}": one for name, one in ENCODERS[model.encoder.name].items()}
    space = {**SHARED, **own}
    if model.stem is None:  # the embedding then has the width of the encoder, and neither can change alone
        return {key: one for key, one in space.items() if key != DIM and not key.startswith("model.stem.")}
    return space


def _reach_out(parameter: Parameter, value: Any) -> Parameter:
    """Return the parameter with the value among its own, where it can be."""
    if isinstance(parameter, Choices):
        return parameter if value in parameter.values else Choices((*parameter.values, value))
    if value is None or contains(parameter, value) or (parameter.log and value <= 0):
        return parameter
    wider = replace(parameter, low=min(parameter.low, value), high=max(parameter.high, value))
    if parameter.step is None or not parameter.is_whole:
        return wider
    step = math.gcd(int(parameter.step), int(value - parameter.low))
    return replace(wider, step=step)


def _share_out(space: Space, config: Config) -> None:
    """Let every width be a multiple of every number of heads."""
    num_heads, dim = value_at(config, NUM_HEADS), value_at(config, DIM)
    heads, width = space.get(NUM_HEADS), space.get(DIM)
    if num_heads is None:
        return
    if isinstance(heads, Choices) and width is None:
        space[NUM_HEADS] = Choices(tuple(value for value in heads.values if dim % value == 0))
    if isinstance(width, Range):
        together = math.lcm(*heads.values) if isinstance(heads, Choices) else num_heads
        step = math.lcm(together, int(width.step or 1))
        low, high = -(-int(width.low) // together) * together, int(width.high) // together * together
        step = step if low + step <= high else together
        space[DIM] = Range(low, low + (high - low) // step * step, step=step)
