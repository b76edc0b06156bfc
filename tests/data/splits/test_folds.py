"""Folds: each record is tested once, and nothing that stays whole is on both sides."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genomix.data.splits import from_folds, make_folds
from genomix.errors import DataError

seeds = st.integers(0, 2**32 - 1)


def assert_folds(folds, num_records, held_out=()):
    tested = np.concatenate([one.test for one in folds])
    assert sorted(tested) == sorted(set(range(num_records)) - set(held_out))
    for one in folds:
        together = np.concatenate([one.train, one.val, one.test, one.unused])
        assert sorted(together) == list(range(num_records))
        assert one.unused.tolist() == sorted(held_out)
        for rows in (one.train, one.val, one.test):
            assert np.all(np.diff(rows) > 0)


@settings(deadline=None)
@given(st.lists(st.integers(0, 2), min_size=12, max_size=60), st.integers(2, 6), seeds, st.sets(st.integers(0, 5)))
def test_folds_at_random(targets, num_folds, seed, held_out):
    folds = make_folds(targets, num_folds, seed=seed, unused=sorted(held_out))
    assert [one.fold for one in folds] == [str(number + 1) for number in range(num_folds)]
    assert_folds(folds, len(targets), held_out)
    inside = np.array([row not in held_out for row in range(len(targets))])
    for index in set(targets):
        counts = [np.sum(np.array(targets)[one.test] == index) for one in folds]
        assert max(counts) - min(counts) <= 1
        assert sum(counts) == np.sum(np.array(targets)[inside] == index)
    again = make_folds(targets, num_folds, seed=seed, unused=sorted(held_out))
    assert [one.names() for one in again] == [one.names() for one in folds]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=20, max_size=60), seeds, st.booleans())
def test_folds_of_groups(records, seed, may_have_several):
    groups = [f"g{group}" for group, _ in records]
    targets = np.array([index for _, index in records])
    if may_have_several:
        targets = np.random.default_rng(seed).random((len(records), 3)) < 0.5
    num_groups = len(set(groups))
    if num_groups < 3:
        return
    folds = make_folds(targets, 3, groups=groups, seed=seed)
    assert_folds(folds, len(groups))
    for one in folds:
        parts = [{groups[row] for row in rows} for rows in (one.train, one.val, one.test)]
        assert sum(map(len, parts)) == num_groups
        assert one.groups == groups


def test_val_is_a_part_of_the_rest_in_proportion():
    targets = np.repeat([0, 1], [200, 100])
    for one in make_folds(targets, 5, val_fraction=0.25, seed=4):
        assert (len(one.train), len(one.val), len(one.test)) == (180, 60, 60)
        assert np.sum(targets[one.val] == 1) == 20


def test_the_seed_decides():
    targets = [0, 1] * 30
    first, other = ([one.names() for one in make_folds(targets, 4, seed=seed)] for seed in (1, 2))
    assert first != other


@pytest.mark.parametrize("num_folds", [0, 1, 4])
def test_impossible_numbers(num_folds):
    with pytest.raises(ValueError, match=f"{num_folds} folds cannot be made of 3 groups"):
        make_folds([0, 1] * 3, num_folds, groups=[1, 1, 2, 2, 3, 3])


def test_notes_on_all_folds_are_with_the_first_and_others_name_the_fold():
    folds = make_folds([0] * 10 + [1], 2, classes=["human", "worm"])
    common, *inner = [note for one in folds for note in one.notes]
    assert common == folds[0].notes[0]
    assert common.startswith("class 'worm' has no record in fold ")
    assert len(inner) == 1
    assert re.fullmatch("fold [12]: class 'worm' has no record in val: it has too few records", inner[0])


def test_folds_of_groups_of_one_record_are_as_even_as_those_of_records():
    targets = np.random.default_rng(1).permutation(np.repeat([0, 1, 2], [200, 60, 7]))
    folds = make_folds(targets, 4, groups=[f"g{row}" for row in range(267)], seed=3)
    assert_folds(folds, 267)
    for index in range(3):
        counts = [np.sum(targets[one.test] == index) for one in folds]
        assert max(counts) - min(counts) <= 1
    sizes = [len(one.test) for one in folds]
    assert max(sizes) - min(sizes) <= 1


def test_given_folds_are_taken_in_natural_order():
    names = ["west", "a10", "a2", "", "a2", "west", "a10"] * 4
    folds = from_folds(names, [0, 1] * 14, seed=3)
    assert [one.fold for one in folds] == ["a2", "a10", "west"]
    assert_folds(folds, 28, [row for row, name in enumerate(names) if not name])
    for one in folds:
        assert {names[row] for row in one.test} == {one.fold}
        assert one.notes == []


def test_given_folds_that_tear_groups_are_noted():
    folds = from_folds(["1", "2"] * 6, [0] * 12, groups=["a"] * 2 + ["b", "c"] * 5)
    assert "1 of 3 groups have records in more than one fold, such as 'a'" in folds[0].notes[0]


@pytest.mark.parametrize(("names", "found"), [(["x", "x", ""], "'x' only"), (["", ""], "no name only")])
def test_one_fold_is_none(names, found):
    with pytest.raises(DataError, match=f"the column fold has {found}; name 2 folds at least"):
        from_folds(names, [0] * len(names))
