"""Records are divided by what the configuration and the labels say, and what cannot be kept is said."""

import numpy as np
import pytest
from made_records import records_of

from genomix.config import DataConfig
from genomix.data.splits import divide_into_folds, divide_records
from genomix.errors import DataError, UsageError

LABELS = "ab" * 15
GROUPS = [f"g{row // 3}" for row in range(30)]
GIVEN = ["train"] * 18 + ["val"] * 6 + ["test"] * 6


def divide(records, seed=0, **data):
    return divide_records(records, DataConfig(**data), seed)


def fold(records, num_folds=None, seed=0, **data):
    return divide_into_folds(records, DataConfig(**data), seed, num_folds)


@pytest.mark.parametrize(
    ("columns", "kind"),
    [
        ({}, "random"),
        ({"groups": GROUPS}, "group"),
        ({"splits": GIVEN}, "given"),
        ({"splits": GIVEN, "groups": GROUPS}, "given"),
    ],
)
def test_auto_takes_what_the_labels_have(columns, kind):
    records = records_of(LABELS, **columns)
    splits = divide(records)
    assert splits.kind == kind
    assert splits.groups == columns.get("groups")
    if kind == "given":
        assert splits.names() == GIVEN
    else:
        assert splits.names() == divide(records, split=kind).names()


def test_groups_stay_whole():
    splits = divide(records_of(LABELS, groups=GROUPS))
    parts = [{GROUPS[row] for row in rows} for rows in (splits.train, splits.val, splits.test)]
    assert sum(map(len, parts)) == 10


def test_random_in_spite_of_groups_is_noted():
    splits = divide(records_of(LABELS, groups=GROUPS), split="random")
    assert splits.groups is None
    assert "the column group of the labels is not used (split random)" in splits.notes[0]


def test_columns_that_are_passed_over_are_noted():
    splits = divide(records_of(LABELS, splits=GIVEN, groups=GROUPS, folds=list("123") * 10), split="group")
    assert splits.notes[:2] == [
        "the column split of the labels is not used (split group)",
        "the column fold of the labels is not used; it is with --folds and --split auto or given",
    ]


def test_the_sequence_of_the_ids():
    ids = [f"chr{row % 5}:{row}-{row + 1}" for row in range(30)]
    splits = divide(records_of(LABELS, ids=ids), split="sequence")
    parts = [{ids[row].split(":")[0] for row in rows} for rows in (splits.train, splits.val, splits.test)]
    assert sorted(map(len, parts)) == [1, 1, 3]
    assert splits.groups == [record_id.split(":")[0] for record_id in ids]


def test_records_of_several_classes_are_in_proportion():
    labels = ["x;y", "y", "x", "-", "z;x"] * 20
    records = records_of(labels, is_multi=True)
    splits = divide(records)
    for rows, share in ((splits.train, 0.7), (splits.val, 0.15), (splits.test, 0.15)):
        counts = records.truth[rows].sum(axis=0)
        assert abs(len(rows) - 100 * share) <= 1
        assert np.all(np.abs(counts - share * records.counts) <= 1)
    for one in fold(records, 5):
        assert np.all(np.abs(records.truth[one.test].sum(axis=0) - records.counts / 5) <= 1)


@pytest.mark.parametrize(
    ("columns", "data", "message"),
    [
        ({}, {"split": "given"}, "the labels have no column split; add it, or name a table of splits"),
        ({"folds": list("12") * 15}, {"split": "given"}, "the labels have no column split"),
        ({}, {"split": "group"}, "the labels have no column group"),
        ({}, {"split": "sequence"}, "30 of 30 ids have no coordinates"),
    ],
)
def test_what_is_not_there_is_named(columns, data, message):
    with pytest.raises(UsageError, match=message):
        divide(records_of(LABELS, **columns), **data)


@pytest.mark.parametrize(
    ("labels", "columns", "data", "message"),
    [
        (
            LABELS,
            {"groups": ["x", "y"] * 15},
            {},
            r"the 30 records are of 2 groups \(x, y\), which stay whole: too few for train, val, test; give",
        ),
        (
            LABELS,
            {"groups": ["x"] * 30},
            {"test_fraction": 0},
            r"of 1 group \(x\), which stay whole: too few for train",
        ),
        (
            LABELS,
            {"groups": ["x", "y", "z"] * 10, "splits": ["test"] + ["train"] * 29},
            {"split": "sequence"},
            "no coordinates",
        ),
        ("ab", {}, {}, "2 records are too few for train, val, test; give more records"),
        (
            "ab" * 6,
            {"splits": ["train", "test"] * 6},
            {},
            "no training record of class 'b': nothing to learn it from; change the split column",
        ),
        ("ab" * 2, {"splits": ["train", "train", "test", "test"]}, {}, "no record to validate on: change the split"),
    ],
)
def test_what_cannot_be_divided(labels, columns, data, message):
    with pytest.raises((DataError, UsageError), match=message):
        divide(records_of(labels, **columns), **data)


