"""Reading FASTA in large blocks."""

from __future__ import annotations

import io
from collections.abc import Iterator

from genomix.data.entries import Entry, FormError
from genomix.data.letters import Letters, count_byte

BLOCK = 1 << 18
LONGEST_HEADER = 1 << 20

_OLD_MAC = "its lines end in a carriage return alone (old Mac); convert it, e.g. with tr '\\r' '\\n'"


class _OpenEntry:
    """The entry being read, of which any part may still be missing."""

    __slots__ = ("header", "header_ended", "letters", "line")

    def __init__(self, line: int) -> None:
        self.line = line
        self.header = b""
        self.header_ended = False
        self.letters = Letters()

    def feed(self, piece: bytes, line: int) -> None:
        """Add what comes next in the file, from this line on."""
        if self.header_ended:
            self.letters.add(piece, line)
            return
        end = piece.find(b"\n")
        self.header_ended = end >= 0
        self.header += piece[:end] if self.header_ended else piece
        if self.header_ended:
            self.letters.add(piece[end:], line)
        elif len(self.header) > LONGEST_HEADER:
            self.close()
            raise FormError(
                self.line, f"a header of over {LONGEST_HEADER:,} letters; is a line break missing after it?"
            )

    def close(self) -> Entry:
        """Return the entry, as nothing more belongs to it."""
        header = self.header.strip()
        if b"\r" in header:
            raise FormError(self.line, _OLD_MAC)
        return Entry(header, self.line, self.letters)


def read_fasta(stream: io.BufferedReader) -> Iterator[Entry]:
    """Yield the entries of a FASTA stream whose first letter that is not blank is `>`.

    Memory is bounded by the longest entry and a block, whether its sequence has line breaks or not.

    Raises:
        FormError: A header never ends, or lines end in a carriage return alone.
    """
    entry: _OpenEntry | None = None
    held = b"\n"  # a line break at the end of a block waits to see whether a header follows; one stands before the file
    line = 0
    while block := stream.read(BLOCK):
        data = held + block
        held = b"\n" if data.endswith(b"\n") else b""
        first, *others = _split_at_headers(data[:-1] if held else data)
        if entry is not None:
            entry.feed(first, line)
        elif first.strip():
            raise FormError(line + 1, "there is text before the first header; remove it")
        line += count_byte(first, "\n")
        for piece in others:
            if entry is not None:
                yield entry.close()
            entry = _OpenEntry(line)
            entry.feed(piece, line)
            line += count_byte(piece, "\n")
    if entry is not None:
        yield entry.close()


def _split_at_headers(data: bytes) -> list[bytes]:
    """Split before each `>` that begins a line, and drop it."""
    pieces = data.split(b">")  # one letter is found by memchr, twenty times as fast as two
    if all(piece.endswith(b"\n") for piece in pieces[:-1]):
        return pieces
    *pieces, last = data.split(b"\n>")
    return [*(piece + b"\n" for piece in pieces), last]
