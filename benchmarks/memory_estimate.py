"""The memory that `genomix train --dry-run` foretells, against the most that the same training then holds.

    python benchmarks/memory_estimate.py

Every training is one epoch on the example data, in a process of its own; its peak is what the system accounts for it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

DATA = Path(__file__).parent.parent / "example_data"
CASES = (
    ("paramixer", "--max-length", "2048"),
    ("paramixer", "--max-length", "16384", "--batch-records", "16"),
    ("paramixer", "--max-length", "16384", "--batch-records", "64"),
    ("paramixer-cdil", "--max-length", "16384", "--batch-records", "32"),
    ("paramixer-paper", "--batch-records", "4"),
    ("paramixer-paper", "--batch-records", "16"),
)


def genomix(*arguments: str) -> tuple[str, float]:
    """Run the command; return what it printed, and its peak memory in MiB."""
    command = [sys.executable, "-m", "genomix", *arguments]
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(command, stdout=printed)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
        printed.seek(0)
        return printed.read(), usage.ru_maxrss / 1024


def main() -> None:
    """Measure every case and print the table."""
    data = [str(DATA / "primate_mitochondria.fa.gz"), str(DATA / "primate_mitochondria.tsv")]
    table = Table()
    for name in ("training", "foretold MiB", "measured MiB", "ratio"):
        table.add_column(name, justify="left" if name == "training" else "right")
    for preset, *options in CASES:
        arguments = ["train", *data, "--model", preset, *options, "--quiet", "--no-baselines", "--device", "cpu"]
        foretold = re.search(r"memory: (\d+) MiB", genomix(*arguments, "--dry-run")[0])
        if foretold is None:
            raise SystemExit("the dry run printed no estimate")
        with tempfile.TemporaryDirectory() as folder:
            _, measured = genomix(*arguments, "--max-epochs", "1", "--out", f"{folder}/run")
        estimate = float(foretold[1])
        table.add_row(" ".join([preset, *options]), f"{estimate:.0f}", f"{measured:.0f}", f"{estimate / measured:.2f}")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
