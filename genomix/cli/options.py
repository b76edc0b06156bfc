"""Options that several commands share, and what they have in common on the way in and out."""

from __future__ import annotations

import contextlib
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from genomix.distributed import find_ranks
from genomix.errors import UsageError
from genomix.files import new_directory
from genomix.runtime import announce_threads, share_threads

if TYPE_CHECKING:
    from genomix.data.labels import LabelledRecords

OnInvalid = Annotated[
    Literal["error", "skip", "mask"],
    typer.Option(
        "--on-invalid",
        help="Records with letters that are no nucleotide codes: stop, leave the record out, or read the letter as N.",
    ),
]
OnMissing = Annotated[
    Literal["error", "skip"],
    typer.Option("--on-missing", help="Records without a label, and labels without a record: stop, or leave them out."),
]
Labels = Annotated[
    str | None,
    typer.Option("--labels", "-l", help="Table of id, label[, group][, split]; then every INPUT is sequences."),
]
LabelRegex = Annotated[
    str | None,
    typer.Option("--label-regex", help="Take the label from the header: what this pattern's group matches."),
]
ClassFiles = Annotated[
    list[str] | None,
    typer.Option("--class", help="NAME=FILE: all records of this file are of class NAME. Once for each class."),
]
SplitKind = Literal["auto", "given", "random", "group", "sequence", "similarity"]
Split = Annotated[
    SplitKind | None,
    typer.Option(
        "--split",
        help="What stays on one side: groups of the labels, sequences (chromosomes, from ids such as chr2:100-200) or "
        "clusters of similar records; or nothing (random). auto: as the labels say, else by group, else random.",
    ),
]
Similarity = Annotated[
    float | None, typer.Option("--similarity", help="From which on records are a cluster; 0.9 by default.")
]
SplitsPath = Annotated[
    str | None,
    typer.Option(
        "--splits", help="Table of id and split (or fold) in place of the labels' own, e.g. another run's splits.tsv."
    ),
]
MultiLabel = Annotated[
    bool | None, typer.Option("--multi-label", help="Labels are a;b: a record has any number of them, - for none.")
]
Levels = Annotated[
    str | None,
    typer.Option("--levels", help="Labels are paths a;b;c: the names of their levels, e.g. kingdom,phylum,class."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]


def _announce(threads: int | None) -> int | None:
    """Tell the numerical libraries of the threads before a command imports them."""
    if threads is None:
        announce_threads(share_threads(find_ranks().local_size))
    elif threads >= 1:  # less is refused where threads are set
        announce_threads(threads)
    return threads


Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        "-t",
        help="CPU threads; by default those SLURM or the machine grants.",
        show_default=False,
        callback=_announce,
    ),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace what is there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say only warnings and errors.")]

_DURATION = re.compile(r"^(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s?)?$")


def check_directory(path: str, *, force: bool) -> None:
    """Find out, before any work, whether results can be written to a directory; leave no trace of having tried.

    Raises:
        CannotWriteError: If it holds something already (without `force`), is a file, or cannot be made or written.
    """
    made = [directory for directory in (Path(path), *Path(path).parents) if not directory.exists()]
    try:
        new_directory(path, force=force)
    finally:
        for directory in made:
            with contextlib.suppress(OSError):
                directory.rmdir()


def parse_duration(option: str, text: str) -> float:
    """Return the seconds of a duration such as `90`, `45m` or `1h30m` that an option was given.

    Raises:
        UsageError: If it is not one, or nothing.
    """
    match = _DURATION.match(text.strip())
    parts = match.groupdict() if match else {}
    seconds = sum(float(parts.get(unit) or 0) * size for unit, size in (("h", 3600), ("m", 60), ("s", 1)))
    if not seconds:
        raise UsageError(f"{option} {text!r} is not a duration; write it like 90s, 45m or 1h30m")
    return seconds


def check_splits(kind: str | None, splits_path: str | None) -> None:
    """Check that the kind of split and a table of splits go together.

    Raises:
        UsageError: If they do not.
    """
    if splits_path is not None and kind not in (None, "auto", "given"):
        raise UsageError(f"--split {kind}: --splits {splits_path} names the splits already; leave one of them out")


def parse_class_files(pairs: list[str] | None) -> list[tuple[str, str]]:
    """Split the `NAME=FILE` of `--class`.

    Raises:
        UsageError: If a name or a file is missing.
    """
    split = [pair.partition("=") for pair in pairs or []]
    for pair, (name, _, path) in zip(pairs or [], split, strict=True):
        if not name or not path:
            raise UsageError(f"--class {pair!r}: write it as NAME=FILE, for example --class phage=phages.fa")
    return [(name, path) for name, _, path in split]


def split_inputs(inputs: list[str], labels: str | None, *, labelled_otherwise: bool) -> tuple[list[str], str | None]:
    """Tell the label table from the sequences among positional inputs.

    With `--labels`, `--label-regex` or `--class`, all are sequences; otherwise the last of several is the label table,
    and a single one must carry its labels itself.
    """
    if labels is not None or labelled_otherwise or len(inputs) < 2:
        return inputs, labels
    return inputs[:-1], inputs[-1]


class _ConsoleHandler(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "already_said", False):
            return
        prefix = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        self._console.print(prefix + record.getMessage(), markup=False, emoji=False, highlight=False, soft_wrap=True)


def start_log(*, quiet: bool, silent: bool = False) -> Console:
    """Send what the library logs to stderr, by the console that progress bars are drawn on; return that console.

    Args:
        quiet: Only warnings and errors.
        silent: Nothing: another process says the same.
    """
    console = Console(stderr=True)
    log = logging.getLogger("genomix")
    log.handlers[:] = [_ConsoleHandler(console)]
    log.handlers[0].setLevel(logging.CRITICAL if silent else logging.WARNING if quiet else logging.INFO)
    log.setLevel(logging.INFO)
    log.propagate = False
    return console


def warn(message: str) -> None:
    """Log a warning; the callback the readers are given."""
    logging.getLogger("genomix").warning("%s", message)


def load_records(
    sequences: list[str],
    table: str | None,
    splits_path: str | None,
    *,
    on_missing: Literal["error", "skip"],
    **how: Any,
) -> LabelledRecords:
    """Read labelled records, with the splits of a table of their own where one is named; see `load_labelled`.

    Raises:
        DataError, NoInputError: If they cannot be read, or do not go together.
    """
    from genomix.data.labels import load_labelled
    from genomix.data.splits import take_splits

    records = load_labelled(sequences, table, on_missing=on_missing, warn=warn, **how)
    return records if splits_path is None else take_splits(records, splits_path, on_missing=on_missing, warn=warn)


def stated(**values: Any) -> dict[str, Any]:
    """Return the dotted overrides that were stated: `a__b=1` is `a.b`, None was not stated."""
    return {name.replace("__", "."): value for name, value in values.items() if value is not None}


def label_overrides(multi_label: bool | None, levels: str | None) -> dict[str, Any]:
    """Return the overrides that say what the labels of a record are: one, several, or a path.

    Raises:
        UsageError: If the names of levels are wrong.
    """
    from genomix.data.levels import parse_levels

    return stated(
        data__labels="multi" if multi_label else None,
        data__levels=list(parse_levels(levels)) if levels is not None else None,
    )


def say(message: str) -> None:
    """Log what is worth knowing but nothing to worry about."""
    logging.getLogger("genomix").info("%s", message)
