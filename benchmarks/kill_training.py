"""Kills a small training at random moments, goes on with it until it is done, and compares what it leaves.

    python benchmarks/kill_training.py --signal TERM --moments 20
    python benchmarks/kill_training.py --signal KILL --moments 20

The weights must be those of the training that nobody killed, bit for bit. Uses the example data, or --data FASTA TABLE.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
EXAMPLE = [str(ROOT / "example_data" / f"primate_mitochondria.{suffix}") for suffix in ("fa.gz", "tsv")]
SETTINGS = ["--max-epochs", "6", "--max-length", "1024", "--set", "training.ema_decay=0.9", "--no-checks"]
COMPARED = ("model.safetensors", "predictions.tsv", "calibration.json", "config.yaml", "splits.tsv")
RESUME, DONE = 75, 0


def start(run: Path, data: list[str], threads: int) -> subprocess.Popen[bytes]:
    """Begin a training in a directory, or go on with it: the same command does both."""
    command = [sys.executable, "-m", "genomix", "train", *data, "--resume", str(run), *SETTINGS]
    command += ["--checkpoint-every", "1s", "--threads", str(threads)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def digest(run: Path) -> dict[str, str]:
    """Return the sha256 of each file that must be the same."""
    return {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in COMPARED}


def kill_until_done(run: Path, data: list[str], threads: int, number: int, moments: list[float]) -> list[int]:
    """Send a signal after each of some times, in one process after another, and return their exit codes.

    What comes after the last of them runs to its end.
    """
    codes = []
    for moment in [*moments, None]:
        process = start(run, data, threads)
        try:
            output, _ = process.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
            output, _ = process.communicate()
        codes.append(process.returncode)
        if process.returncode == DONE:
            break
        if process.returncode not in (RESUME, -number):
            raise SystemExit(f"exit code {process.returncode}:\n{output.decode()}")
    return codes


def main() -> None:
    """Kill, go on, compare, print a line a moment."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--signal", choices=("TERM", "USR1", "INT", "KILL"), default="TERM")
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", nargs=2, metavar=("FASTA", "TABLE"), default=EXAMPLE)
    options = parser.parse_args()
    number = getattr(signal, f"SIG{options.signal}")
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        began = time.monotonic()
        output, _ = start(whole, options.data, options.threads).communicate()
        seconds = time.monotonic() - began
        if not (whole / "metrics.json").is_file():
            raise SystemExit(output.decode())
        expected = digest(whole)
        equal = turn = 0
        while turn < options.moments:
            run = Path(folder) / "killed"
            shutil.rmtree(run, ignore_errors=True)
            moment = chance.uniform(0, seconds)
            codes = kill_until_done(run, options.data, options.threads, number, [moment])
            if codes == [DONE]:  # it was done before: the machine is faster now
                seconds = min(seconds, moment)
                continue
            different = [name for name, value in digest(run).items() if value != expected[name]]
            equal += not different
            where = json.loads((run / "meta.json").read_text())["training"]["epochs"]
            turn += 1
            print(
                f"{turn:3}  SIG{options.signal} after {moment:5.1f} of {seconds:.1f} s: exit codes {codes}, "
                f"{where} epochs, " + (f"DIFFERENT: {', '.join(different)}" if different else "the same"),
                flush=True,
            )
        print(f"{equal} of {options.moments} the same as the training that was not killed")


if __name__ == "__main__":
    main()
