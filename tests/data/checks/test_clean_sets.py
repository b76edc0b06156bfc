"""Nothing is raised where there is nothing."""

import numpy as np
import pytest
from made import make_clean


def statuses(found):
    return {name: (check.status, check.sentence) for name, check in found.items() if check.status != "PASS"}


@pytest.mark.parametrize("with_splits", [True, False])
@pytest.mark.parametrize("seed", range(10, 13))
def test_classes_that_differ_in_nothing(checked, seed, with_splits):
    found = checked(make_clean(seed), with_splits=with_splits)
    assert statuses(found) == {}
    assert len(found) == 12


@pytest.mark.parametrize("seed", range(20, 22))
def test_classes_that_differ_by_a_motif_inside(checked, seed):
    made, rng = make_clean(seed), np.random.default_rng(seed)
    for place, sequence in enumerate(made.sequences):
        if made.labels[place] == "a":
            start = int(rng.integers(30, len(sequence) - 50))
            made.sequences[place] = sequence[:start] + "GATTACAGATTACA" + sequence[start + 14 :]
    assert statuses(checked(made)) == {}


@pytest.mark.parametrize("seed", range(30, 32))
@pytest.mark.parametrize("num_records", [6, 12, 24])
def test_few_records_raise_only_that_they_are_few(checked, seed, num_records):
    found = checked(make_clean(seed, num_records=num_records), with_splits=False)
    assert set(statuses(found)) == {"classes"}


def test_five_classes(checked):
    assert statuses(checked(make_clean(40, num_records=600, classes=tuple("abcde")))) == {}


def test_groups_that_are_kept_together(checked):
    made = make_clean(41)
    made.groups[:] = [f"{split}{place % 20}" for place, split in enumerate(made.splits)]
    found = checked(made)
    assert statuses(found) == {}
    assert "groups" in found
