"""Values of a configuration by their dotted keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from genomix.config import Config
from genomix.config.explaining import explain
from genomix.errors import UsageError


def value_at(config: Config, key: str) -> Any:
    """Return what a configuration has at a key, lists as tuples; None where there is nothing."""
    found: Any = config.model_dump()
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return tuple(found) if isinstance(found, list) else found


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """Return a configuration with these values in place of its own.

    Raises:
        UsageError: If it would not be valid; all that is wrong at once.
    """
    try:
        return Config.model_validate(_tree_with(config, values))
    except ValidationError as error:
        raise UsageError("\n".join(explain(error))) from error


def tell_unknown(config: Config, key: str) -> str | None:
    """Return what is wrong with a key that the sections of a configuration do not have; None for one they have."""
    try:
        Config.model_validate(_tree_with(config, {key: None}))
    except UsageError as error:
        return str(error)
    except ValidationError as error:
        if any(problem["type"] == "extra_forbidden" for problem in error.errors()):
            return "\n".join(explain(error))
    return None


def _tree_with(config: Config, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration as a tree that has these values; raises a UsageError if one is to lie in another."""
    tree = config.model_dump(mode="json")
    for key, value in values.items():
        *sections, name = key.split(".")
        place: Any = tree
        for section in sections:
            place[section] = place.get(section) or {}
            place = place[section]
            if not isinstance(place, dict):
                raise UsageError(f"{key}: there is no such key; {section} is a value, not a section")
        place[name] = value
    return tree


def differences(before: Config, after: Config) -> dict[str, tuple[Any, Any]]:
    """Return the values at each key that two configurations do not share."""
    one, other = _flatten(before.model_dump()), _flatten(after.model_dump())
    keys = [key for key in dict.fromkeys([*one, *other]) if one.get(key) != other.get(key)]
    return {key: (one.get(key), other.get(key)) for key in keys}


def _flatten(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flatten(value, f"{above}{key}.") if isinstance(value, Mapping) else {f"{above}{key}": value}
    return flat
