import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genomix.data.splits import SPLIT_NAMES, Splits, from_column, make_splits, read_splits, write_splits
from genomix.errors import CannotWriteError, DataError, NoInputError

seeds = st.integers(0, 2**32 - 1)
class_sizes = st.lists(st.integers(0, 60), min_size=1, max_size=6)
fractions = st.sampled_from([0.0, 0.05, 0.15, 0.2, 0.33])


def of_sizes(sizes, seed=0):
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))


def parts_of(splits):
    return splits.train, splits.val, splits.test


def assert_a_partition(splits, num_records):
    together = np.concatenate(parts_of(splits))
    assert sorted(together) == list(range(num_records))
    for rows in parts_of(splits):
        assert rows.dtype == np.int64
        assert np.all(np.diff(rows) > 0)


@given(class_sizes, fractions, fractions, seeds)
def test_classes_are_in_proportion(sizes, val_fraction, test_fraction, seed):
    targets = of_sizes(sizes)
    splits = make_splits(targets, val_fraction=val_fraction, test_fraction=test_fraction, seed=seed)
    assert_a_partition(splits, len(targets))
    shares = (1 - val_fraction - test_fraction, val_fraction, test_fraction)
    for index, size in enumerate(sizes):
        for rows, share in zip(parts_of(splits), shares, strict=True):
            count = np.sum(targets[rows] == index)
            if size * min(filter(None, shares)) >= 1:  # no part has to be given its one record
                assert abs(count - size * share) < 1 + 1e-9
            if share == 0:
                assert count == 0
            elif size >= 3:
                assert count >= 1


@given(class_sizes, seeds)
def test_rounding_does_not_add_up_over_classes(sizes, seed):
    sizes = [size + 7 for size in sizes]
    splits = make_splits(of_sizes(sizes), seed=seed)
    for rows, share in zip(parts_of(splits), (0.7, 0.15, 0.15), strict=True):
        assert abs(len(rows) - share * sum(sizes)) <= 2


@pytest.mark.parametrize(("size", "counts"), [(1, (1, 0, 0)), (2, (1, 0, 1)), (3, (1, 1, 1)), (4, (2, 1, 1))])
def test_tiny_classes(size, counts):
    targets = of_sizes([40, size])
    splits = make_splits(targets, seed=1)
    assert tuple(np.sum(targets[rows] == 1) for rows in parts_of(splits)) == counts
    assert len(splits.notes) == counts.count(0)


def test_notes_name_the_class():
    splits = make_splits(of_sizes([40, 2]), classes=["human", "worm"])
    assert splits.notes == ["class 'worm' has no record in val: it has too few records"]


def test_two_records_of_a_class_without_a_test_part():
    splits = make_splits(np.array([0, 0]), test_fraction=0)
    assert [len(rows) for rows in parts_of(splits)] == [1, 1, 0]
    assert splits.notes == []


def test_no_records():
    assert [len(rows) for rows in parts_of(make_splits(np.array([], dtype=int)))] == [0, 0, 0]
    assert [len(rows) for rows in parts_of(make_splits(np.array([], dtype=int), groups=[]))] == [0, 0, 0]


def test_the_seed_decides():
    targets = of_sizes([50, 50])
    groups = list(range(100))
    for kwargs in ({}, {"groups": groups}):
        first, again, other = (make_splits(targets, seed=seed, **kwargs).names() for seed in (1, 1, 2))
        assert first == again
        assert first != other


@settings(deadline=None)
@given(class_sizes, st.integers(1, 30), fractions, fractions, seeds)
def test_groups_never_straddle(sizes, num_groups, val_fraction, test_fraction, seed):
    targets = of_sizes(sizes)
    groups = np.random.default_rng(seed).integers(num_groups, size=len(targets)).tolist()
    splits = make_splits(targets, groups=groups, val_fraction=val_fraction, test_fraction=test_fraction, seed=seed)
    assert_a_partition(splits, len(targets))
    seen = [{groups[row] for row in rows} for rows in parts_of(splits)]
    assert sum(map(len, seen)) == len(set(groups))
    if not val_fraction:
        assert not len(splits.val)
    num_parts = sum(fraction > 0 for fraction in (1, val_fraction, test_fraction))
    if len(set(targets)) == 1 and len(set(groups)) >= num_parts:
        assert sum(map(bool, seen)) == num_parts


@given(st.lists(st.integers(3, 9), min_size=1, max_size=5), st.integers(1, 6), seeds)
def test_a_class_of_three_groups_is_in_every_part(groups_per_class, group_size, seed):
    targets = np.repeat(np.repeat(np.arange(len(groups_per_class)), groups_per_class), group_size)
    groups = np.repeat(np.arange(sum(groups_per_class)), group_size).tolist()
    splits = make_splits(targets, groups=groups, seed=seed)
    assert not [note for note in splits.notes if "no record" in note]
    for rows in parts_of(splits):
        assert set(targets[rows]) == set(targets)


