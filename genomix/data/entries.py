"""What every reader of a format yields, before it is judged."""

from __future__ import annotations

from typing import NamedTuple

from genomix.data.letters import Letters


class Entry(NamedTuple):
    """One entry of a file as it stands there.

    Attributes:
        header: Its header as bytes, without the leading `>` or `@`.
        line: The line of the header, from 1.
        letters: Its sequence.
        has_own_id: False if the file gives no id and the reader made one up.
        flaw: What is wrong with its form, if anything.
    """

    header: bytes
    line: int
    letters: Letters
    has_own_id: bool = True
    flaw: str | None = None


class FormError(Exception):
    """A file breaks the form of its format so that reading cannot go on.

    Attributes:
        line: Where, from 1.
    """

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
