"""Random access to a FASTA file by the index that `samtools faidx` or pyfaidx left beside it.

The index is only ever read: nothing is written beside a user's file. It is used if it is not older than the file, and
if the sequences that are wanted begin and end where it says; in any other case the file is read as a stream.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genomix.data.compression import STDIN
from genomix.data.records import OnInvalid, ReadReport
from genomix.data.vocabulary import ENCODING, INVALID, UNKNOWN
from genomix.errors import DataError, Problems
from genomix.tracks.genome import Readable

if TYPE_CHECKING:
    from pyfaidx import Faidx

BLOCK = 1 << 20
_TABLE = np.frombuffer(ENCODING, np.uint8)


@dataclass
class IndexedGenome:
    """Sequences of a FASTA file, plain or of bgzip, with an index.

    Attributes:
        path: The file.
        index: The index, open.
        on_invalid: What becomes of letters that are no nucleotide codes; `skip` is not possible.
        report: What was read as N.
    """

    path: str
    index: Faidx
    on_invalid: OnInvalid
    report: ReadReport = field(default_factory=ReadReport)

    def survey(self, regions: Mapping[str, np.ndarray] | None, problems: Problems) -> dict[str, int]:
        """Read some regions for what is wrong with them, and return the lengths of all sequences in bp."""
        sizes = {name: entry.rlen for name, entry in self.index.index.items()}
        for name, intervals in (regions or {}).items():
            for start, end in intervals.tolist() if name in sizes else []:
                for first in range(start, min(end, sizes[name]), BLOCK):
                    try:
                        self._read(name, first, min(end, first + BLOCK, sizes[name]))
                    except DataError as error:
                        problems.add(str(error))
                        break
        return sizes

    def sequences(self) -> Iterator[Readable]:
        """Yield the sequences in order; their bases are read when they are asked for."""
        for name, entry in self.index.index.items():
            yield Readable(name, entry.rlen, lambda start, end, name=name: self._read(name, start, end))

    def _read(self, name: str, start: int, end: int) -> np.ndarray:
        try:
            letters = np.frombuffer(str(self.index.from_file(name, start + 1, end)).encode("latin-1"), np.uint8)
        except (ValueError, OSError) as error:
            raise DataError(f"{self.path}: record {name!r}: cannot be read at {start}-{end} ({error})") from None
        if len(letters) != end - start:
            raise DataError(
                f"{self.path}: record {name!r}: the index does not fit at {start}-{end}; make it anew: samtools faidx"
            )
        tokens = _TABLE[letters]
        invalid = tokens == INVALID
        if not invalid.any():
            return tokens
        if self.on_invalid == "error":
            place = int(invalid.argmax())
            raise DataError(
                f"{self.path}: record {name!r}: {chr(letters[place])!r} at base {start + place + 1} is not a nucleotide"
                " code; use --on-invalid mask to read such letters as N"
            )
        return np.where(invalid, np.uint8(UNKNOWN), tokens)


def open_indexed(files: list[str], regions: Mapping[str, np.ndarray], on_invalid: OnInvalid) -> IndexedGenome | None:
    """Open a file by its index, if it has one that can be relied on for these regions; else return None."""
    if len(files) != 1 or files[0] == STDIN or on_invalid == "skip":
        return None
    path = Path(files[0])
    packed = path.suffix.lower() in (".gz", ".bgz")
    needed = [path.with_name(path.name + suffix) for suffix in ((".fai", ".gzi") if packed else (".fai",))]
    if not all(file.is_file() and file.stat().st_mtime_ns >= path.stat().st_mtime_ns for file in needed):
        return None
    import pyfaidx

    with contextlib.suppress(Exception):  # whatever it is that the index cannot give, the stream will
        index = pyfaidx.Faidx(str(path), rebuild=False, build_index=False)
        if all(_is_where_it_says(index, name) for name in regions if name in index.index):
            return IndexedGenome(files[0], index, on_invalid)
        index.close()
    return None


def _is_where_it_says(index: Faidx, name: str) -> bool:
    """Say whether a sequence begins right after its header and ends before another, or the end of the file."""
    entry = index.index[name]
    header = index.get_long_name(name).split(maxsplit=1)
    last = str(index.from_file(name, entry.rlen, entry.rlen))
    behind = index.file.read(4)
    text = behind if isinstance(behind, str) else behind.decode("latin-1")
    return header[:1] == [name] and len(last) == 1 and text.strip("\r\n")[:1] in ("", ">")
