"""Records of DNA from FASTA, FASTQ and tables: one way to read them all, and one judge of what is wrong with them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from genomix.data.compression import display_name, open_input
from genomix.data.entries import Entry, FormError
from genomix.data.fasta import read_fasta
from genomix.data.fastq import read_fastq
from genomix.data.inputs import expand_inputs
from genomix.data.letters import GAPS
from genomix.data.tables import read_sequence_table, split_header
from genomix.errors import DataError, NoInputError, Problems

__all__ = ["OnInvalid", "ReadReport", "Record", "expand_inputs", "read_records", "read_stream", "sniff_format"]

OnInvalid = Literal["error", "skip", "mask"]
Format = Literal["fasta", "fastq", "table"]

_READERS: dict[Format, Callable[[io.BufferedReader], Iterator[Entry]]] = {
    "fasta": read_fasta,
    "fastq": read_fastq,
    "table": read_sequence_table,
}
_NO_TOKENS = np.empty(0, np.uint8)
_LEAVE_OUT = "use --on-invalid skip to leave such records out"


@dataclass(slots=True)
class Record:
    """One entry of a sequence file.

    Attributes:
        id: The header up to the first blank.
        header: The header without `>` or `@`.
        tokens: (N,) uint8, read-only; empty if there is a `problem`.
        source: The file as the user named it.
        line: The line of the header in it, from 1.
        num_masked: Lower-case letters.
        num_ambiguous: IUPAC codes of more than one base other than N, read as N.
        num_uracil: U, read as T.
        num_invalid: Letters that are no nucleotide codes, read as N because the user asked for it.
        problem: Why the record cannot be used, in a few words.
    """

    id: str
    header: str
    tokens: np.ndarray
    source: str
    line: int
    num_masked: int = 0
    num_ambiguous: int = 0
    num_uracil: int = 0
    num_invalid: int = 0
    problem: str | None = None


@dataclass
class ReadReport:
    """What was read, and what was mapped or left out on the way. Files are named as the user did."""

    files: list[str] = field(default_factory=list)
    num_records: int = 0
    num_bases: int = 0
    num_masked: int = 0
    num_ambiguous: int = 0
    num_uracil: int = 0
    num_invalid_masked: int = 0
    num_skipped: int = 0
    num_made_up_ids: int = 0
    num_not_utf8: int = 0

    def count(self, record: Record) -> None:
        """Add a record that was read whole."""
        self.num_records += 1
        self.num_bases += len(record.tokens)
        self.num_masked += record.num_masked
        self.num_ambiguous += record.num_ambiguous
        self.num_uracil += record.num_uracil
        self.num_invalid_masked += record.num_invalid

    def warnings(self) -> list[str]:
        """Return one sentence for each thing the user should know."""
        sentences = {
            "{:,} of {bases:,} letters are lower case (soft-masked) and read as their upper case": self.num_masked,
            "{:,} letters U are read as T": self.num_uracil,
            "{:,} ambiguity codes (R, Y, S, ...) are read as N": self.num_ambiguous,
            "{:,} letters that are no nucleotide codes are read as N (--on-invalid mask)": self.num_invalid_masked,
            "{:,} records with invalid letters or no sequence are left out (--on-invalid skip)": self.num_skipped,
            "{:,} rows of a table have no id and are called row_1, row_2, ...": self.num_made_up_ids,
            "{:,} headers are not UTF-8 and read as Latin-1": self.num_not_utf8,
        }
        return [text.format(number, bases=self.num_bases) for text, number in sentences.items() if number]


def read_records(
    paths: Sequence[str],
    *,
    on_invalid: OnInvalid = "error",
    problems: Problems | None = None,
    report: ReadReport | None = None,
) -> Iterator[Record]:
    """Yield the records of files in order, holding one at a time.

    Args:
        paths: Files as `expand_inputs` returns them.
        on_invalid: What becomes of a record with invalid letters: "error", "skip" (it is yielded without tokens and
            with its `problem`, as are records without sequence or id) or "mask" (they are read as N).
        problems: Collects bad records, which are then not yielded; without it the first one raises.
        report: Is told what was read.

    Raises:
        NoInputError: A file cannot be read or is empty.
        DataError: A file is damaged or no sequence file; or a bad record, if there is no `problems`.
    """
    for path in paths:
        with open_input(path) as stream:
            yield from read_stream(
                stream, display_name(path), on_invalid=on_invalid, problems=problems, report=report or ReadReport()
            )


def read_stream(
    stream: io.BufferedReader, source: str, *, on_invalid: OnInvalid, problems: Problems | None, report: ReadReport
) -> Iterator[Record]:
    """Yield the records of one open file; see `read_records`."""
    file_format = sniff_format(stream, source)
    report.files.append(source)
    num_good = num_protein = 0
    try:
        for entry in _READERS[file_format](stream):
            record = _to_record(entry, source, report)
            fault = _find_fault(entry, record, on_invalid)
            if record.num_invalid and entry.letters.looks_like_protein():
                num_protein += 1
                if num_protein > num_good:
                    raise FormError(entry.line, _protein(record, entry))
            if fault is None:
                num_good += 1
                report.count(record)
                yield record
            elif on_invalid == "skip":
                report.num_skipped += 1
                record.tokens = _NO_TOKENS
                record.problem = fault.summary
                yield record
            else:
                _complain(f"{source}:{fault.line}: record {_quoted(record)}: {fault.message}", problems)
    except FormError as error:
        _complain(f"{source}:{error.line}: {error}", problems)


def sniff_format(stream: io.BufferedReader, source: str) -> Format:
    """Say from its first letters what format an open file has, without consuming them.

    Raises:
        NoInputError: There is nothing in it.
        DataError: It has none of the known formats.
    """
    peeked: bytes = stream.peek(1)
    start = peeked.lstrip()
    if not start:
        raise NoInputError(f"{source}: is empty; give a file with sequences")
    if start.startswith((b">", b"@")):
        return "fasta" if start.startswith(b">") else "fastq"
    first_line = start.splitlines()[0]
    if "sequence" in split_header(first_line):
        return "table"
    if peeked.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{source}: is UTF-16 text; save it as UTF-8")
    shown = first_line[:40].decode("latin-1")
    raise DataError(
        f'{source}: is neither FASTA (begins with ">"), FASTQ ("@") nor a table with a column "sequence";'
        f" it begins with {shown!r}; give a file of one of these formats"
    )


class _Fault(NamedTuple):
    """What is wrong with a record: in a few words, where, and whole with its mend."""

    summary: str
    line: int
    message: str


def _find_fault(entry: Entry, record: Record, on_invalid: OnInvalid) -> _Fault | None:
    letters = entry.letters
    if entry.flaw:
        return _Fault(entry.flaw, entry.line, f"has {entry.flaw}; mend the row or {_LEAVE_OUT}")
    if not record.id:
        return _Fault("no id", entry.line, f"has no id; give it a name or {_LEAVE_OUT}")
    if not letters.encoded:
        return _Fault("empty", entry.line, f"is empty; give its sequence or {_LEAVE_OUT}")
    if not letters.num_invalid or on_invalid == "mask":
        return None
    summary = f"invalid letter {letters.invalid_letter!r}"
    if letters.invalid_letter in GAPS:
        finding = f"'{letters.invalid_letter}' is a gap; remove alignment gaps first, or {_LEAVE_OUT}"
    else:
        finding = f"{letters.invalid_letter!r} is not a nucleotide code; {_LEAVE_OUT}"
    return _Fault(summary, letters.invalid_line, finding)


def _to_record(entry: Entry, source: str, report: ReadReport) -> Record:
    words = entry.header.split(None, 1)
    report.num_made_up_ids += not entry.has_own_id
    try:
        encoding = "utf-8"
        header = entry.header.decode(encoding)
    except UnicodeDecodeError:
        encoding = "latin-1"
        header = entry.header.decode(encoding)
        report.num_not_utf8 += 1
    letters = entry.letters
    id_ = words[0].decode(encoding) if words else ""
    tokens, masked, ambiguous = letters.tokens(), letters.num_masked, letters.num_ambiguous
    return Record(id_, header, tokens, source, entry.line, masked, ambiguous, letters.num_uracil, letters.num_invalid)


def _protein(record: Record, entry: Entry) -> str:
    percent = 100 * entry.letters.num_protein / len(entry.letters.encoded)
    return (
        f"the file looks like protein: {percent:.0f} % of the letters of record {_quoted(record)} are E, F, I, L, P"
        " or Q, which are no nucleotide codes; give DNA or RNA"
    )


def _quoted(record: Record) -> str:
    return f'"{record.id}"' if record.id else "without a name"


def _complain(message: str, problems: Problems | None) -> None:
    if problems is None:
        raise DataError(message)
    problems.add(message)
