"""Labels that come with the sequences: in their headers, or as one file per class."""

from __future__ import annotations

import re

from genomix.data.label_table import LabelRow
from genomix.data.store import Store
from genomix.errors import DataError, Problems, UsageError


def labels_from_headers(store: Store, regex: str) -> list[LabelRow]:
    """Take labels from the headers: the group `label` of a regular expression, or its only group.

    Raises:
        UsageError: The expression is wrong or has not one group.
        DataError: Some headers do not match; all of them at once.
    """
    try:
        pattern = re.compile(regex)
    except re.error as error:
        raise UsageError(f"the regular expression {regex!r} is wrong: {error}; mend --label-regex") from None
    if "label" not in pattern.groupindex and pattern.groups != 1:
        raise UsageError(
            f"the regular expression {regex!r} has {pattern.groups} groups; put the label, and only it, in (...),"
            " or call its group label: (?P<label>...)"
        )
    group = "label" if "label" in pattern.groupindex else 1
    problems = Problems()
    rows: list[LabelRow] = []
    for i, header in enumerate(store.headers):
        match = pattern.search(header)
        label = (match[group] or "").strip() if match else ""
        if label:
            rows.append(LabelRow(store.ids[i], label, None, None, store.source(i), store.line(i)))
        else:
            finding = "an empty label" if match else "no label"
            problems.add(
                f'{store.place(i)}: record "{store.ids[i]}": {regex!r} finds {finding} in the header "{header}"'
            )
    problems.raise_if_any()
    return rows


def labels_from_class_files(store: Store, names: list[str]) -> list[LabelRow]:
    """Label each record by the file it is in; `names` has the class of each of `store.files`.

    Raises:
        DataError: A class has no record.
    """
    labels: list[str] = [names[file] for file in store.file_indices.tolist()]
    if empty := sorted(set(names) - set(labels)):
        raise DataError(f"class {empty[0]!r} has no record; mend its file or leave the class out")
    return [LabelRow(store.ids[i], label, None, None, store.source(i), store.line(i)) for i, label in enumerate(labels)]
