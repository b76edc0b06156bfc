"""Every error a user may meet: one class, one exit code each, caught once in the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

SHOWN = 10


class GenomixError(Exception):
    """Something the user can mend; its text names the place, what was found and the mend."""

    exit_code: ClassVar[int] = 1


class UsageError(GenomixError):
    """The command or its configuration asks for something impossible."""

    exit_code = 2


class TrainingFailedError(UsageError):
    """A training came to no good, in all processes alike if there are several."""


class DataError(GenomixError):
    """The data are not what they should be."""

    exit_code = 65


class NoInputError(GenomixError):
    """An input does not exist, cannot be read or is empty."""

    exit_code = 66


class CannotWriteError(GenomixError):
    """An output cannot be written, or would overwrite something."""

    exit_code = 73


class PreemptedError(GenomixError):
    """The work was stopped from outside and can be resumed."""

    exit_code = 75


@dataclass
class Problems:
    """Collects what is wrong with some data, so that all of it is reported at once.

    Attributes:
        messages: The first problems, each a whole sentence with place, finding and mend.
        total: How many there were, including those beyond the first.
    """

    messages: list[str] = field(default_factory=list)
    total: int = 0

    def add(self, message: str) -> None:
        """Count one problem, and keep its text if it is among the first."""
        self.total += 1
        if len(self.messages) < SHOWN:
            self.messages.append(message)

    def raise_if_any(self, error: type[GenomixError] = DataError) -> None:
        """Stop if anything was found.

        Raises:
            GenomixError: Of the class given, with the first problems and the count of the others.
        """
        if not self.total:
            return
        lines = list(self.messages)
        if self.total > len(lines):
            lines.append(f"... and {self.total - len(lines)} more problems like these")
        raise error("\n".join(lines))
