"""Made-up problems on disk: written a part at a time, read back as they were.

R records, N positions.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.lib.format import open_memmap

from genomix.data import simulate
from genomix.data.simulate import ORDER_LABELS, Simulated
from genomix.data.vocabulary import decode
from genomix.errors import CannotWriteError, DataError, NoInputError, UsageError
from genomix.files import atomic_path, write_text
from genomix.runtime import available_memory_bytes

Task = Literal["adding", "temporal-order", "motif-pair"]
PART_POSITIONS = 1 << 22
"""Positions that are made at once."""
MADE_BYTES = {"adding": 24, "temporal-order": 1, "motif-pair": 4}
"""Memory that a position takes while its record is made and written."""
WRITTEN_BYTES = {"adding": 8, "temporal-order": 1, "motif-pair": 1}
"""Disk that a position takes."""
LINE_BP = 80
MOTIF_BP = 12
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Problem:
    """What is to be made; the same values give the same files.

    Attributes:
        task: Which problem.
        length: Positions of every record; bp of DNA.
        num_records: Records of each of `SPLITS`.
        motif_bp: Length of the motifs of `motif-pair`.
        seed: Of the random numbers.

    Raises:
        UsageError: If the length, the motifs or the numbers of records make no problem.
    """

    task: Task
    length: int
    num_records: Mapping[str, int]
    motif_bp: int = MOTIF_BP
    seed: int = 0

    def __post_init__(self) -> None:
        """Check that the values fit together."""
        if self.task == "motif-pair" and self.motif_bp < simulate.SHORTEST_MOTIF:
            raise UsageError(f"--motif-length {self.motif_bp}: use {simulate.SHORTEST_MOTIF} bp at least")
        if self.task == "motif-pair" and self.length < 2 * self.motif_bp:
            raise UsageError(
                f"--length {self.length}: two motifs of {self.motif_bp} bp need --length {2 * self.motif_bp} at least"
            )
        if self.length < 2:
            raise UsageError(f"--length {self.length}: {self.task} needs records of 2 positions at least")
        if not any(self.num_records.values()):
            raise UsageError("no records were asked for; give --records, --val-records or --test-records")

    def check_room(self, directory: Path) -> None:
        """Find out, before any work, whether a part fits into the memory and all of it on the disk of a directory.

        Raises:
            UsageError: If not.
        """
        there = next(place for place in (directory, *directory.absolute().parents) if place.is_dir())
        for needed, free, place in (
            (MADE_BYTES[self.task] * self.length, available_memory_bytes("cpu"), "of memory"),
            (
                WRITTEN_BYTES[self.task] * self.length * sum(self.num_records.values()),
                shutil.disk_usage(there).free,
                f"on the disk of {there}",
            ),
        ):
            if needed > free:
                raise UsageError(
                    f"--length {self.length}: {self.task} needs {needed / 1e9:,.1f} GB {place}, of which "
                    f"{free / 1e9:,.1f} GB are free; use a smaller --length, or fewer records"
                )

    def parts(self, split: str) -> Iterator[Simulated]:
        """Make the records of a split, some at a time; every part is drawn from a stream of its own."""
        at_once = max(1, PART_POSITIONS // self.length)
        for first in range(0, self.num_records[split], at_once):
            generator = np.random.default_rng([self.seed, SPLITS.index(split), first // at_once])
            yield self._draw()(min(at_once, self.num_records[split] - first), self.length, generator)

    def motifs(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the motifs X and Y of `motif-pair`, tokens."""
        return simulate.draw_motifs(self.motif_bp, np.random.default_rng([self.seed, len(SPLITS)]))

    def _draw(self) -> Callable[[int, int, np.random.Generator], Simulated]:
        if self.task == "adding":
            return simulate.adding
        if self.task == "temporal-order":
            return simulate.temporal_order
        motifs = self.motifs()
        return lambda num_records, length, generator: simulate.motif_pair(num_records, length, generator, motifs)


def write_simulated(problem: Problem, directory: Path, warn: Callable[[str], None] = lambda _: None) -> None:
    """Write a problem to an existing directory; its `task.json` comes last and says what the other files are.

    `motif-pair` becomes `data.fa`, `labels.tsv` (id, label, split) and `motifs.bed`; the other tasks, whose inputs are
    not DNA, become `<split>_inputs.npy`, `<split>_targets.npy` and `<split>_places.npy`, as `Simulated` has them.

    Files of another problem that was written here before are removed.

    Args:
        problem: What to make.
        directory: Where.
        warn: Called where motifs are so short that they turn up by chance.

    Raises:
        CannotWriteError: If a file cannot be written.
    """
    _remove_former(directory)
    if problem.task == "motif-pair":
        _warn_of_chance(problem, warn)
        facts: dict[str, Any] = {"motifs": dict(zip("XY", map(decode, problem.motifs()), strict=True))}
        _write_dna(problem, directory)
    else:
        facts = {"tolerance": simulate.TOLERANCE} if problem.task == "adding" else {"labels": list(ORDER_LABELS)}
        for split, number in problem.num_records.items():
            if number:
                _write_arrays(problem, split, directory)
    write_text(directory / "task.json", json.dumps(asdict(problem) | facts, indent=2) + "\n")


