"""What runs differ in that should be the same for all of them: classes and records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from genomix.compare.runs import Labels, Run
from genomix.data.labels import LabelRow
from genomix.errors import Problems

SHOWN = 3
"""Records and classes that are named where runs differ in theirs."""


def check_classes(runs: Sequence[Run]) -> None:
    """Check that all runs tell the same classes apart.

    Raises:
        DataError: If they do not; the mend is said once, behind all that differ.
    """
    problems = Problems()
    first = runs[0]
    differing = {run.path: _difference(run, first, run.table.classes, first.table.classes) for run in runs[1:]}
    lines = [f"{path}:1: the classes differ: {said}" for path, said in differing.items() if said]
    for place, line in enumerate(lines, start=1):
        mend = (
            "; compare runs that tell the same classes apart; where only the names of the classes differ, write them "
            "alike in the labels and train again"
        )
        problems.add(line + mend * (place == len(lines)))
    problems.raise_if_any()


def check_records(
    runs: Sequence[Run], rows_of: Mapping[str, Mapping[str, int]], chosen: Labels | None, problems: Problems
) -> None:
    """Check that all runs have predictions of the same records; the mend is said once, behind all that differ.

    Args:
        runs: The runs.
        rows_of: Rows of the records to compare in the predictions, by the runs' names.
        chosen: Labels of the records to compare; without it the runs' own are used.
        problems: Told what differs.
    """
    first = runs[0]
    differing = {run.name: _difference(run, first, rows_of[run.name], rows_of[first.name]) for run in runs[1:]}
    lines = [f"{run.path}: the records differ: {differing[run.name]}" for run in runs[1:] if differing[run.name]]
    for place, line in enumerate(lines, start=1):
        problems.add(line + f"; {_mend(runs, rows_of, chosen)}" * (place == len(lines)))


def quoted(names: Sequence[str]) -> str:
    """Return the first of these names, in quotes."""
    return ", ".join(f'"{name}"' for name in names[:SHOWN]) + ", ..." * (len(names) > SHOWN)


def counted(ids: Sequence[str]) -> str:
    """Return how many records these are, the first of them, and the verb that goes with their number."""
    return f"record {quoted(ids)} is" if len(ids) == 1 else f"{len(ids)} records ({quoted(ids)}) are"


def _mend(runs: Sequence[Run], rows_of: Mapping[str, Mapping[str, int]], chosen: Labels | None) -> str:
    own: Sequence[LabelRow] = next((run.labels for run in runs if run.labels), [])
    rows = own if chosen is None else list(chosen.values())
    for split in ("test", "val", "train"):
        ids = {row.id for row in rows if row.split == split}
        shared = {frozenset(ids.intersection(rows_of[run.name])) for run in runs}
        if len(shared) == 1 and shared != {frozenset()}:
            return f"compare the records of one split, which all runs have (--labels {rows[0].source} --split {split})"
    splits = own[0].source if own else "run/splits.tsv"
    num_folds = len({row.fold for row in own if row.fold})
    folds = f" --folds {num_folds}" if num_folds else ""
    return (
        f"train with the same splits (genomix train data.fa {splits}{folds} -o ...), or predict the same file with all "
        "and compare that (--labels)"
    )


def _difference(run: Run, first: Run, here: Iterable[str], there: Iterable[str]) -> str:
    """Say how many names are only here or only there, and the first of them; nothing if there are none."""
    here, there = dict.fromkeys(here), dict.fromkeys(there)
    said = []
    for owner, own, others in ((run, here, there), (first, there, here)):
        only = [name for name in own if name not in others]
        if only:
            said.append(f"{len(only)} only in {owner.name} ({quoted(only)})")
    return ", ".join(said)
