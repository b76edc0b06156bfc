"""What is read and explained, and what is refused."""

import numpy as np
import pytest
from explained import random_tokens
from hypothesis import given
from hypothesis import strategies as st

from genomix.data.records import Record
from genomix.errors import DataError, NoInputError, UsageError
from genomix.explain.reading import Region, choose_readings, parse_region


def records(**lengths):
    return [Record(name, name, random_tokens(length), "x.fa", 1) for name, length in lengths.items()]


def choose(found, *regions, max_length=100, **ways):
    return choose_readings(found, [parse_region(region) for region in regions], max_length, **ways)


def test_regions():
    assert parse_region("chr1:1,000-2,000") == Region("chr1:1,000-2,000", "chr1", 1000, 2000)
    assert parse_region("a:b:3-4")[1:] == ("a:b", 3, 4)
    assert parse_region("contig")[1:] == ("contig", None, None)
    for text in ("a:5-5", "a:6-5"):
        with pytest.raises(UsageError, match="holds no base"):
            parse_region(text)


def test_whole_records_where_nothing_is_asked_for():
    readings = choose(records(a=30, b=100))
    assert [(one.id, one.offset, one.start, one.end, len(one.tokens)) for one in readings] == [
        ("a", 0, 0, 30, 30),
        ("b", 0, 0, 100, 100),
    ]


def test_in_the_order_of_the_input():
    readings = choose(records(a=30, b=50), "b:10-20", "a", "b:0-5")
    assert [(one.id, one.start, one.end) for one in readings] == [("a", 0, 30), ("b", 0, 5), ("b", 10, 20)]
    assert all(len(one.tokens) == one.length for one in readings)


def test_ids_that_look_like_regions():
    (one,) = choose(records(**{"chr1:5-25": 20}), "chr1:5-25")
    assert (one.start, one.end) == (0, 20)
    (one,) = choose(records(**{"chr1:5-25": 20}), "chr1:5-25:3-4")
    assert (one.start, one.end) == (3, 4)


@given(length=st.integers(101, 400), start=st.integers(0, 399), size=st.integers(1, 100))
def test_windows_hold_the_region_in_their_middle(length, start, size):
    start = min(start, length - 1)
    end = min(length, start + size)
    whole = records(a=length)[0].tokens
    (one,) = choose(records(a=length), f"a:{start}-{end}")
    assert len(one.tokens) == 100
    np.testing.assert_array_equal(one.tokens[one.explained], whole[start:end])
    np.testing.assert_array_equal(one.tokens, whole[one.offset : one.offset + 100])
    before, behind = start - one.offset, one.offset + 100 - end
    assert abs(before - behind) <= 1 or one.offset in (0, length - 100)


def test_longer_records():
    with pytest.raises(UsageError, match=r"200 bp are more than the 100 .* --region a:0-100, or .* --long whole"):
        choose(records(a=200))
    with pytest.raises(UsageError, match="150 bp are more"):
        choose(records(a=200), "a:0-150")
    assert len(choose(records(a=200), whole=True)[0].tokens) == 200
    assert len(choose(records(a=200), max_length=None)[0].tokens) == 200


def test_what_is_not_there():
    with pytest.raises(UsageError) as raised:
        choose(records(contig1=50), "contg1:0-5", "contig1:40-51")
    assert "no record 'contg1'; did you mean 'contig1'?" in str(raised.value)
    assert "'contig1' has 50 bp" in str(raised.value)
    with pytest.raises(NoInputError):
        choose([])


def test_overlaps():
    with pytest.raises(UsageError, match="overlaps a:0-10"):
        choose(records(a=50), "a:9-12", "a:0-10")
    assert len(choose(records(a=50, b=50), "a:10-12", "a:0-10", "b:0-10")) == 3


def test_twice_the_same_id():
    with pytest.raises(DataError, match="second time"):
        choose(records(a=50) + records(a=40))
    with pytest.raises(DataError, match="second time"):
        choose(records(a=50) + records(a=40), "a:0-5")
    assert len(choose(records(a=50, b=1) + records(b=2), "a:0-5")) == 1


def test_records_with_a_problem():
    bad = records(a=50)
    bad[0].problem = "no sequence"
    assert [one.id for one in choose(bad + records(b=10))] == ["b"]
    with pytest.raises(DataError, match=r"x\.fa:1.*no sequence"):
        choose(bad, "a:0-5")
