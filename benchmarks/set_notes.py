"""What must be said of a set wherever a figure of it stands: set_notes.yaml has a sentence for each that needs one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import yaml


def notes_on(names: Iterable[str]) -> str:
    """Return what must be said of some sets, in their order; nothing where there is nothing to say."""
    notes = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    return " ".join(f"{name}: {notes[name]}" for name in dict.fromkeys(names) if name in notes)
