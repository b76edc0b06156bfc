"""Which part each record goes to: units stay whole, and the parts are as balanced as they allow."""

import time

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


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(2, 12), st.integers(0, 4)), max_size=6),
    st.sampled_from([FRACTIONS, [0.85, 0.0, 0.15], [0.25] * 4]),
    seeds,
)
def test_single_records_make_up_for_what_larger_units_lack(singles, larger, fractions, seed):
    """Each part that gets singles is at the same level of its class to within a record, and no other is below it."""
    num_classes = 5
    larger = [(size, index % len(singles)) for size, index in larger]
    targets = np.concatenate(
        [np.repeat(np.arange(len(singles)), singles), *(np.full(size, index) for size, index in larger)]
    )
    units = np.repeat(np.arange(sum(singles) + len(larger)), [1] * sum(singles) + [size for size, _ in larger])
    parts = assign(targets, units, fractions, seed)
    is_single = np.arange(len(targets)) < sum(singles)
    for index in range(num_classes):
        counts, dealt = (
            np.bincount(parts[(targets == index) & chosen], minlength=len(fractions)).tolist()
            for chosen in (True, is_single)
        )
        for part, fraction in enumerate(fractions):
            if not fraction:
                assert counts[part] == 0
                continue
            for other, share in enumerate(fractions):
                if share and dealt[other] > 1:
                    assert (counts[other] - 1) / share <= (counts[part] + 1) / fraction + 1e-6


def test_larger_units_of_one_class_leave_its_singles_to_the_other_parts():
    """A unit of 16 of 20 records is in train, which has room for 14; the four singles are shared by val and test."""
    parts = assign([0] * 20 + [1] * 20, [0] * 16 + list(range(1, 25)))
    assert set(parts[:16]) == {0}
    assert np.bincount(parts[16:20], minlength=3).tolist() == [0, 2, 2]
    assert np.bincount(parts[20:], minlength=3).tolist() == [14, 3, 3]


def test_rounding_does_not_add_up_over_classes_of_single_records():
    for seed in range(5):
        parts = assign(np.repeat(np.arange(40), 7), np.arange(280), seed=seed)
        assert np.abs(np.bincount(parts) - 280 * np.array(FRACTIONS)).max() <= 2


def test_too_few_singles_go_to_train_and_then_to_the_first_of_like_parts():
    targets = np.repeat([0, 1, 2], [60, 2, 1])
    for seed in range(5):
        parts = assign(targets, np.arange(63), seed=seed)
        assert sorted(parts[60:62]) == [0, 1]
        assert parts[62] == 0


def test_which_singles_are_where_is_drawn():
    targets, units = np.repeat([0, 1], 50), np.arange(100)
    first, again, other = (assign(targets, units, seed=seed).tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_numbers_are_made_to_be_without_gaps():
    assert number_units(np.array([7, 3, 7, 0])).tolist() == [2, 1, 2, 0]
    assert number_units(np.array([], dtype=np.int64)).tolist() == []


def test_many_single_records_take_no_time():
    """A quarter of a million, which one after the other took several seconds."""
    began = time.process_time()
    units = np.arange(240_000)
    parts = assign(units % 3, units)
    assert np.bincount(parts).tolist() == [168_000, 36_000, 36_000]
    assert time.process_time() - began < 1.5
