"""What is measured and what came out, as rows of a table."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from genomix.files import atomic_path

Phase = Literal["training", "inference"]
OK, OUT_OF_MEMORY, FAILED = "ok", "out of memory", "failed"


@dataclass(frozen=True)
class Setting:
    """One measurement: what a process is asked to do.

    Attributes:
        model: A preset or a model's folder.
        phase: Training steps or inference.
        length: Bases of every record, and what the network has room for.
        batch_size: Records computed at once.
        threads: CPU threads.
        dtype: `"float32"`, or the type of autocast.
        device: `"cpu"` or `"cuda"`.
        repeats: Timed repeats; None leaves them to the rule of `genomix.benchmark.timing`.
    """

    model: str
    phase: Phase
    length: int
    batch_size: int
    threads: int
    dtype: str
    device: str
    repeats: int | None = None


@dataclass(frozen=True)
class Measurement:
    """What a process answers.

    Attributes:
        seconds: Median of the timed repeats.
        repeats: How many there were.
        peak_memory_mib: Peak resident memory of the process; on a GPU, of the tensors there.
        baseline_memory_mib: The same before the network was built.
        num_parameters: Numbers of the network that are trained.
        torch_version: Of the torch that computed.
        processor: Name of the CPU or the GPU that computed.
    """

    seconds: float
    repeats: int
    peak_memory_mib: float
    baseline_memory_mib: float
    num_parameters: int
    torch_version: str
    processor: str


@dataclass(frozen=True)
class Result:
    """One row: a model at a length. What was not measured is None.

    Attributes:
        status: `"ok"`, `"out of memory"` or `"failed"`; the figures that are missing tell which phase it was.
        train_step_s, inference_s: Medians, for a batch.
        train_bases_per_s, inference_bases_per_s: Bases of a batch over those.
        peak_memory_mib, repeats: Of training.
        inference_peak_memory_mib, inference_repeats: Of inference.
        baseline_memory_mib: Before the network was built, in the process of training if there was one.
    """

    model: str
    length: int
    batch_size: int
    threads: int
    dtype: str
    device: str
    status: str
    num_parameters: int | None
    train_step_s: float | None
    train_bases_per_s: float | None
    inference_s: float | None
    inference_bases_per_s: float | None
    peak_memory_mib: float | None
    inference_peak_memory_mib: float | None
    baseline_memory_mib: float | None
    repeats: int | None
    inference_repeats: int | None
    torch_version: str | None
    processor: str | None


def write_csv(results: Iterable[Result], path: str | Path) -> None:
    """Write one line a result, under the names of the attributes; what was not measured is empty.

    Raises:
        CannotWriteError: If the file cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as out:
        rows = csv.DictWriter(out, [field.name for field in fields(Result)], lineterminator="\n")
        rows.writeheader()
        rows.writerows(asdict(result) for result in results)
