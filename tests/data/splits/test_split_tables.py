"""Tables of splits and folds: what is written is read back, also as labels to train on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_records import records_of

from genomix.data.label_table import read_labels
from genomix.data.splits import (
    SPLIT_NAMES,
    Splits,
    format_splits,
    from_folds,
    is_table_of,
    make_folds,
    make_splits,
    read_folds,
    read_splits,
    take_splits,
    write_folds,
    write_splits,
)
from genomix.errors import CannotWriteError, DataError, NoInputError

cells = st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), min_size=1, max_size=8)


def refuse(message):
    raise AssertionError(message)


@settings(deadline=None)
@given(
    st.lists(st.tuples(cells, st.sampled_from((*SPLIT_NAMES, "unused")), cells), min_size=1, max_size=20), st.booleans()
)
def test_splits_are_read_back_as_splits_and_as_labels(tmp_path_factory, rows, has_groups):
    path = tmp_path_factory.mktemp("splits") / "splits.tsv"
    ids = [f"{name}{number}" for number, (name, _, _) in enumerate(rows)]
    names = [name for _, name, _ in rows]
    groups = [group for _, _, group in rows] if has_groups else None
    labels = [group[::-1] for _, _, group in rows]
    *parts, unused = (
        np.array([row for row, name in enumerate(names) if name == part], dtype=np.int64)
        for part in (*SPLIT_NAMES, "unused")
    )
    write_splits(path, ids, labels, Splits(*parts, groups=groups, unused=unused))
    table = read_splits(path)
    assert (table.ids, table.labels, table.splits.groups) == (ids, labels, groups)
    assert [name or "unused" for name in table.splits.names()] == names
    found = read_labels(str(path), refuse)
    assert [(row.id, row.label, row.split) for row in found] == list(zip(ids, labels, names, strict=True))
    assert [row.group for row in found] == (groups or [None] * len(ids))


@settings(deadline=None)
@given(st.integers(2, 4), st.booleans(), st.sets(st.integers(0, 19), max_size=8), st.integers(0, 99))
def test_folds_are_read_back_as_folds_and_as_labels(tmp_path_factory, num_folds, has_groups, held_out, seed):
    path = tmp_path_factory.mktemp("folds") / "folds.tsv"
    targets = np.arange(20) % 2
    ids, labels = [f"r{row}" for row in range(20)], ["ab"[target] for target in targets]
    groups = [f"g{row}" for row in range(20)] if has_groups else None
    folds = make_folds(targets, num_folds, groups=groups, seed=seed, unused=sorted(held_out))
    write_folds(path, ids, labels, folds)
    expected = ["" if row in held_out else next(one.fold for one in folds if row in one.test) for row in range(20)]
    table = read_folds(path)
    assert (table.ids, table.labels, table.groups, table.folds) == (ids, labels, groups, expected)
    found = read_labels(str(path), refuse)
    assert [row.fold or "" for row in found] == expected
    assert [row.group for row in found] == (groups or [None] * 20)
    assert {row.split for row in found} == ({"test", "train"} if held_out else {None})
    again = from_folds(expected, targets, groups=groups, seed=seed)
    assert [one.names() for one in again] == [one.names() for one in folds]


def test_both_are_files_of_splits(tmp_path):
    targets = [0, 1] * 10
    records = records_of("ab" * 10)
    splits = make_splits(targets, groups=[f"g{row // 2}" for row in range(20)])
    write_splits(tmp_path / "splits.tsv", records.ids, records.labels, splits)
    found = take_splits(records, str(tmp_path / "splits.tsv"), warn=refuse)
    assert (found.splits, found.groups) == (splits.names(), splits.groups)
    folds = make_folds(targets, 3, unused=[4])
    write_folds(tmp_path / "folds.tsv", records.ids, records.labels, folds)
    found = take_splits(records, str(tmp_path / "folds.tsv"), warn=refuse)
    assert found.folds == read_folds(tmp_path / "folds.tsv").folds
    assert found.splits == ["train"] * 4 + ["test"] + ["train"] * 15


def test_they_are_plain_text(tmp_path):
    splits = make_splits([0, 0, 1], groups=["x", "y", "x"], test_fraction=0, seed=1)
    write_splits(tmp_path / "splits.tsv", ["r1", "r2", "r3"], ["a", "a", "b"], splits)
    assert (tmp_path / "splits.tsv").read_text() == "id\tlabel\tgroup\tsplit\n" + "".join(
        f"r{row + 1}\t{'aab'[row]}\t{'xyx'[row]}\t{name}\n" for row, name in enumerate(splits.names())
    )
    folds = from_folds(["1", "2", "1", "2", ""], [0, 1, 0, 1, 0])
    write_folds(tmp_path / "folds.tsv", list("vwxyz"), list("ababa"), folds)
    assert (tmp_path / "folds.tsv").read_text() == (
        "id\tlabel\tsplit\tfold\nv\ta\ttrain\t1\nw\tb\ttrain\t2\nx\ta\ttrain\t1\ny\tb\ttrain\t2\nz\ta\ttest\t\n"
    )


def test_what_a_given_split_calls_unused_is_so_in_a_table_of_folds(tmp_path):
    folds = from_folds(["1", "2", "1", "2", "", ""], [0, 1, 0, 1, 0, 1])
    given = ["train", "train", "val", "train", "test", "unused"]
    write_folds(tmp_path / "folds.tsv", list("uvwxyz"), list("ababab"), folds, given)
    assert [row.split for row in read_labels(str(tmp_path / "folds.tsv"), refuse)] == ["train"] * 4 + given[4:]
    assert read_folds(tmp_path / "folds.tsv").folds == ["1", "2", "1", "2", "", ""]


def test_a_table_of_before_without_unused_records_is_of_the_same_splits():
    splits = Splits(np.array([0, 2]), np.array([3]), np.array([4]), unused=np.array([1]))
    ids, labels = list("vwxyz"), list("abaab")
    table = format_splits(ids, labels, splits)
    older = table.replace("w\tb\tunused\n", "")
    assert older != table
    for text, same in ((table, True), (older, True), (older.replace("test", "val"), False), (table + table, False)):
        assert is_table_of(text, ids, labels, splits) == same


def test_records_held_out_of_all_folds_are_left_out_of_the_splits_of_one(tmp_path):
    (first, _) = from_folds(["1", "2", "", "2", "1"], [0] * 5)
    write_splits(tmp_path / "splits.tsv", list("vwxyz"), list("aaaaa"), first)
    assert read_splits(tmp_path / "splits.tsv").ids == list("vwyz")
    assert first.names()[2] == ""


@pytest.mark.parametrize("place", ["id", "label", "group"])
def test_a_tab_in_a_cell(tmp_path, place):
    row = {"id": "r1", "label": "a", "group": "g"} | {place: "x\ty"}
    splits = make_splits([0], groups=[row["group"]])
    with pytest.raises(DataError, match="has a tab or a line break"):
        write_splits(tmp_path / "splits.tsv", [row["id"]], [row["label"]], splits)
    with pytest.raises(DataError, match="has a tab or a line break"):
        write_folds(tmp_path / "folds.tsv", [row["id"]], [row["label"]], [splits])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(CannotWriteError):
        write_folds(tmp_path / "none" / "folds.tsv", ["r1"], ["a"], [make_splits([0])])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not a table of text with the columns id, label, fold"),
        ("id\tlabel\tsplit\n", ":1: the columns must be id, label, fold or "),
        ("id\tlabel\tfold\nr1\ta\t\n", ":2: must have an id, a label and a fold"),
        ("id\tlabel\tgroup\tfold\nr1\ta\ttest\t\n", ":2: must have an id, a label and a fold"),
        ("id\tlabel\tfold\nr1\ta\t1\nr1\ta\t2\n", ':3: record "r1" is here a second time'),
    ],
)
def test_folds_that_cannot_be_read(tmp_path, content, message):
    path = tmp_path / "folds.tsv"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_folds(path)
    with pytest.raises(NoInputError):
        read_folds(tmp_path / "none.tsv")


LABELS = "id\tlabel\tsplit\tfold\nr0\ta\ttrain\t1\nr1\tb\ttrain\t2\nr2\ta\ttesting\t\nr3\tb\ttest\t2\n"


def test_a_table_of_labels_may_have_folds(tmp_path):
    path = tmp_path / "labels.tsv"
    path.write_text(LABELS)
    told = []
    assert [row.fold for row in read_labels(str(path), told.append)] == ["1", "2", None, "2"]
    assert told == [f'{path}: splits are read as the usual words: "testing" as test']


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LABELS.replace("train\t2", "train\t"), ":3: the fold is empty in 1 of 3 rows"),
        (LABELS.replace("fold", "fold\tfold").replace("\n", "\t\n"), ":1: has the column 'fold' twice"),
        ("r0\ta\tg\ttrain\t1\n", ":1: has 5 columns; labels are a table of 2 to 4 columns"),
    ],
)
def test_folds_of_labels_that_are_wrong(tmp_path, content, message):
    path = tmp_path / "labels.tsv"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_labels(str(path), lambda _: None)
