"""Sequences to be read in windows: as a stream of files, or by random access where there is a good index."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from genomix.data.records import OnInvalid, ReadReport, read_records
from genomix.errors import DataError, NoInputError, Problems


class Readable(NamedTuple):
    """One sequence.

    Attributes:
        name: Its id.
        length: In bp.
        read: Returns the tokens (N,) uint8 from a start to an end.
    """

    name: str
    length: int
    read: Callable[[int, int], np.ndarray]


class Genome(Protocol):
    """Where sequences come from.

    Attributes:
        report: What was mapped or left out on the way.
    """

    report: ReadReport

    def survey(self, regions: Mapping[str, np.ndarray] | None, problems: Problems) -> dict[str, int]:
        """Find what is wrong with the sequences, or with these regions of them, and return all lengths in bp."""
        ...

    def sequences(self) -> Iterator[Readable]:
        """Yield the sequences in order."""
        ...


@dataclass
class StreamedGenome:
    """Sequences of files that are read from their beginning, holding one sequence at a time.

    Attributes:
        files: As `expand_inputs` returns them.
        on_invalid: What becomes of sequences with letters that are no nucleotide codes.
        report: What was mapped or left out when they were last read.
    """

    files: Sequence[str]
    on_invalid: OnInvalid
    report: ReadReport = field(default_factory=ReadReport)

    def survey(self, regions: Mapping[str, np.ndarray] | None, problems: Problems) -> dict[str, int]:
        """Read all files for what is wrong with them, and return the lengths of the sequences in bp."""
        del regions
        return {sequence.name: sequence.length for sequence in self._read(problems)}

    def sequences(self) -> Iterator[Readable]:
        """Yield the sequences in order.

        Raises:
            DataError: If one is bad, or has the name of another.
            NoInputError: If there is none.
        """
        yield from self._read(None)

    def _read(self, problems: Problems | None) -> Iterator[Readable]:
        self.report = ReadReport()
        first: dict[str, str] = {}
        stream = read_records(self.files, on_invalid=self.on_invalid, problems=problems, report=self.report)
        for record in stream:
            place = f"{record.source}:{record.line}"
            if record.problem is not None:
                continue
            if other := first.get(record.id):
                message = f"{place}: record {record.id!r} has the name of that at {other}; a track needs each name once"
                if problems is None:
                    raise DataError(message)
                problems.add(message)
                continue
            first[record.id] = place
            tokens = record.tokens
            yield Readable(record.id, len(tokens), lambda start, end, tokens=tokens: tokens[start:end])
        if not first and not (problems and problems.total):
            raise NoInputError(f"{', '.join(self.files)}: no sequences in it")
