"""What is kept together: groups, sequences by the ids, and what both link."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_records import records_of

from genomix.data.splits.units import Units, by_group, by_record, by_sequence, join_groups, sequence_name
from genomix.errors import UsageError


@pytest.mark.parametrize(
    ("record_id", "name"),
    [
        ("chr2:100-200", "chr2"),
        ("chr2:100-200(+)", "chr2"),
        ("chr2:100-200(-)", "chr2"),
        ("chr2:1,000-2,000", "chr2"),
        ("chr2:100-200:+", "chr2"),
        ("chr2:100-200_negative", "chr2"),
        ("peak_7::chr2:100-200(+)", "chr2"),
        ("NC_000913.3:c5530-5234", "NC_000913.3"),
        ("HLA:A:100-200", "HLA:A"),
        ("chr2_100_200", "chr2"),
        ("chr2_100_200(+)", "chr2"),
        ("chr2L_9899298_9901439_negative", "chr2L"),
        ("chr2_100_200_1", "chr2"),
        ("NC_000001_100_200", "NC_000001"),
        ("NC_000001.11_100_200", "NC_000001.11"),
        ("chrUn_KI270302v1_0_50", "chrUn_KI270302v1"),
        ("chr2", None),
        ("chr2_100", None),
        ("chr2_200_100", None),
        ("NC_011326.1", None),
        ("chr2:100", None),
        (":100-200", None),
        ("_100_200", None),
    ],
)
def test_the_sequence_stands_before_the_coordinates(record_id, name):
    assert sequence_name(record_id) == name


names = st.text(string.ascii_letters + string.digits + "._-|", min_size=1, max_size=20)


@given(names, st.integers(0, 10**9), st.integers(1, 10**6), st.sampled_from(["", "(+)", "(-)"]))
def test_any_name_is_found_again(name, start, length, strand):
    assert sequence_name(f"{name}:{start}-{start + length}{strand}") == name
    assert sequence_name(f"{name}_{start}_{start + length}{strand}") == name


def test_pieces_of_a_sequence_are_a_unit():
    ids = ["chr1:1-5", "chr2:1-5", "chr1:7-9(-)", "chr1_20_30"]
    units = by_sequence(records_of("abab", ids=ids))
    assert units.names == ["chr1", "chr2", "chr1", "chr1"]
    assert units.notes == []


def test_ids_without_coordinates_are_shown():
    ids = ["chr1:1-5", "one", "two", "three", "four"]
    with pytest.raises(UsageError) as caught:
        by_sequence(records_of("ababa", ids=ids))
    message = str(caught.value)
    assert '4 of 5 ids have no coordinates ("one", "two", "three", ...)' in message
    assert "chr2:100-200, chr2:100-200(+) or chr2_100_200" in message


def test_groups():
    assert by_group(records_of("abab", groups=list("xxyy"))).names == list("xxyy")
    with pytest.raises(UsageError, match="the labels have no column group"):
        by_group(records_of("abab"))


def test_groups_that_are_passed_over_are_noted():
    assert by_record(records_of("abab")).notes == []
    (note,) = by_record(records_of("abab", groups=list("xxyy"))).notes
    assert "the column group of the labels is not used (split random)" in note


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=30))
def test_units_and_groups_that_share_records_become_one(pairs):
    """Held against merging by hand, over and over until nothing changes."""
    units = Units([f"u{unit}" for unit, _ in pairs], "cluster", "", [])
    joined = join_groups(units, records_of("a" * len(pairs), groups=[f"g{group}" for _, group in pairs]))
    member = list(range(len(pairs)))
    for _ in pairs:
        for i, one in enumerate(pairs):
            for j, other in enumerate(pairs):
                if one[0] == other[0] or one[1] == other[1]:
                    member[i] = member[j] = min(member[i], member[j])
    for i, first in enumerate(joined.names):
        for j, second in enumerate(joined.names):
            assert (first == second) == (member[i] == member[j])
    num_units, num_groups = len(set(units.names)), len({group for _, group in pairs})
    assert f"{num_units} clusters and {num_groups} groups became {len(set(member))} of both" in joined.notes[0]


def test_without_groups_nothing_is_joined():
    units = Units(["u1", "u2"], "cluster", "", [])
    assert join_groups(units, records_of("ab")) == units
