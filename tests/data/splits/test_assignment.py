"""Which part each record goes to: units stay whole, and the parts are as balanced as they allow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genomix.data.splits.assignment import assign_units, deal_records, number_units

seeds = st.integers(0, 2**32 - 1)
FRACTIONS = [0.7, 0.15, 0.15]


def assign(targets, units, fractions=FRACTIONS, seed=0, train=0):
    rng = np.random.default_rng(seed)
    return assign_units(np.asarray(targets), np.asarray(units), fractions, rng, train=train)


@given(st.lists(st.integers(0, 4), max_size=80), st.integers(1, 9), seeds)
def test_dealt_parts_differ_by_one_record_at_most(targets, num_parts, seed):
    targets = np.array(targets, dtype=np.int64)
    parts = deal_records(targets, num_parts, np.random.default_rng(seed))
    for chosen in (targets >= 0, *(targets == index for index in range(5))):
        counts = np.bincount(parts[chosen], minlength=num_parts)
        assert len(counts) == num_parts
        assert counts.max() - counts.min() <= 1


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), max_size=60),
    st.sampled_from([FRACTIONS, [0.2, 0.4, 0.4]]),
    seeds,
    st.booleans(),
)
def test_units_stay_whole_and_every_class_is_learnt(records, fractions, seed, may_have_several):
    """However classes are spread over units, and also where a record has several classes or none."""
    units = number_units([unit + 1 for unit, _ in records])
    targets = np.array([index for _, index in records], dtype=np.int64)
    if may_have_several:
        targets = np.random.default_rng(seed).random((len(records), 4)) < 0.4
        has_class = targets
    else:
        has_class = targets[:, None] == np.arange(4)
    parts = assign(targets, units, fractions, seed)
    assert set(parts) <= {0, 1, 2}
    for unit in set(units):
        assert len(set(parts[units == unit])) == 1
    for index in range(4):
        if has_class[:, index].any():
            assert has_class[parts == 0, index].any()
    assert parts.tolist() == assign(targets, units, fractions, seed).tolist()


@given(st.lists(st.integers(0, 40), min_size=1, max_size=4), st.integers(1, 5), seeds)
def test_units_of_one_size_are_divided_in_proportion(units_per_class, size, seed):
    targets = np.repeat(np.repeat(np.arange(len(units_per_class)), units_per_class), size)
    parts = assign(targets, np.repeat(np.arange(sum(units_per_class)), size), seed=seed)
    for index, num_units in enumerate(units_per_class):
        if num_units * min(FRACTIONS) < 1:
            continue
        for part, fraction in enumerate(FRACTIONS):
            assert abs(np.sum(parts[targets == index] == part) / size - num_units * fraction) < 2


@pytest.mark.parametrize("sizes", [[4], [8, 6], [10, 4], [14]])
def test_large_units_go_where_there_is_room_for_them(sizes):
    """Of 20 records a test of 15 % has room for 3."""
    units = np.repeat(np.arange(20), [*sizes, *[1] * (20 - sum(sizes)), *[0] * (sum(sizes) - len(sizes))])
    parts = assign([0] * 20, units)
    assert set(parts[: sum(sizes)]) == {0}
    assert np.bincount(parts).tolist() == [14, 3, 3]


def test_the_last_unit_of_a_class_is_for_training():
    """Class 1 has one unit, which would go to one of the larger parts."""
    targets, units = [0] * 18 + [0, 1], [*range(18), 18, 18]
    assert assign(targets, units, [0.2, 0.4, 0.4])[-1] == 0
    assert assign(targets, units, [0.2, 0.4, 0.4], train=None)[-1] != 0


def test_a_class_of_as_many_units_as_parts_is_in_each():
    targets = np.repeat([0, 1], [60, 3])
    for seed in range(10):
        parts = assign(targets, np.arange(63), seed=seed)
        assert sorted(parts[60:]) == [0, 1, 2]


def test_a_part_without_a_share_gets_nothing():
    assert set(assign([0, 1] * 10, np.arange(20), [0.5, 0.0, 0.5])) == {0, 2}


def test_many_single_records_take_no_time():
    units = np.arange(20_000)
    parts = assign(units % 3, units)
    assert np.bincount(parts).tolist() == [14_000, 3_000, 3_000]
