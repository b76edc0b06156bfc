"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["ok", "warning", "broken"]
GIB = 1 << 30


@dataclass
class Finding:
    """What was found.

    Attributes:
        name: What was looked at.
        status: `ok`; `warning`, what works but slowly or not for long; `broken`, what does not work.
        text: What was found, in a few words.
        mend: What to do about it; empty where nothing is to be done.
        figures: The same for programs.
    """

    name: str
    status: Status
    text: str
    mend: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
