"""What a training was asked for, and whether that begins one, goes on with one, or is done already."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from genomix.cli import options
from genomix.errors import CannotWriteError, UsageError
from genomix.stopping import Stopping

if TYPE_CHECKING:
    from genomix.data.labels import LabelledRecords
    from genomix.data.store import Store
    from genomix.train.begun import Begun


@dataclass
class Request:
    """What was asked for.

    Attributes:
        begun: The data and the settings.
        path: The run directory.
        resume: Go on with what is there.
        states_settings: Whether settings were given, and not just a directory to go on with.
        force: Replace what is there.
        devices: Processes on this machine; None for one, or for as many as a launcher has started.
        device: Name of the device.
        threads: CPU threads of a process; None for its share of those there are.
        checkpoint_every_s: Seconds between checkpoints, at least; None for the default.
        quiet: Say only warnings and errors.
        stop: Says when to stop.
    """

    begun: Begun
    path: Path
    resume: bool = False
    states_settings: bool = True
    force: bool = False
    devices: int | None = None
    device: str = "auto"
    threads: int | None = None
    checkpoint_every_s: float | None = None
    quiet: bool = False
    stop: Stopping = field(default_factory=Stopping)


def load(begun: Begun) -> tuple[LabelledRecords, dict[str, str]]:
    """Read the records of a training, and return them with the sha256 of what they were read from, by name.

    Raises:
        DataError, NoInputError: If they cannot be read, or do not go together.
    """
    from genomix.data.labels import label_kind
    from genomix.files import hash_file

    records = options.load_records(
        begun.inputs,
        begun.labels,
        begun.splits_path,
        label_regex=begun.label_regex,
        class_files=begun.class_files,
        on_invalid=begun.on_invalid,
        on_missing=begun.on_missing,
        min_per_class=begun.config.data.min_per_class,
        kind=label_kind(begun.config.data),
    )
    hashes = {"sequences": records.store.sha256}
    for name, path in (("labels", begun.labels), ("splits", begun.splits_path)):
        if path is not None and Path(path).is_file():
            hashes[name] = hash_file(path)
    return records, hashes


def load_store(begun: Begun) -> Store:
    """Read the sequences of a pretraining.

    Raises:
        DataError, NoInputError: If they cannot be read.
    """
    from genomix.data.store import build_store

    return build_store(begun.inputs, on_invalid=begun.on_invalid, unique_ids=False, log=options.warn)


def settle(request: Request) -> bool:
    """Decide what is gone on with; return whether there is anything to do.

    Raises:
        UsageError: If what is asked for is not what was begun.
        CannotWriteError: If there is something else in the directory.
    """
    from genomix.checkpoint import REPORT, find_members, is_complete
    from genomix.report import write_report
    from genomix.train.begun import check_same, read_begun

    path = request.path
    if not request.resume:
        options.check_directory(str(path), force=request.force)
        return True
    begun = read_begun(path)
    if begun is not None:
        _take_over(request, begun)
        if request.begun.complete and request.begun.inputs != begun.inputs:
            store = load_store(request.begun) if request.begun.command == "pretrain" else load(request.begun)[0].store
            check_same(path, request.begun.model_copy(update={"sequences": store.sha256}))
    if is_complete(path):
        if request.begun.command == "train" and not (path / REPORT).is_file():
            write_report(path)
        options.say(f"{path} is complete: there is nothing left to train")
        return False
    if begun is None and not request.begun.inputs:
        raise UsageError(
            f"--resume {path}: no training was begun there; give sequences and labels as well, and it will begin"
        )
    if begun is None and path.is_dir() and any(path.iterdir()) and not _holds_members(request, find_members(path)):
        raise CannotWriteError(f"{path}: holds no training that could be gone on with; name another directory")
    return True


def _holds_members(request: Request, members: list[Path]) -> bool:
    """Say whether these are folds, or members of an ensemble, as are asked for."""
    from genomix.checkpoint import CONFIG

    kind = "fold" if request.begun.folds is not None else "member" if request.begun.ensemble is not None else None
    ours = [one for one in members if one.name.split("-")[0] == kind and (one / CONFIG).is_file()]
    return bool(ours) and {one.name for one in request.path.iterdir()} <= {one.name for one in members}


def _take_over(request: Request, begun: Begun) -> None:
    """Go on as it was begun.

    Raises:
        UsageError: If other settings are asked for now.
    """
    from genomix.train.begun import check_same

    asked = request.begun
    if asked.command != begun.command:
        raise UsageError(
            f"--resume {request.path}: was begun by genomix {begun.command}; go on with: "
            f"genomix {begun.command} --resume {request.path}"
        )
    if not asked.inputs:
        if request.states_settings:
            raise UsageError(
                f"--resume {request.path}: goes on as it was begun; leave out other settings, or give all of the "
                "command again, sequences included"
            )
        asked = begun.model_copy()
        if "-" in asked.inputs:
            raise UsageError(
                f"--resume {request.path}: its sequences came from stdin; pipe them in again, same command"
            )
    else:
        check_same(request.path, asked)
        asked = asked.model_copy(update={"complete": begun.complete})
    request.begun = asked
