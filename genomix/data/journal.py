"""The journal of an unfinished table: a directory beside it with the parts that are finished."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from genomix.data.cache import remove
from genomix.data.parts import Part, differences, is_whole, read_part, record_path
from genomix.errors import CannotWriteError, DataError, UsageError
from genomix.files import new_directory

SUFFIX = ".partial"
MOST_PARTS = 256


@dataclass
class Journal:
    """Keeps the finished parts of one table.

    Attributes:
        output: The table.
        blank: What is to be known of every part; its `number` and what is counted in it are each part's own.
    """

    output: Path
    blank: Part

    @property
    def directory(self) -> Path:
        """Where the parts are."""
        return self.output.with_name(self.output.name + SUFFIX)

    def table(self, number: int) -> Path:
        """Return the table of a part."""
        return self.directory / f"part-{number:04d}{''.join(self.output.suffixes[-2:])}"

    def open(self, *, resume: bool, force: bool) -> dict[int, Part]:
        """Make the directory, and return the parts that are finished by their numbers.

        Args:
            resume: Go on with what is there.
            force: Remove what is there if it is not to be resumed, or cannot be.

        Raises:
            CannotWriteError: If there is an unfinished prediction, and neither is asked for; or no place for one.
            UsageError: If what is there is not part of this table; the differences are named.
        """
        found = self._read()
        other = next((part for part in found.values() if differences(part, self.blank)), None)
        if found and not resume and not force:
            raise CannotWriteError(
                f"{self.directory}: holds {len(found)} of {self.blank.count} parts of an unfinished prediction; go on "
                "with it by --resume, or start afresh by --force"
            )
        if other is not None and not force:
            raise UsageError(
                f"{self.directory}: cannot resume, the parts in it were not made by this command:\n"
                + "\n".join(differences(other, self.blank))
                + f"\nrepeat the command that began it, or start afresh by --force, which removes {self.directory}"
            )
        if other is not None or not resume:
            remove(self.directory)
            found = {}
        new_directory(self.directory, force=True)
        return {number: part for number, part in found.items() if is_whole(self.table(number), part)}

    def close(self, *, keep: bool = False) -> bool:
        """Remove the directory, but not finished parts that are to be kept; say whether there are such."""
        keep = keep and bool(self._read())
        if not keep:
            remove(self.directory)
        return keep

    def _read(self) -> dict[int, Part]:
        parts: dict[int, Part] = {}
        for number in range(1, self.blank.count + 1) if self.directory.is_dir() else ():
            with contextlib.suppress(DataError):
                parts[number] = read_part(record_path(self.table(number)))
        return parts
