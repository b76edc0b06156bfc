"""Prediction: sequences in, one row a record out, in input order and bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from genomix.data.predictions import ABSTAINED, PredictionRow, PredictionWriter
from genomix.data.records import OnInvalid, ReadReport, Record, expand_inputs, read_records
from genomix.errors import NoInputError, Problems
from genomix.scoring import Answers, AnyScorer

ROWS_AT_ONCE = 256


@dataclass
class Summary:
    """What a prediction went through.

    Attributes:
        num_records: Rows written.
        num_bases: Bases read.
        labels: Records by predicted label; those without one are not among them.
        statuses: Rows by status.
        report: What the readers counted.
    """

    num_records: int = 0
    num_bases: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    report: ReadReport = field(default_factory=ReadReport)


def predict(
    scorer: AnyScorer,
    paths: Sequence[str],
    output: str,
    *,
    answers: Answers | None = None,
    on_invalid: OnInvalid = "error",
    force: bool = False,
    warn: Callable[[str], None] = lambda _: None,
) -> Summary:
    """Write the predictions for all records of some files.

    The files are read once before anything is computed, so that bad data are reported at once; stdin and pipes can be
    read only once, and a bad record there stops the prediction where it stands.

    Args:
        scorer: The model or models, and how they are applied.
        paths: Sequence files, directories, or `-` for stdin.
        output: File to write, or `-` for stdout; the format follows the suffix.
        answers: When no label is given, and which sets of labels are; every record gets a label where it is None.
        on_invalid: What to do with records that hold other letters than nucleotide codes.
        force: Replace an existing file.
        warn: Called with each thing worth saying.

    Raises:
        DataError: If the data are bad, all problems at once.
        NoInputError: If an input is missing or there is no record.
        CannotWriteError: If the output exists (without `force`) or cannot be written.
    """
    answers = answers or Answers(scorer.classes)
    writer = PredictionWriter(
        output, scorer.classes, force=force, deviations=len(scorer.members) > 1, label_sets=answers.has_sets
    )
    files = expand_inputs(paths, warn)
    if all(Path(file).is_file() for file in files):
        _check(files, on_invalid)
    summary = Summary()
    records = read_records(files, on_invalid=on_invalid, report=summary.report)
    with writer:
        rows = map(answers.complete, scorer.predict(_counted(records, summary)))
        while part := list(islice(rows, ROWS_AT_ONCE)):
            writer.write(part)
            _count(part, scorer.classes, summary)
        if not summary.num_records:
            raise NoInputError(f"{', '.join(paths)}: no records in it")
    return summary


def _check(files: Sequence[str], on_invalid: OnInvalid) -> None:
    problems = Problems()
    for _ in read_records(files, on_invalid=on_invalid, problems=problems):
        pass
    problems.raise_if_any()


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
