"""Peak memory of storing and predicting FASTA files of different sizes: it must not grow with the file.

    python benchmarks/flat_memory.py --model models/primate-suborder --mb 50 500

Each file holds records of about 106 kbp of random bases (500 MB are 4,700 of them). Every step is a process of its own,
whose peak is what the operating system reports when it ends; mapped pages of the store's file count in it as well.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

RECORD_BP = 106_400
LINE_BP = 80
STORE = "import sys; from genomix.data.store import build_store; build_store([sys.argv[1]])"


class Measured(NamedTuple):
    """Seconds and peak resident memory of a process."""

    seconds: float
    peak_mib: float


def write_fasta(path: Path, megabytes: int) -> int:
    """Write a file of random records of about this size; return how many."""
    rng = np.random.default_rng(0)
    num_records = max(1, round(megabytes * 1e6 / RECORD_BP))
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    with path.open("wb") as out:
        for i in range(num_records):
            length = int(rng.integers(RECORD_BP // 2, RECORD_BP * 3 // 2)) // LINE_BP * LINE_BP
            lines = letters[rng.integers(0, 4, (length // LINE_BP, LINE_BP))]
            out.write(b">record_%d\n" % i)
            out.write(np.pad(lines, ((0, 0), (0, 1)), constant_values=ord("\n")).tobytes())
    return num_records


def measure(command: list[str], cache: Path) -> Measured:
    """Run a command and return its time and peak memory."""
    began = time.monotonic()
    process = subprocess.Popen(command, env=os.environ | {"GENOMIX_CACHE": str(cache)}, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command} failed with status {status}")
    return Measured(time.monotonic() - began, usage.ru_maxrss / 1024)


def main() -> None:
    """Print a table of sizes, times and peaks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--mb", type=int, nargs="+", default=[50, 500])
    parser.add_argument("--strands", default="forward")
    options = parser.parse_args()
    print("step\tmb\trecords\tseconds\tpeak_mib")
    for megabytes in options.mb:
        with tempfile.TemporaryDirectory() as folder:
            fasta, cache, out = (Path(folder) / name for name in ("data.fa", "cache", "predictions.tsv"))
            num_records = write_fasta(fasta, megabytes)
            predict = ["-m", "genomix", "predict", options.model, str(fasta), "-o", str(out), "--quiet"]
            steps = {
                "store": [sys.executable, "-c", STORE, str(fasta)],
                "predict": [sys.executable, *predict, "--strands", options.strands],
            }
            for step, command in steps.items():
                took = measure(command, cache)
                print(f"{step}\t{megabytes}\t{num_records}\t{took.seconds:.1f}\t{took.peak_mib:.0f}", flush=True)


if __name__ == "__main__":
    main()
