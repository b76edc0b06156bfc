"""Sets of data with official splits, and what training is given of one.

With `judge` "test" that is the set as it is. With "val", which is for choosing, it is a copy without any record of the
test split, and nothing else of the set is named to the training: what is chosen cannot depend on a test record. A test
holds that (tests/benchmarks/test_held_back.py).
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from candidates import Candidate, file_name
from runs import Data, Run

from genomix.data.compression import open_input
from genomix.data.labels import LabelRow, read_labels
from genomix.errors import DataError, NoInputError, Problems
from genomix.files import atomic_path, write_text

JUDGES = ("test", "val")
SEQUENCES = ("data.fa.gz", "data.fa")
LABELS = "labels.tsv"


@dataclass(frozen=True)
class DataSet:
    """A set, and what training is given of it.

    Attributes:
        name: Of its folder.
        data: What training is given.
        folder: Where the runs on it lie.
    """

    name: str
    data: Data
    folder: Path


def add_judge_option(parser: argparse.ArgumentParser) -> None:
    """Declare what the runs are judged on."""
    text = "records the runs are judged on; with val, which is for choosing, training never sees a test record"
    parser.add_argument("--judge", choices=JUDGES, default="test", help=text)


def open_sets(root: Path, names: Sequence[str], judge: str, out: Path) -> list[DataSet]:
    """Find sets, and for `judge` "val" write what is left of each without its test split.

    Args:
        root: The folder that has a folder for each set.
        names: Of the sets.
        judge: One of `JUDGES`.
        out: Directory of all runs; those on a set lie in `out/judge/name`.

    Raises:
        NoInputError: If a set is not there, or a file of it.
        DataError: If a table names no splits, or is no table of labels.
        CannotWriteError: If the copy cannot be written.
    """
    problems = Problems()
    given = {name: _find(root / name, problems) for name in names}
    problems.raise_if_any(NoInputError)
    found = []
    for name, data in given.items():
        rows = read_split(data.labels)
        folder = out / judge / name
        held_back = _hold_back(data, rows, folder / "data") if judge == "val" else data
        found.append(DataSet(name, held_back, folder))
    return found


def runs_on(
    one: DataSet,
    candidates: Sequence[Candidate],
    options: argparse.Namespace,
    *,
    folder: str = "",
    flags: Sequence[str] = (),
    **tags: Any,
) -> list[Run]:
    """Return a run for each candidate and seed.

    Args:
        one: The set.
        candidates: What is trained.
        options: As `add_run_options` declares them.
        folder: Of the runs, within that of the set, so that scripts with the same --out keep out of each other's way.
        flags: Other arguments of `genomix train`.
        tags: What tables say of the runs beside the set, the budget and how many ran at a time.
    """
    stated = {"set": one.name, "budget": options.budget or "", "jobs": options.jobs} | tags
    return [
        Run(
            path=one.folder / folder / f"{file_name(candidate.name)}-{seed}",
            candidate=candidate,
            data=one.data,
            seed=seed,
            flags=tuple(flags),
            threads=options.threads,
            device=options.device,
            tags=tuple(stated.items()),
        )
        for candidate in candidates
        for seed in options.seeds
    ]


def read_split(labels: Path) -> list[LabelRow]:
    """Read a table of labels that names the split of each record.

    Raises:
        NoInputError, DataError: If it cannot be read, or names no splits.
    """
    rows = read_labels(str(labels), lambda _: None)
    if not rows or rows[0].split is None:
        raise DataError(f"{labels}:1: names no splits; give it a column split (genomix split makes one)")
    return rows


def write_table(path: Path, rows: Sequence[LabelRow]) -> None:
    """Write a table of labels with their splits, and groups if there are any."""
    columns = ["id", "label", *["group"] * any(row.group for row in rows), "split"]
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([getattr(row, column) for column in columns] for row in rows)
    write_text(path, text.getvalue())


def _find(folder: Path, problems: Problems) -> Data:
    sequences = next((folder / name for name in SEQUENCES if (folder / name).is_file()), folder / SEQUENCES[0])
    for path in (sequences, folder / LABELS):
        if not path.is_file():
            problems.add(f"{path}: there is no such file; a set is a folder with {SEQUENCES[0]} and {LABELS}")
    return Data(sequences, folder / LABELS)


def _hold_back(data: Data, rows: Sequence[LabelRow], folder: Path) -> Data:
    """Write the records of train and val, in their order, unless that is done.

    The same records give the same bytes, whatever the others are.
    """
    rows = [row for row in rows if row.split in ("train", "val")]
    left = Data(folder / SEQUENCES[0], folder / LABELS)
    source = folder / "source.json"
    stated = json.dumps(data.hashes, indent=1) + "\n"
    if source.is_file() and source.read_text(encoding="utf-8") == stated:
        return left
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {row.id for row in rows}
    with atomic_path(left.sequences) as path:
        with path.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as written:
            missing = wanted - _copy(data.sequences, wanted, written)
        if missing:
            raise DataError(f"{data.labels}: {len(missing):,} labels have no record, such as {min(missing)!r}")
    write_table(left.labels, rows)
    write_text(source, stated)
    return left


def _copy(sequences: Path, wanted: set[str], written: gzip.GzipFile) -> set[str]:
    """Copy the wanted records of a FASTA file, line by line, and return their ids."""
    seen: set[str] = set()
    keep = False
    with open_input(str(sequences)) as stream:
        for line in stream:
            if line.startswith(b">"):
                words = line[1:].split(None, 1)
                name = words[0].decode("utf-8", "replace") if words else ""
                keep = name in wanted
                if keep:
                    seen.add(name)
            if keep:
                written.write(line)
    return seen