def test_many_groups_are_divided_in_proportion():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(300), rng.integers(1, 8, size=300))
    targets = (groups % 3) * (rng.random(len(groups)) < 0.8)
    splits = make_splits(targets, groups=groups.tolist(), seed=0)
    for index in range(3):
        size = np.sum(targets == index)
        for rows, share in zip(parts_of(splits), (0.7, 0.15, 0.15), strict=True):
            assert np.sum(targets[rows] == index) / size == pytest.approx(share, abs=0.02)


def test_records_without_a_group_are_groups_of_their_own():
    targets = np.zeros(100, dtype=int)
    splits = make_splits(targets, groups=[""] * 50 + [None] * 50)
    assert [len(rows) for rows in parts_of(splits)] == [70, 15, 15]
    together = make_splits(targets, groups=[0] * 70 + [""] * 30)
    assert set(together.names()[:70]) == {"train"}


@pytest.mark.parametrize(
    "kwargs", [{"val_fraction": 0.6, "test_fraction": 0.4}, {"val_fraction": -0.1}, {"groups": [1]}]
)
def test_impossible_arguments_are_refused(kwargs):
    with pytest.raises(ValueError, match=r"none to train on|do not fit"):
        make_splits([0, 1], **kwargs)


def test_a_column_is_taken_as_it_is():
    splits = from_column(["test", "train", "val", "train"], [0, 1, 0, 1])
    assert [rows.tolist() for rows in parts_of(splits)] == [[1, 3], [2], [0]]
    assert splits.names() == ["test", "train", "val", "train"]
    assert splits.notes == []


def test_a_column_without_val_gives_some_of_train():
    targets = of_sizes([40, 20])
    column = ["test"] * 10 + ["train"] * 50
    splits = from_column(column, targets, val_fraction=0.2, seed=3)
    assert_a_partition(splits, 60)
    assert splits.test.tolist() == list(range(10))
    assert len(splits.val) == 10
    assert np.mean(targets[splits.val]) == pytest.approx(np.mean(targets[10:]), abs=0.1)
    assert splits.notes == ["the column split has no val: 10 of 50 train records became val"]


def test_a_column_without_val_keeps_groups_together():
    groups = np.repeat(np.arange(12), 5).tolist()
    splits = from_column(["train"] * 60, [0] * 60, groups=groups)
    assert not {groups[row] for row in splits.val} & {groups[row] for row in splits.train}
    assert len(splits.val)
    assert "no test" in splits.notes[0]


def test_a_wrong_column_is_reported_whole():
    with pytest.raises(DataError) as caught:
        from_column(["train", "dev", ""], [0, 0, 0])
    assert str(caught.value).splitlines() == [
        "record 2: the split 'dev' is not train, val, test or unused; mend the column split",
        "record 3: the split '' is not train, val, test or unused; mend the column split",
    ]
    with pytest.raises(DataError, match="no train"):
        from_column(["test"], [0])


@given(st.lists(st.sampled_from(SPLIT_NAMES), max_size=20))
def test_written_splits_are_read_back(tmp_path_factory, names):
    path = tmp_path_factory.mktemp("splits") / "splits.tsv"
    rows = [[row for row, name in enumerate(names) if name == part] for part in SPLIT_NAMES]
    splits = Splits(*(np.array(part, dtype=np.int64) for part in rows))
    ids, labels = [f'r"{row}' for row in range(len(names))], ["a b"] * len(names)
    write_splits(path, ids, labels, splits)
    table = read_splits(path)
    assert (table.ids, table.labels, table.splits.names()) == (ids, labels, names)


def test_the_table_is_plain_text(tmp_path):
    path = tmp_path / "splits.tsv"
    write_splits(path, ["r1", "r2"], ["a", "b"], from_column(["train", "val"], [0, 1]))
    assert path.read_bytes() == b"id\tlabel\tsplit\nr1\ta\ttrain\nr2\tb\tval\n"


def test_what_cannot_be_written(tmp_path):
    splits = from_column(["train", "val"], [0, 1])
    with pytest.raises(DataError, match="tab"):
        write_splits(tmp_path / "splits.tsv", ["r1", "r\t2"], ["a", "b"], splits)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(CannotWriteError):
        write_splits(tmp_path / "none" / "splits.tsv", ["r1", "r2"], ["a", "b"], splits)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not a table"),
        ("id\tsplit\n", ":1: the columns must be"),
        ("id\tlabel\tsplit\nr1\ta\tdev\n", ":2: must have"),
        ("id\tlabel\tsplit\nr1\ta\ttrain\n\nr1\ta\ttest\n", ':4: record "r1" is here a second time'),
    ],
)
def test_what_cannot_be_read(tmp_path, content, message):
    path = tmp_path / "splits.tsv"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_splits(path)
    with pytest.raises(NoInputError):
        read_splits(tmp_path / "none.tsv")
