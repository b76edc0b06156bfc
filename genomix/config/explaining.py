"""What is wrong with a configuration, in sentences that name the key and the mend."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic import ValidationError

from genomix.config.encoders import ENCODER_SECTIONS
from genomix.config.presets import PRESETS
from genomix.config.schema import Config, Section

_TAGS = {"network", "kmer", *ENCODER_SECTIONS}
"""Which of several sections a problem lies in; pydantic puts this between the keys."""
_LIKENESS_ELSEWHERE = 0.8
"""How like a key must be to one of another section, of 1; there are many."""
_NAMED = 4
"""Sections that are listed where many have a key."""


def explain(error: ValidationError) -> Iterator[str]:
    """Yield a sentence for each problem that was found in a configuration."""
    for problem in error.errors(include_url=False):
        place = [str(part) for part in problem["loc"] if part not in _TAGS]
        key, value = ".".join(place), problem["input"]
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "union_tag_invalid":
            tags = problem.get("ctx", {})
            known = [tag.strip("' ") for tag in tags["expected_tags"].split(",")]
            yield f"{key}.{_tag_key(place)}: {tags['tag']!r} is not known{_meant(tags['tag'], known, place)}"
        elif problem["type"] == "extra_forbidden":
            *above, last = problem["loc"]
            place = [str(part) for part in above if part not in _TAGS] + [str(last)]
            yield f"{'.'.join(place)}: there is no such key; {_say_where(above, place)}"
        elif place and place[-1] == "encoder" and isinstance(value, str):
            yield f"{key}: write {key}.name={value}"
        elif not isinstance(value, Mapping):
            yield f"{key}: {message} (found {value!r})"
        else:
            # a check of a whole section begins with the key to mend, if it is one
            yield f"{key}.{message}" if re.match(r"\w+: ", message) else f"{key}: {message}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for what is most like a name, nothing where nothing is.

    Case does not count. A name is like what it is the beginning of, or the initials of (`lr` of `learning_rate`).
    """
    near = _find_nearest(name, known)
    return f"; did you mean {near!r}?" if near else ""


def _find_nearest(name: str, known: Iterable[str], least_likeness: float = 0.6) -> str | None:
    lower = name.lower()
    names = {one.lower(): one for one in known}
    begun = [one for one in names if lower and one.startswith(lower)]
    short = [one for one in names if "".join(word[:1] for word in re.split("[-_]", one)) == lower]
    found = [lower] if lower in names else difflib.get_close_matches(lower, names, 1, least_likeness) or begun or short
    return names[found[0]] if found else None


def _meant(name: str, known: list[str], place: list[str]) -> str:
    if place[-1] == "encoder" and name in PRESETS:
        return f": {name} is a preset: --model {name}"
    return f"{nearest(name, known)}; known: {', '.join(known)}"


def _say_where(loc: list[Any], place: list[str]) -> str:
    """Say where a key that is not known at a place belongs, and which keys are known there."""
    last = place[-1]
    known = _known_keys(Config, loc)
    there = f"keys here: {', '.join(known)}"
    keys = _all_keys(Config)
    owners = keys.get(".".join(place), [])
    if owners and loc[-1] in _TAGS:
        rest = f" and {len(owners) - _NAMED} more" if len(owners) > _NAMED else ""
        return f"{last} belongs to {', '.join(owners[:_NAMED])}{rest}; {loc[-1]} has: {', '.join(known)}"
    same = [key for key in keys if key.rpartition(".")[2] == last.lower()]
    here = None if same and last.lower() not in known else _find_nearest(last, known)
    if here:
        return f"did you mean {here!r}?; {there}"
    if not same:
        elsewhere = _find_nearest(last, {key.rpartition(".")[2] for key in keys}, _LIKENESS_ELSEWHERE)
        same = [key for key in keys if key.rpartition(".")[2] == elsewhere]
    meant = " or ".join(map(repr, same))
    return f"did you mean {meant}?; {there}" if meant else there


def _all_keys(section: type[Section], above: str = "", owner: str = "") -> dict[str, list[str]]:
    """Return the dotted keys of all sections, each with the names of those of several sections that have it."""
    found: dict[str, list[str]] = {}
    for name, field in section.model_fields.items():
        found.setdefault(above + name, []).append(owner)
        inner = _sections_of(field.annotation)
        for one in inner:
            tag = str(one.model_fields[_tag_key([name])].default) if len(inner) > 1 else owner
            for key, owners in _all_keys(one, f"{above}{name}.", tag).items():
                found.setdefault(key, []).extend(owners)
    return found


def _tag_key(place: list[Any]) -> str:
    """Return the key that says which of several sections stands at a place."""
    return "name" if place[-1] == "encoder" else "kind"


def _known_keys(section: type[Section], place: list[Any]) -> list[str]:
    if not place:
        return list(section.model_fields)
    head, *rest = place
    inner = _sections_of(section.model_fields[head].annotation) if head in section.model_fields else []
    if len(inner) > 1 and rest:
        tag, *rest = rest
        inner = [one for one in inner if one.model_fields[_tag_key([head])].default == tag]
    return _known_keys(inner[0], rest) if inner else []


def _sections_of(annotation: Any) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections_of(part)]