def test_a_giant_is_noted():
    splits = divide(records_of(LABELS, groups=["big"] * 24 + [f"g{row}" for row in range(6)]))
    assert (
        "the group 'big' has 24 of 30 records (80 %), which stay on one side: give more groups, or smaller ones"
        in splits.notes
    )
    assert {splits.names()[row] for row in range(24)} == {"train"}
    assert any("parts are not of the size asked for: train has 80 % instead of 70 %" in note for note in splits.notes)


def test_classes_out_of_proportion_are_noted():
    """Class b has 20 records, of which 10 are one group that only train has room for."""
    labels = ["a"] * 80 + ["b"] * 20
    groups = [f"a{row}" for row in range(80)] + ["big"] * 19 + ["b"]
    splits = divide(records_of(labels, groups=groups))
    assert any("classes are not in proportion: train has 95 % instead of 70 % of 'b'" in note for note in splits.notes)


@pytest.mark.parametrize("columns", [{}, {"groups": GROUPS}])
def test_each_record_is_in_one_fold(columns):
    folds = fold(records_of(LABELS, **columns), 3)
    assert sorted(np.concatenate([one.test for one in folds])) == list(range(30))
    assert {one.kind for one in folds} == {"group" if columns else "random"}


def test_the_test_of_a_given_split_is_in_no_fold():
    for columns in ({}, {"groups": [f"g{row // 2}" for row in range(30)]}):
        folds = fold(records_of(LABELS, splits=GIVEN, **columns), 3)
        assert sorted(np.concatenate([one.test for one in folds])) == list(range(24))
        for one in folds:
            assert one.unused.tolist() == list(range(24, 30))
            assert one.names()[24:] == [""] * 6
            assert one.kind == ("group" if columns else "random")
        said = "folds are made of the 24 records of train and val in the column split; its 6"
        assert [sum(note.startswith(said) for note in one.notes) for one in folds] == [1, 0, 0]
    assert folds[0].groups is not None


def test_given_folds_are_used():
    given = [f"f{row % 4}" for row in range(30)]
    for num_folds in (None, 4):
        folds = fold(records_of(LABELS, folds=given), num_folds)
        assert [one.fold for one in folds] == ["f0", "f1", "f2", "f3"]
        assert [given[row] for row in folds[2].test] == ["f2"] * len(folds[2].test)
    folds = fold(records_of(LABELS, folds=given, splits=["test"] * 2 + ["train"] * 28))
    assert folds[0].unused.tolist() == [0, 1]
    assert "2 test records are held out of all folds" in folds[0].notes[0]
    folds = fold(records_of(LABELS, folds=given, splits=["test"] * 2 + ["train"] * 27 + ["unused"]))
    assert folds[0].unused.tolist() == [0, 1, 29]
    assert "3 test and unused records are held out of all folds" in folds[0].notes[0]


def test_unused_records_are_in_no_part():
    splits = divide_records(records_of(LABELS, splits=["unused", *GIVEN[1:]]), DataConfig(), 0)
    assert splits.unused.tolist() == [0]
    assert splits.names()[1:] == list(GIVEN[1:])
    assert any("of 1 records that they are unused" in note for note in splits.notes)
    folds = fold(records_of(LABELS, splits=["unused", *GIVEN[1:]]), 3)
    assert folds[0].unused.tolist() == [0, *range(24, 30)]


def test_given_folds_give_way_to_another_split():
    folds = fold(records_of(LABELS, folds=[f"f{row % 4}" for row in range(30)]), 3, split="random")
    assert [one.fold for one in folds] == ["1", "2", "3"]
    assert "the column fold of the labels is not used" in folds[0].notes[0]


@pytest.mark.parametrize(
    ("columns", "num_folds", "data", "error", "message"),
    [
        ({}, 1, {}, UsageError, "--folds 1: make 2 at least"),
        ({}, None, {}, UsageError, "the labels have no column fold to take"),
        ({}, 31, {}, DataError, "30 records are too few for 31 folds"),
        ({}, 3, {"split": "given"}, UsageError, "no column split"),
        ({"folds": list("123") * 10}, 4, {}, UsageError, "the column fold of the labels has 3; say --folds 3"),
        ({"folds": ["1"] * 30}, None, {}, DataError, "the column fold has '1' only"),
        ({"groups": GROUPS}, 11, {}, DataError, r"of 10 groups \(g0, g1, g2, and 7 more\).*too few for 11 folds"),
        ({"groups": list("xy") * 15}, 2, {}, DataError, "fold 1: no training record of class '[ab]'.*give more groups"),
        ({"splits": ["test"] * 27 + ["train"] * 3}, 4, {}, DataError, "3 records are too few for 4 folds"),
    ],
)
def test_folds_that_cannot_be_made(columns, num_folds, data, error, message):
    with pytest.raises(error, match=message):
        fold(records_of(LABELS, **columns), num_folds, **data)


def test_all_folds_that_lack_a_class_are_named_at_once():
    with pytest.raises(DataError) as caught:
        fold(records_of(LABELS, folds=list("ab") * 15))
    assert str(caught.value).splitlines() == [
        "fold a: no training record of class 'a': nothing to learn it from; change the column fold",
        "fold b: no training record of class 'b': nothing to learn it from; change the column fold",
    ]
