"""What a check says, and the file of all of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from genomix.errors import DataError, NoInputError
from genomix.files import write_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from genomix.data.checks.held_out import HeldOut

Status = Literal["PASS", "WARN", "FAIL"]
STATUSES: tuple[Status, ...] = get_args(Status)
"""From good to bad."""


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: What was looked at, such as `near_duplicates`.
        status: PASS; WARN, where results may be flattered or uncertain; FAIL, where they would mean something else.
        sentence: What was found, with figures, and what to do about it.
        figures: The same and more for programs: numbers, texts, lists and dicts of them, and None, as JSON takes them.
    """

    name: str
    status: Status
    sentence: str
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass
class Checks:
    """What `run_checks` found.

    Attributes:
        checks: In the order in which they are shown.
        summary: `all`, `classes` and `splits`: records, bases, lengths, GC and N; see `summarise`.
        settings: `fast`, `similarity` and `seed`.
        seconds: That each step took, by its name.
        held_out: What is known of the held-out records, where there are splits; it has a file of its own.
    """

    checks: list[Check]
    summary: dict[str, Any]
    settings: dict[str, Any]
    seconds: dict[str, float]
    held_out: HeldOut | None = None

    @property
    def worst(self) -> Status:
        """The worst status of all."""
        return worst(check.status for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON takes; all but the held-out records."""
        return {
            "status": self.worst,
            "checks": [vars(check) for check in self.checks],
            "summary": self.summary,
            "settings": self.settings,
            "seconds": {name: round(seconds, 3) for name, seconds in self.seconds.items()},
        }


def worst(statuses: Iterable[Status]) -> Status:
    """Return the worst of statuses; PASS where there is none."""
    return STATUSES[max(map(STATUSES.index, statuses), default=0)]


def write_checks(path: str | Path, checks: Checks) -> None:
    """Write the checks as JSON, whole or not at all.

    Raises:
        CannotWriteError: If the file cannot be written.
    """
    write_text(path, json.dumps(checks.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_checks(path: str | Path) -> Checks:
    """Read what `write_checks` wrote.

    Raises:
        NoInputError: If the file is missing or unreadable.
        DataError: If it holds something else.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        checks = [Check(**entry) for entry in content["checks"]]
        if not all(check.status in STATUSES for check in checks):
            raise ValueError
        return Checks(checks, content["summary"], content["settings"], content["seconds"])
    except OSError as error:
        raise NoInputError(
            f"{path}: cannot be read ({error.strerror}); name a file that genomix check -o wrote"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: holds no checks; write it anew with genomix check -o") from error
