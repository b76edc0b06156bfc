"""What the scripts of this folder train: presets and configuration files, with changes to them, under names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from genomix.config import PRESETS, Config, make_config, parse_assignment
from genomix.errors import UsageError

SYNTAX = "PRESET, FILE.yaml, or 'NAME=PRESET-OR-FILE KEY=VALUE ...'"
NO_LIMIT = 1_000_000
"""Epochs that no run reaches: where a budget is to end it and nothing else."""


@dataclass(frozen=True)
class Candidate:
    """What is trained, under the name it has in tables: a preset or a configuration file, and changes to it."""

    name: str
    source: str
    assignments: tuple[str, ...] = ()

    @property
    def arguments(self) -> list[str]:
        """Return what tells `genomix train` of it."""
        named = ["--model" if self.source in PRESETS else "--config", self.source]
        return named + [part for text in self.assignments for part in ("--set", text)]

    @cached_property
    def config(self) -> Config:
        """The configuration as it is asked for.

        Raises:
            UsageError, NoInputError: If there is no such preset or file, or it cannot be changed so.
        """
        preset, path = (self.source, None) if self.source in PRESETS else (None, self.source)
        return make_config(preset, path, dict(map(parse_assignment, self.assignments)))


def file_name(text: str) -> str:
    """Return a name as one of a file: what is not a letter, a digit or one of `+-.` becomes `_`."""
    return re.sub(r"[^\w.+-]+", "_", text)


def parse_candidates(texts: Sequence[str]) -> list[Candidate]:
    """Read what is to be trained: `PRESET`, `FILE.yaml`, or `NAME=PRESET-OR-FILE KEY=VALUE ...`.

    Raises:
        UsageError, NoInputError: If one is unknown, does not read, or has the name of another.
    """
    found: dict[str, Candidate] = {}
    for text in texts:
        name, named, rest = text.partition("=")
        source, *assignments = rest.split() if named else [text]
        candidate = Candidate(name if named else Path(text).stem, source, tuple(assignments))
        if candidate.source not in PRESETS and not Path(candidate.source).is_file():
            raise UsageError(f"{text!r}: {candidate.source} is neither a preset (genomix models) nor a file")
        _ = candidate.config
        if file_name(candidate.name) in found:
            raise UsageError(f"{text!r}: two models are called {candidate.name}; name one: OTHER={candidate.source}")
        found[file_name(candidate.name)] = candidate
    return list(found.values())
