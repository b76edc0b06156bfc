"""Which class each record belongs to, from whichever of the four places says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from genomix.data.compression import STDIN
from genomix.data.label_sets import PLAIN, LabelKind, label_kind
from genomix.data.label_table import LabelRow, has_label_column, read_labels
from genomix.data.labelled import LabelledRecords, OnMissing, join_labels
from genomix.data.records import OnInvalid, expand_inputs
from genomix.data.store import build_store
from genomix.data.store_labels import labels_from_class_files, labels_from_headers
from genomix.errors import Problems, UsageError

__all__ = [
    "LabelKind",
    "LabelRow",
    "LabelledRecords",
    "OnMissing",
    "join_labels",
    "label_kind",
    "labels_from_class_files",
    "labels_from_headers",
    "load_labelled",
    "read_labels",
]

_FOUR_WAYS = (
    "no labels are given; name a table with the columns id and label after the sequences, or a regular expression for"
    " the headers (--label-regex), or one file per class (NAME=FILE), or give a table of sequences with a column label"
)


def load_labelled(
    sequences: Sequence[str],
    labels: str | None,
    *,
    label_regex: str | None = None,
    class_files: Sequence[tuple[str, str]] = (),
    on_invalid: OnInvalid = "error",
    on_missing: OnMissing = "error",
    cache_dir: Path | None = None,
    min_per_class: int = 3,
    min_classes: int = 2,
    kind: LabelKind = PLAIN,
    warn: Callable[[str], None],
) -> LabelledRecords:
    """Read sequences and their labels, from whichever of the four places has them.

    Args:
        sequences: Files, directories or `-`; none with `class_files`.
        labels: A table of labels; without it and the next two, the column `label` of tables of sequences.
        label_regex: Finds the label in each header; see `labels_from_headers`.
        class_files: Pairs of a class and a file or directory of its records.
        on_invalid: See `genomix.data.records.read_records`.
        on_missing: See `join_labels`.
        cache_dir: See `genomix.data.store.build_store`.
        min_per_class: See `join_labels`.
        min_classes: See `join_labels`.
        kind: See `join_labels`.
        warn: Told what the user should know, a sentence at a time.

    Raises:
        UsageError: There are no labels, or more than one source of them.
        NoInputError: An input does not exist or is empty.
        DataError: Records or labels are bad; all of them at once.
        CannotWriteError: The cache cannot be written.
    """
    if sum((labels is not None, label_regex is not None, bool(class_files))) > 1:
        raise UsageError("labels are given in more than one way; choose the table, --label-regex or NAME=FILE")
    if class_files and sequences:
        raise UsageError("sequences are given both as files of their own and as NAME=FILE; choose one way")
    if labels == STDIN and STDIN in sequences:
        raise UsageError("both sequences and labels are to come from stdin (-); save one of them as a file")
    warnings: list[str] = []
    problems = Problems()

    def tell(message: str) -> None:
        warnings.append(message)
        warn(message)

    files = expand_inputs([path for _, path in class_files] or sequences, tell)
    rows: list[LabelRow] = []
    if labels is not None:
        rows = read_labels(labels, tell, problems)
    elif not label_regex and not class_files:
        for file in files:
            if file == STDIN or not Path(file).is_file() or not has_label_column(file):
                raise UsageError(_FOUR_WAYS)
        for file in files:
            rows += read_labels(file, tell, problems)
    store = build_store(files, cache_dir=cache_dir, on_invalid=on_invalid, log=tell, problems=problems)
    if label_regex is not None:
        rows = labels_from_headers(store, label_regex)
    elif class_files:
        names = [name for name, path in class_files for _ in expand_inputs([path], lambda _: None)]
        rows = labels_from_class_files(store, names)
    joined = join_labels(
        store,
        rows,
        on_missing=on_missing,
        min_per_class=min_per_class,
        min_classes=min_classes,
        kind=kind,
        warn=tell,
    )
    joined.warnings = warnings
    return joined
