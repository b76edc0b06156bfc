"""Runs of `genomix train` for the scripts of this folder: each a process, in a directory of its own, done once.

Beside a run directory stands a file `NAME.json` with what was asked for. A run that is complete, asked for in the same
way, is not repeated; one that was killed goes on (`genomix train --resume`); one that is now asked for otherwise is
said to be, and made anew.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from candidates import NO_LIMIT, Candidate

from genomix.checkpoint import BEGUN, META, METRICS, is_complete
from genomix.errors import CannotWriteError, GenomixError, UsageError
from genomix.files import hash_file, write_text

ROOT = Path(__file__).parent.parent
LONGEST_REASON = 300
"""Letters of an error that are kept of a run that failed."""
INTERRUPTED = 130
"""Exit code of a command that the user stopped."""


@dataclass(frozen=True)
class Data:
    """Sequences and labels that training is given."""

    sequences: Path
    labels: Path

    @cached_property
    def hashes(self) -> dict[str, str]:
        """The sha256 of both."""
        return {"sequences": hash_file(self.sequences), "labels": hash_file(self.labels)}


@dataclass(frozen=True)
class Run:
    """A training.

    Attributes:
        path: The run directory.
        candidate: What is trained.
        data: What on.
        seed: Of the training.
        flags: Other arguments of `genomix train`.
        threads, device: Where it runs.
        tags: What the tables say of it beside what it leaves, such as the name of the set.
    """

    path: Path
    candidate: Candidate
    data: Data
    seed: int = 0
    flags: tuple[str, ...] = ()
    threads: int = 1
    device: str = "auto"
    tags: tuple[tuple[str, Any], ...] = ()

    @property
    def settings(self) -> list[str]:
        """Return the arguments of `genomix train` but for the data and the directory."""
        where = ["--threads", str(self.threads), "--device", self.device]
        extras = ["--no-baselines", "--no-checks", "--quiet"]
        return [*self.candidate.arguments, "--seed", str(self.seed), *self.flags, *where, *extras]

    @property
    def asked(self) -> dict[str, Any]:
        """Return all that the result depends on; the configuration too, as a preset may change."""
        config = self.candidate.config.model_dump(mode="json")
        return {"arguments": self.settings, "config": config, "data": self.data.hashes}

    @property
    def record_path(self) -> Path:
        """The file beside the run directory that says what was asked for, and where it was made."""
        return self.path.with_name(f"{self.path.name}.json")


@dataclass(frozen=True)
class Outcome:
    """What came of a run: why it failed, None if it did not."""

    run: Run
    failure: str | None = None

    @property
    def metrics(self) -> dict[str, Any]:
        """Return what `metrics.json` states."""
        return _read(self.run.path / METRICS)

    @property
    def meta(self) -> dict[str, Any]:
        """Return what `meta.json` states."""
        return _read(self.run.path / META)

    @property
    def made(self) -> dict[str, Any]:
        """Return the commit and the processor it was made with."""
        return _read(self.run.record_path).get("made", {})


def perform_all(runs: Sequence[Run], jobs: int) -> list[Outcome]:
    """Perform runs, `jobs` at a time, and say of each on stderr when it is done."""

    def tell(run: Run) -> Outcome:
        try:
            outcome = perform(run)
        except GenomixError as error:
            outcome = Outcome(run, str(error))
        told = f"FAILED: {outcome.failure}" if outcome.failure else "done"
        print(f"{run.path}: {told}", file=sys.stderr, flush=True)
        return outcome

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(tell, runs))


def perform(run: Run) -> Outcome:
    """Train, or go on with it, unless that is done.

    Raises:
        CannotWriteError: If something that no script of this folder made is in the place of the run.
    """
    asked, record = run.asked, _read(run.record_path)
    if not record and run.path.exists():
        raise CannotWriteError(f"{run.path}: was not made by this command; move it away, or name another --out")
    if record and record.get("asked") != asked:
        print(f"{run.path}: was made with other settings or data; it is made anew", file=sys.stderr, flush=True)
        shutil.rmtree(run.path, ignore_errors=True)
        run.record_path.unlink()
    elif is_complete(run.path):
        return Outcome(run)
    if not (run.path / BEGUN).exists():
        shutil.rmtree(run.path, ignore_errors=True)
    run.path.parent.mkdir(parents=True, exist_ok=True)
    made = {"commit": commit()}
    write_text(run.record_path, json.dumps({"asked": asked, "made": made}, indent=1) + "\n")
    files = [str(run.data.sequences), str(run.data.labels)]
    done = call(["train", *files, "--resume", str(run.path), *run.settings], run.threads)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        return Outcome(run, f"exit code {done.returncode}: {lines[-1][:LONGEST_REASON] if lines else 'no message'}")
    made["processor"] = processor(Outcome(run).meta["training"]["device"])
    write_text(run.record_path, json.dumps({"asked": asked, "made": made}, indent=1) + "\n")
    return Outcome(run)


def call(arguments: Sequence[str], threads: int) -> subprocess.CompletedProcess[str]:
    """Call genomix with so many threads, and return its exit code and what it said."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "genomix", *arguments]
    return subprocess.run(command, check=False, env=environment, capture_output=True, text=True)


@cache
def commit() -> str:
    """Return the short hash of the checked-out commit, with a plus where the package differs from it."""
    git = ["git", "-C", str(ROOT)]
    found = subprocess.run([*git, "rev-parse", "--short", "HEAD"], check=False, capture_output=True, text=True)
    changed = subprocess.run([*git, "status", "--porcelain", "genomix"], check=False, capture_output=True, text=True)
    return found.stdout.strip() + "+" * bool(changed.stdout.strip())


@cache
def processor(device: str) -> str:
    """Return what the CPU or the GPU calls itself."""
    from genomix.benchmark.machine import processor_name

    return processor_name(device)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options that all scripts share which train models on sets."""
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--budget", help="time to train in, such as 10m; by default the preset's own rule")
    parser.add_argument("--threads", type=int, default=1, help="of each training")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time")
    parser.add_argument("--device", default="auto", help="of the trainings")
    parser.add_argument("--out", type=Path, required=True, help="directory of the runs")
    parser.add_argument("--results", type=Path, help="beginning of the names of the tables to write")


def budget_flags(budget: str | None) -> tuple[str, ...]:
    """Return the arguments for a time to train in; none where there is no limit.

    Raises:
        UsageError: If it is no duration.
    """
    from genomix.cli.options import parse_duration

    if budget is None:
        return ()
    parse_duration("--budget", budget)
    return ("--budget", budget)


def limits(budget: str | None, epochs: int | None) -> tuple[str, ...]:
    """Return the arguments that let all trainings be equally long, none stopped early; none without a limit.

    Raises:
        UsageError: If both a budget and a number of epochs are given, or the budget is no duration.
    """
    if epochs is not None and budget is not None:
        raise UsageError("--budget: the number of epochs is given already; choose one")
    if epochs is None and budget is None:
        return ()
    most = NO_LIMIT if epochs is None else epochs
    return (*budget_flags(budget), "--max-epochs", str(most), "--set", f"training.patience={most}")


def leave_with(main: Callable[[], int]) -> None:
    """End the process with the code that `main` returns; an error of the user's is said in a sentence."""
    try:
        sys.exit(main())
    except GenomixError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
