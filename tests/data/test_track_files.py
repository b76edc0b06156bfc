"""Files of tracks: every format holds the same numbers, in files that are whole or not there."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from genomix.data.track_files import TrackWriter, check_track_output, is_track_file, output_paths
from genomix.errors import CannotWriteError, DataError, UsageError

SIZES = {"chr2": 100, "chr10": 50, "bare": 20}
NAMES = ["virus", "not virus"]
FORMATS = ["s.bw", "s.bigWig", "s.bedgraph", "s.bedGraph.gz", "s.bed", "s.bed.gz", "s.tsv", "s.tsv.gz", "s.parquet"]
CONTENT = {
    "chr2": [(0, 5, (0.1, 0.9)), (10, 20, (1 / 3, 2 / 3)), (20, 100, (1e-9, 1.0))],
    "chr10": [(49, 50, (0.75, 0.25))],
}


def write(path, content=CONTENT, sizes=SIZES, names=NAMES, step=1, **options):
    with TrackWriter(path, sizes, names, **options) as writer:
        for sequence, rows in content.items():
            for first in range(0, len(rows), step):
                starts, ends, values = zip(*rows[first : first + step], strict=True)
                writer.write(sequence, np.array(starts), np.array(ends), np.array(values))


def text(path):
    return gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()


def rows_of(path):
    return [
        (name, int(start), int(end), tuple(np.float32(value) for value in values))
        for name, start, end, *values in (line.split("\t") for line in text(path).splitlines()[1:])
    ]


def by_pybigwig(path):
    """What another library than the one that wrote them finds in a bigWig."""
    pybigwig = pytest.importorskip("pyBigWig")
    with pybigwig.open(str(path)) as file:
        return {name: file.intervals(name) for name in file.chroms()}, dict(file.chroms())


def expected(track, content=CONTENT):
    return {
        name: tuple((start, end, np.float32(values[track])) for start, end, values in rows)
        for name, rows in content.items()
        if rows
    }


def test_a_table_has_a_column_a_track(tmp_path):
    write(tmp_path / "s.tsv")
    assert text(tmp_path / "s.tsv").splitlines()[:2] == [
        "sequence\tstart\tend\tvirus\tnot virus",
        "chr2\t0\t5\t0.1\t0.9",
    ]
    assert rows_of(tmp_path / "s.tsv") == [
        (name, start, end, tuple(map(np.float32, values))) for name in CONTENT for start, end, values in CONTENT[name]
    ]


def test_parquet_equals_the_table(tmp_path):
    write(tmp_path / "s.parquet")
    write(tmp_path / "s.tsv")
    table = parquet.read_table(tmp_path / "s.parquet")
    assert table.column_names == ["sequence", "start", "end", *NAMES]
    rows = [(r["sequence"], r["start"], r["end"], tuple(np.float32(r[n]) for n in NAMES)) for r in table.to_pylist()]
    assert rows == rows_of(tmp_path / "s.tsv")


def test_bigwig_read_by_another_library_equals_the_table(tmp_path):
    write(tmp_path / "s.bw")
    for track, name in enumerate(("s.virus.bw", "s.not_virus.bw")):
        found, sizes = by_pybigwig(tmp_path / name)
        assert found == expected(track)
        assert list(sizes.items()) == [("chr10", 50), ("chr2", 100)]


def test_a_single_track_keeps_the_name_of_the_file(tmp_path):
    one = {name: [(start, end, values[:1]) for start, end, values in rows] for name, rows in CONTENT.items()}
    write(tmp_path / "s.bw", one, names=["virus"])
    assert by_pybigwig(tmp_path / "s.bw")[0] == expected(0)


def test_bedgraph_has_a_file_a_track(tmp_path):
    write(tmp_path / "s.bedgraph")
    for track, name in enumerate(("s.virus.bedgraph", "s.not_virus.bedgraph")):
        rows = [line.split("\t") for line in text(tmp_path / name).splitlines()]
        plain = [(n, s, e, np.float32(v[track])) for n in CONTENT for s, e, v in CONTENT[n]]
        assert [(n, int(s), int(e), np.float32(v)) for n, s, e, v in rows] == plain


def test_bed_names_the_highest_track(tmp_path):
    write(tmp_path / "s.bed")
    assert text(tmp_path / "s.bed").splitlines() == [
        "chr2\t0\t5\tnot virus\t900\t.",
        "chr2\t10\t20\tnot virus\t667\t.",
        "chr2\t20\t100\tnot virus\t1000\t.",
        "chr10\t49\t50\tvirus\t750\t.",
    ]


def test_bed_scores_stay_in_their_range(tmp_path):
    write(tmp_path / "s.bed", {"chr2": [(0, 1, (-3.0,)), (1, 2, (7.0,))]}, names=["a"])
    assert [line.split("\t")[4] for line in text(tmp_path / "s.bed").splitlines()] == ["0", "1000"]


@pytest.mark.parametrize("name", FORMATS)
def test_how_intervals_come_in_does_not_show(tmp_path, name):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    write(tmp_path / "a" / name, step=1)
    write(tmp_path / "b" / name, step=3)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == sorted(path.name for path in output_paths(tmp_path / "a" / name, NAMES))
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3), st.floats(-1e6, 1e6, width=32)), min_size=1, max_size=60)
)
def test_any_track_comes_back(tmp_path_factory, steps):
    rows, at = [], 0
    for width, gap, value in steps:
        rows.append((at + gap, at + gap + width, (value,)))
        at += gap + width
    content = {"z": rows, "a": rows[:3]}
    path = tmp_path_factory.mktemp("track")
    for name in ("s.bw", "s.tsv"):
        write(path / name, content, {"z": at, "a": at}, ["t"], step=7)
    assert by_pybigwig(path / "s.bw")[0] == expected(0, content)
    assert {(name, start, end): value for name, start, end, (value,) in rows_of(path / "s.tsv")} == {
        (name, start, end): np.float32(value) for name in content for start, end, (value,) in content[name]
    }


@pytest.mark.parametrize("name", FORMATS)
def test_an_error_leaves_nothing(tmp_path, name):
    def fail():
        with TrackWriter(tmp_path / name, SIZES, NAMES) as writer:
            writer.write("chr2", np.array([0]), np.array([5]), np.array([[0.5, 0.5]]))
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_bigwig_that_is_not_whole_gets_no_name(tmp_path, monkeypatch):
    import pybigtools

    whole = pybigtools.open

    class Failing:
        def __init__(self, path):
            self.path = path

        def write(self, sizes, rows):
            whole(self.path, "w").write(sizes, list(rows)[:-1])

    monkeypatch.setattr(pybigtools, "open", lambda path, mode="r": Failing(path) if mode == "w" else whole(path))
    with pytest.raises(CannotWriteError, match="could not be written whole"):
        write(tmp_path / "s.bw")
    assert list(tmp_path.iterdir()) == []


def test_a_bigwig_cannot_be_empty_and_a_table_can(tmp_path):
    with pytest.raises(DataError, match="cannot be empty"):
        write(tmp_path / "s.bw", {})
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "s.tsv", {})
    assert rows_of(tmp_path / "s.tsv") == []


@pytest.mark.parametrize(
    ("sequence", "starts", "ends", "values"),
    [
        ("chr2", [5], [5], [[0.5, 0.5]]),
        ("chr2", [0, 4], [5, 8], [[0.5, 0.5]] * 2),
        ("chr2", [90], [101], [[0.5, 0.5]]),
        ("chr2", [0], [5], [[0.5, np.nan]]),
        ("chr2", [0], [5], [[0.5]]),
    ],
)
def test_wrong_intervals_are_refused(tmp_path, sequence, starts, ends, values):
    with pytest.raises(ValueError, match=r"intervals|values"), TrackWriter(tmp_path / "s.tsv", SIZES, NAMES) as writer:
        writer.write(sequence, np.array(starts), np.array(ends), np.array(values))


def test_overlaps_with_what_was_written_are_refused(tmp_path):
    content = {"chr2": [(0, 5, (0.1, 0.9)), (4, 20, (0.3, 0.7))]}
    with pytest.raises(ValueError, match="in order"):
        write(tmp_path / "s.tsv", content)


def test_sequences_out_of_order_are_refused(tmp_path):
    content = {name: CONTENT[name] for name in ("chr10", "chr2")}
    with pytest.raises(ValueError, match="in order"):
        write(tmp_path / "s.tsv", content)


class TestOutputs:
    def test_names_are_made_safe(self, tmp_path):
        names = ["a;b c", "d/e"]
        paths = output_paths(tmp_path / "s.v1.bedgraph.gz", names)
        assert [path.name for path in paths] == ["s.v1.a_b_c.bedgraph.gz", "s.v1.d_e.bedgraph.gz"]
        assert output_paths(tmp_path / "s.tsv", names) == [tmp_path / "s.tsv"]

    @pytest.mark.parametrize("names", [["a b", "a/b"], ["Virus", "virus"]])
    def test_names_that_meet_are_an_error(self, names):
        with pytest.raises(UsageError, match="would both be written"):
            output_paths("s.bw", names)
        assert len(output_paths("s.tsv", names)) == 1

    @pytest.mark.parametrize("path", ["s.wig", "s", "s.bw.gz", "s.csv", "s.parquet.gz"])
    def test_unknown_formats(self, path):
        with pytest.raises(UsageError, match="names no format of tracks"):
            output_paths(path, NAMES)

    @pytest.mark.parametrize("names", [["a", "a"], [], ["a\tb"]])
    def test_impossible_names(self, names):
        with pytest.raises(UsageError):
            output_paths("s.tsv", names)

    def test_nothing_is_replaced_unasked(self, tmp_path):
        (tmp_path / "s.not_virus.bw").write_text("mine")
        with pytest.raises(CannotWriteError, match="exists"):
            check_track_output(tmp_path / "s.bw", NAMES)
        write(tmp_path / "s.bw", force=True)
        assert by_pybigwig(tmp_path / "s.not_virus.bw")[0] == expected(1)

    def test_what_is_a_track(self):
        assert all(map(is_track_file, ["a.bw", "a.bigWig", "a.bedGraph.gz", "a.BED"]))
        assert not any(map(is_track_file, ["a.tsv", "a.parquet", "a.bw.tsv", "-"]))

    def test_too_long_for_bigwig(self, tmp_path):
        with pytest.raises(DataError, match="bigWig holds"):
            write(tmp_path / "s.bw", {}, {"chr1": 2**32})
