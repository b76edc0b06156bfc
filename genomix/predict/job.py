"""Some files and how their records are scored: chunk after chunk, into tables."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from genomix.data.predictions import ABSTAINED, PredictionRow, PredictionWriter
from genomix.data.records import OnInvalid, ReadReport, Record, read_records
from genomix.data.shards import ChunkSize, cut
from genomix.errors import NoInputError, Problems
from genomix.scoring import BATCHES_AHEAD, Answers, AnyScorer

ROWS_AT_ONCE = 256
FILLS = 2
"""Times that one strand of a chunk fills what a scorer holds back."""


@dataclass
class Summary:
    """What a prediction went through.

    Attributes:
        num_records: Rows written.
        num_bases: Bases read.
        labels: Records by predicted label; those without one are not among them.
        statuses: Rows by status.
        report: What the readers counted, in all of the input where only a shard of it is predicted.
    """

    num_records: int = 0
    num_bases: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    report: ReadReport = field(default_factory=ReadReport)


class Survey(NamedTuple):
    """What a first reading of the input found.

    Attributes:
        num_chunks: How many chunks it has.
        sha256: Of the records, however the files are compressed.
    """

    num_chunks: int
    sha256: str


@dataclass
class Job:
    """Some files, and how their records are scored."""

    scorer: AnyScorer
    answers: Answers
    files: list[str]
    on_invalid: OnInvalid

    def survey(self, report: ReadReport) -> Survey:
        """Read the files once for what is wrong with them, and for what is to be known of them.

        Raises:
            DataError: If the data are bad, all problems at once.
            NoInputError: If there is no record.
        """
        problems = Problems()
        digest = hashlib.sha256()
        num_chunks = 0
        for chunk in cut(self._read(report, problems), self._size):
            num_chunks += 1
            for record in chunk:
                digest.update(f"{record.id}\0{len(record.tokens)}\0{record.problem or ''}\0".encode())
                digest.update(record.tokens.data)
        problems.raise_if_any()
        return Survey(num_chunks, digest.hexdigest())

    def chunks(self, report: ReadReport) -> Iterator[tuple[int, Iterator[Record]]]:
        """Yield the number, from 0, and the records of each chunk.

        Raises:
            NoInputError: If there is no record.
        """
        return enumerate(cut(self._read(report, None), self._size))

    def write(self, chunks: Iterable[Iterator[Record]], path: str | Path, summary: Summary, *, force: bool) -> None:
        """Write the table of some chunks, and count what is in it."""
        scorer, answers = self.scorer, self.answers
        deviations = len(scorer.members) > 1
        table = PredictionWriter(path, scorer.classes, force=force, deviations=deviations, label_sets=answers.has_sets)
        with table:
            for chunk in chunks:
                rows = map(answers.complete, scorer.predict(_counted(chunk, summary)))
                while some := list(islice(rows, ROWS_AT_ONCE)):
                    table.write(some)
                    _count(some, scorer.classes, summary)

    @property
    def _size(self) -> ChunkSize:
        return ChunkSize(FILLS * BATCHES_AHEAD * max(member.batch_bases for member in self.scorer.members))

    def _read(self, report: ReadReport, problems: Problems | None) -> Iterator[Record]:
        is_empty = True
        for record in read_records(self.files, on_invalid=self.on_invalid, report=report, problems=problems):
            is_empty = False
            yield record
        if is_empty and not (problems and problems.total):
            raise NoInputError(f"{', '.join(self.files)}: no records in it")


def _counted(records: Iterator[Record], summary: Summary) -> Iterator[Record]:
    for record in records:
        summary.num_bases += len(record.tokens)
        yield record


def _count(rows: Sequence[PredictionRow], classes: Sequence[str], summary: Summary) -> None:
    summary.num_records += len(rows)
    for row in rows:
        summary.statuses.update(row.statuses)
        if row.probabilities is not None and ABSTAINED not in row.statuses:
            best = max(range(len(classes)), key=row.probabilities.__getitem__)
            summary.labels[classes[best] if row.label is None else row.label] += 1
