"""What a job runs: a command that can go on after a stop, and that of its array."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genomix.errors import UsageError

TASK = '"$task"'


@dataclass
class Work:
    """The command of a job, as shell.

    Attributes:
        command: Its name, such as train.
        line: All its words, quoted; in an array with the number of the task.
        has_ranks: Whether several processes can share it.
        count: Tasks of the array; None for no array.
        collect_line: What is run when all tasks are done.
        collects_alone: Whether that takes one core and no GPU.
        purpose: What that is for, in words.
        directory: Made before a task begins.
    """

    command: str
    line: str
    has_ranks: bool = False
    count: int | None = None
    collect_line: str = ""
    collects_alone: bool = False
    purpose: str = ""
    directory: str = ""


def plan_work(
    command: str, words: Sequence[str], parameters: Mapping[str, Any], count: int | None, *, is_track: bool = False
) -> Work:
    """Return what a job has to run.

    Args:
        command: `train`, `tune` or `predict`.
        words: What follows it on the command line.
        parameters: The values of its parameters, as parsed from the words.
        count: Tasks to share the work among; None for no array.
        is_track: Whether a prediction writes tracks.

    Raises:
        UsageError: If the command cannot be run so.
    """
    if "-" in [*(parameters.get("inputs") or [])]:
        raise UsageError("a job has no stdin: name files in place of -")
    if command == "train":
        return _plan_training(list(words), parameters, count)
    if command == "tune":
        return _plan_study(list(words), parameters, count)
    if command == "predict":
        if is_track and count is not None:
            raise UsageError("--array: tracks have no shards; divide them by --regions, one BED file a job")
        return _plan_prediction(list(words), parameters, count)
    raise UsageError(f"genomix slurm writes jobs of train, tune and predict, not of {command!r}")


def _plan_training(words: list[str], parameters: Mapping[str, Any], count: int | None) -> Work:
    _refuse_to_begin_anew(parameters, "run directory")
    if parameters.get("resume") is None:
        words += ["--resume", "run"]
    base = _line("train", words)
    if count is None:
        return Work("train", base, has_ranks=True)
    models = parameters.get("folds") or parameters.get("ensemble")
    if models is None or parameters.get("only") is not None:
        raise UsageError("--array: a task trains one model of several; say train --folds N or --ensemble N, not --only")
    if models != count:
        raise UsageError(f"--array {count}: there are {models} models to train; say --array {models}")
    return Work(
        "train",
        f"{base} --only {TASK}",
        has_ranks=True,
        count=count,
        collect_line=base,
        purpose="puts the models together",
    )


def _plan_study(words: list[str], parameters: Mapping[str, Any], count: int | None) -> Work:
    """Return what makes the trials of a study: each task of an array is a process more that takes the next of them."""
    _refuse_to_begin_anew(parameters, "study")
    if parameters.get("dry_run"):
        raise UsageError("--dry-run: nothing is computed; run it at once, without a job")
    base = _line("tune", words if parameters.get("resume") is not None else [*words, "--resume", "study"])
    if count is None:
        return Work("tune", base)
    return Work("tune", base, count=count, collect_line=base, purpose="ends the study")


def _refuse_to_begin_anew(parameters: Mapping[str, Any], what: str) -> None:
    for name in ("out", "force"):
        if parameters.get(name):
            raise UsageError(f"--{name}: a job must be able to go on; name the {what} by --resume instead")


def _plan_prediction(words: list[str], parameters: Mapping[str, Any], count: int | None) -> Work:
    output = parameters.get("output") or "-"
    if output == "-":
        raise UsageError("a job must be able to go on: name its output by --output")
    resume = [] if parameters.get("resume") else ["--resume"]
    if count is None:
        return Work("predict", _line("predict", words + resume))
    if parameters.get("shard") is not None:
        raise UsageError("--array makes the shards: leave out --shard")
    path = Path(output)
    folder = f"{output}.shards"
    suffix = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    shard = f"--shard {TASK}/{count} --output {shlex.quote(folder)}/part-{TASK}{suffix}"
    merge = ["--output", output, *(["--force"] if parameters.get("force") else [])]
    return Work(
        "predict",
        f"{_line('predict', words + resume)} {shard}",
        count=count,
        collect_line=f"genomix merge {shlex.quote(folder)}/part-{{1..{count}}}{suffix} {shlex.join(merge)}",
        collects_alone=True,
        purpose=f"merges the shards into {output}",
        directory=folder,
    )


def _line(command: str, words: list[str]) -> str:
    return shlex.join(["genomix", command, *words])
