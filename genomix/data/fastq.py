"""Reading FASTQ; the qualities are checked for their length and ignored."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO, cast

from Bio.SeqIO.QualityIO import FastqGeneralIterator

from genomix.data.entries import Entry, FormError
from genomix.data.letters import Letters


class _Lines:
    """The lines of a FASTQ file from the first that is not blank, and where in it the parser is.

    Attributes:
        number: The line read last, from 1; whenever the parser has yielded an entry, the header of the next.
        last: Its text.
    """

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.number = 0
        self.last = ""
        next(line for line in self if line.strip())

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.last = next(self._text)
        self.number += 1
        return self.last

    def readline(self) -> str:
        """Return the first line, with which the parser begins."""
        return self.last

    def read(self, _size: int) -> str:
        """Return nothing, by which the parser knows a text file."""
        return ""


def read_fastq(stream: io.BufferedReader) -> Iterator[Entry]:
    """Yield the entries of a FASTQ stream, of four lines each or wrapped.

    Raises:
        FormError: An entry is cut short or damaged.
    """
    text = io.TextIOWrapper(stream, encoding="latin-1")  # every byte has its letter: nothing can fail here
    lines = _Lines(text)
    entries = FastqGeneralIterator(cast(IO[str], lines))
    while True:
        line, words = lines.number, lines.last[1:].split(None, 1)
        try:
            header, sequence, _ = next(entries)
        except StopIteration:
            break
        except ValueError as error:
            finding = str(error).rstrip(".")
            name = f'"{words[0]}"' if words else "without a name"
            raise FormError(line, f"record {name}: {finding}; the file is cut short or damaged") from None
        letters = Letters()
        letters.add(sequence.encode("latin-1"), line + 1)
        yield Entry(header.encode("latin-1").strip(), line, letters)