def read_simulated(directory: str | Path, split: str) -> Simulated:
    """Read one split of `adding` or `temporal-order`; the inputs stay on disk until they are used.

    Raises:
        NoInputError: If the directory holds no such problem or split.
        DataError: If the problem is DNA, or a file is broken.
    """
    directory = Path(directory)
    try:
        task = json.loads((directory / "task.json").read_text(encoding="utf-8"))
        if task["task"] == "motif-pair":
            raise DataError(f"{directory}: holds DNA; read data.fa and labels.tsv as any other data")
        paths = [directory / f"{split}_{name}.npy" for name in Simulated._fields]
        return Simulated(*(np.load(path, mmap_mode="r") for path in paths))
    except OSError as error:
        raise NoInputError(f"{error.filename or directory}: {error.strerror}; make it with genomix simulate") from error
    except (ValueError, KeyError) as error:
        raise DataError(f"{directory}: not what genomix simulate writes ({error})") from error


def _warn_of_chance(problem: Problem, warn: Callable[[str], None]) -> None:
    expected = simulate.expected_by_chance(problem.motif_bp, problem.length)
    if expected > simulate.MOST_BY_CHANCE:
        enough = next(
            width
            for width in itertools.count(problem.motif_bp)
            if simulate.expected_by_chance(width, problem.length) <= simulate.MOST_BY_CHANCE
        )
        warn(
            f"a motif of {problem.motif_bp} bp is expected {expected:.2g} times a record by chance (on either "
            f"strand of {problem.length} bp), which blurs the answer; use --motif-length {enough} or more"
        )


def _remove_former(directory: Path) -> None:
    former = directory / "task.json"
    if not former.exists():
        return
    arrays = (f"{split}_{name}.npy" for split in SPLITS for name in Simulated._fields)
    try:
        for name in ("task.json", "data.fa", "labels.tsv", "motifs.bed", *arrays):
            (directory / name).unlink(missing_ok=True)
    except OSError as error:
        raise CannotWriteError(f"{error.filename}: cannot remove what was written before ({error.strerror})") from error


def _write_arrays(problem: Problem, split: str, directory: Path) -> None:
    total = problem.num_records[split]
    names = [directory / f"{split}_{name}.npy" for name in Simulated._fields]
    with atomic_path(names[0]) as inputs, atomic_path(names[1]) as targets, atomic_path(names[2]) as places:
        written = 0
        arrays: list[np.ndarray] = []
        for part in problem.parts(split):
            if not arrays:
                arrays = [
                    open_memmap(path, mode="w+", dtype=values.dtype, shape=(total, *values.shape[1:]))
                    for path, values in zip((inputs, targets, places), part, strict=True)
                ]
            for array, values in zip(arrays, part, strict=True):
                array[written : written + len(values)] = values
            written += len(part.targets)


def _write_dna(problem: Problem, directory: Path) -> None:
    paths = [directory / name for name in ("data.fa", "labels.tsv", "motifs.bed")]
    with (
        atomic_path(paths[0]) as fasta,
        atomic_path(paths[1]) as table,
        atomic_path(paths[2]) as bed,
        fasta.open("w") as sequences,
        table.open("w") as labels,
        bed.open("w") as motifs,
    ):
        labels.write("id\tlabel\tsplit\n")
        for split, name, record in _named_records(problem):
            label = ORDER_LABELS[record.targets]
            letters = decode(record.inputs)
            lines = (letters[i : i + LINE_BP] for i in range(0, len(letters), LINE_BP))
            sequences.write(f">{name}\n" + "\n".join(lines) + "\n")
            labels.write(f"{name}\t{label}\t{split}\n")
            for start, motif in zip(record.places.tolist(), label, strict=True):
                motifs.write(f"{name}\t{start}\t{start + problem.motif_bp}\t{motif}\n")


def _named_records(problem: Problem) -> Iterator[tuple[str, str, Simulated]]:
    for split in problem.num_records:
        records = (Simulated(*one) for part in problem.parts(split) for one in zip(*part, strict=True))
        for number, record in enumerate(records, 1):
            yield split, f"{split}_{number}", record
