"""Regions of a BED file: what is read, what is refused, and how they are merged."""

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genomix.data.regions import Region, check_regions, merge_regions, read_regions
from genomix.errors import DataError, NoInputError, Problems

SIZES = {"chr1": 100, "chr2": 50, "scaffold_7": 30}


def read(path):
    problems = Problems()
    return read_regions(str(path), problems), problems.messages


def write(tmp_path, text):
    (tmp_path / "r.bed").write_text(text)
    return tmp_path / "r.bed"


def test_what_a_bed_file_may_hold(tmp_path):
    path = write(
        tmp_path, "# note\ntrack name=x\nbrowser position chr1\n\nchr1\t0\t10\tgene\t5\t+\nchr2 5 6\r\nchr1\t3\t4\n"
    )
    regions, problems = read(path)
    assert problems == []
    assert [region[:3] for region in regions] == [("chr1", 0, 10), ("chr2", 5, 6), ("chr1", 3, 4)]
    assert [region.place for region in regions] == [f"{path}:{line}" for line in (5, 6, 7)]


def test_sequences_called_like_a_header_are_regions(tmp_path):
    assert read(write(tmp_path, "tracks\t0\t10\n"))[0][0].sequence == "tracks"


def test_compressed(tmp_path):
    (tmp_path / "r.bed.gz").write_bytes(gzip.compress(b"chr1\t0\t10\n"))
    assert len(read(tmp_path / "r.bed.gz")[0]) == 1


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("chr1\t5", "has 2 columns"),
        ("chr1\ta\t9", "start is 'a'"),
        ("chr1\t-1\t9", "start is '-1'"),
        ("chr1\t1\t9.5", "end is '9.5'"),
        ("chr1\t9\t9", "start 9 is not before end 9"),
        ("chr1\t9\t3", "start 9 is not before end 3"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, finding):
    path = write(tmp_path, f"chr1\t0\t4\n{line}\n")
    regions, (problem,) = read(path)
    assert len(regions) == 1
    assert problem.startswith(f"{path}:2: ")
    assert finding in problem


def test_all_problems_are_found_at_once(tmp_path):
    problems = Problems()
    regions = read_regions(
        str(write(tmp_path, "1\t0\t4\nchr1\tx\t4\nchr2\t0\t51\nscafold_7\t0\t9\nchr2\t0\t50\n")), problems
    )
    check_regions(regions, SIZES, problems)
    assert problems.total == 4
    with pytest.raises(DataError) as raised:
        problems.raise_if_any()
    for words in ("did you mean 'chr1'?", "start is 'x'", "beyond the 50 bp of 'chr2'", "did you mean 'scaffold_7'?"):
        assert words in str(raised.value)


def test_an_empty_file_is_no_input(tmp_path):
    with pytest.raises(NoInputError, match="holds no regions"):
        read(write(tmp_path, "# nothing\n"))


intervals = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 30), st.integers(1, 10)).map(
        lambda given: Region(given[0], given[1], given[1] + given[2], "")
    )
)


@given(intervals)
def test_merged_regions_hold_the_same_bases_in_disjoint_intervals(regions):
    merged = merge_regions(regions)
    for name in ("a", "b"):
        plain = np.zeros(50, bool)
        for region in regions:
            plain[region.start : region.end] |= region.sequence == name
        found = merged.get(name, np.empty((0, 2), int))
        bases = np.zeros(50, bool)
        for start, end in found:
            bases[start:end] = True
        assert (bases == plain).all()
        assert (found[1:, 0] > found[:-1, 1]).all()
