"""Which files the user named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from genomix.data.compression import STDIN
from genomix.errors import NoInputError, Problems, UsageError

SUFFIXES = frozenset({".fa", ".fasta", ".fna", ".ffn", ".frn", ".fas", ".fsa", ".fq", ".fastq"})
COMPRESSED_SUFFIXES = frozenset({".gz", ".bgz", ".bgzf", ".bz2", ".xz", ".zst"})


def expand_inputs(paths: Sequence[str], warn: Callable[[str], None]) -> list[str]:
    """Return the files that the user named, those of a directory in the order of their names.

    Args:
        paths: Files, directories and at most one `-`.
        warn: Told how many files of a directory have no suffix of a sequence file.

    Raises:
        NoInputError: Any does not exist, is empty or has no sequence files; all of them at once.
        UsageError: Nothing is named, or the standard input twice.
    """
    if not paths:
        raise UsageError("no sequences are given; name a FASTA, FASTQ or table file, a directory, or - for stdin")
    if Counter(paths)[STDIN] > 1:
        raise UsageError("stdin (-) is given more than once; it can be read only once")
    problems = Problems()
    files: list[str] = []
    for path in paths:
        if path == STDIN:
            files.append(path)
        elif not Path(path).exists():
            problems.add(f"{path}: there is no such file; check the path")
        elif Path(path).is_dir():
            files += _files_of_directory(path, warn, problems)
        elif Path(path).is_file() and not Path(path).stat().st_size:
            problems.add(f"{path}: is empty; give a file with sequences")
        else:
            files.append(path)
    problems.raise_if_any(NoInputError)
    return files


def _files_of_directory(path: str, warn: Callable[[str], None], problems: Problems) -> list[str]:
    entries = sorted(Path(path).iterdir())
    chosen = [str(entry) for entry in entries if entry.is_file() and _has_sequence_suffix(entry)]
    if not chosen:
        problems.add(f"{path}: has no FASTA or FASTQ files (.fa, .fasta, .fna, .fq, ...); name the files themselves")
    elif len(chosen) < len(entries):
        warn(f"{path}: {len(entries) - len(chosen)} entries without the suffix of a FASTA or FASTQ file are left out")
    return chosen


def _has_sequence_suffix(path: Path) -> bool:
    name = path.with_suffix("") if path.suffix.lower() in COMPRESSED_SUFFIXES else path
    return name.suffix.lower() in SUFFIXES
