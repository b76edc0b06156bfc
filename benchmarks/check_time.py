"""The seconds of every step of `genomix check`, on made-up data of 100 Mb: long records, and short ones.

    python benchmarks/check_time.py --mb 100

Half of the records come in families of ten that differ from their ancestor in some 4 of 100 bases, so that there is
something to find; a third are read from the other strand. A first run on a little data has what numba compiles made.
The last line is the processor time of all threads, which other work on the machine changes less.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from genomix.data.checks import Checks, run_checks
from genomix.data.labels import LabelledRecords, load_labelled
from genomix.data.splits import from_column
from genomix.data.vocabulary import DECODING, reverse_complement
from genomix.runtime import available_threads, set_threads

RECORD_BP = {"long": 16_000, "short": 250}
FAMILY, DIVERGENCE, REVERSED = 10, 0.05, 1 / 3
SHARES = {"train": 0.7, "val": 0.15, "test": 0.15}
WARM_UP = 200_000


def write_data(directory: Path, num_bases: int, record_bp: int) -> tuple[str, str]:
    """Write records and their labels; return both paths."""
    rng = np.random.default_rng(1)
    num_records = num_bases // record_bp
    splits = rng.choice(list(SHARES), size=num_records, p=list(SHARES.values()))
    sequences, table = directory / "data.fa", directory / "labels.tsv"
    ancestor = np.empty(0, np.uint8)
    with sequences.open("wb") as fasta, table.open("w") as labels:
        labels.write("id\tlabel\tsplit\n")
        for number in range(num_records):
            tokens = rng.integers(0, 4, record_bp, dtype=np.uint8)
            if number % 2:
                if number % (2 * FAMILY) == 1:
                    ancestor = tokens
                tokens = np.where(rng.random(record_bp) < DIVERGENCE, tokens, ancestor)
            if rng.random() < REVERSED:
                tokens = reverse_complement(tokens)
            fasta.write(b">r%d\n%b\n" % (number, DECODING[tokens].tobytes()))
            labels.write(f"r{number}\t{'ab'[int(rng.integers(2))]}\t{splits[number]}\n")
    return str(sequences), str(table)


def check(records: LabelledRecords, *, fast: bool, with_splits: bool) -> Checks:
    """Run the checks, with the splits of the table or without any."""
    splits = from_column(records.splits or [], records.targets, val_fraction=0.0) if with_splits else None
    return run_checks(records, splits, fast=fast)


def main() -> None:
    """Make the data, run the checks, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=100, help="size of each set in millions of bases")
    parser.add_argument("--complete", action="store_true", help="the complete checks, not the fast ones")
    options = parser.parse_args()
    set_threads(None)
    columns: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, record_bp in RECORD_BP.items():
            for name, num_bases in (("warm-up", WARM_UP), (kind, options.mb * 1_000_000)):
                directory = Path(folder) / name / kind
                directory.mkdir(parents=True)
                paths = write_data(directory, num_bases, record_bp)
                start = time.perf_counter()
                records = load_labelled([paths[0]], paths[1], cache_dir=directory, warn=lambda _: None)
                reading = time.perf_counter() - start
                for with_splits in (True, False):
                    start = time.process_time()
                    seconds = check(records, fast=not options.complete, with_splits=with_splits).seconds
                    if name != "warm-up":
                        title = f"{len(records.ids):,} x {record_bp:,} bp" + ("" if with_splits else ", undivided")
                        columns[title] = {"reading": reading, **seconds, "all checks": sum(seconds.values())}
                        columns[title]["of all threads"] = time.process_time() - start
    table = Table(title=f"seconds, {'complete' if options.complete else 'fast'} checks, {available_threads()} threads")
    table.add_column("step")
    for title in columns:
        table.add_column(title, justify="right")
    for step in next(iter(columns.values())):
        table.add_row(step, *(f"{seconds.get(step, 0.0):.2f}" for seconds in columns.values()))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
