import csv
import gzip
import io

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from genomix.data.prediction_reader import read_predictions
from genomix.data.predictions import PredictionRow, PredictionWriter, check_output
from genomix.errors import CannotWriteError, DataError, NoInputError, UsageError

CLASSES = ["human", "worm", "a,b"]
ROWS = [
    PredictionRow("chr1", 16384, [0.1, 0.7, 0.2]),
    PredictionRow(
        "chr2", 1_000_000, np.array([1 / 3, 1 / 3, 1 / 3], dtype=np.float32), ("cut", "n_rich"), "cut\tat\n16384"
    ),
    PredictionRow("chr3", 12, None, ("too_short", "skipped"), 'less than "200" bp'),
]
SUFFIXES = [".tsv", ".txt", ".csv", ".parquet", ".tsv.gz", ".txt.gz", ".csv.gz"]
TSV = (
    "id\tlength\tlabel\tconfidence\tprobability_human\tprobability_worm\tprobability_a,b\tstatus\tnote\n"
    "chr1\t16384\tworm\t0.700000\t0.100000\t0.700000\t0.200000\tok\t\n"
    "chr2\t1000000\thuman\t0.333333\t0.333333\t0.333333\t0.333333\tcut;n_rich\tcut at 16384\n"
    'chr3\t12\t\t\t\t\t\ttoo_short;skipped\tless than "200" bp\n'
)


def written(path, rows=ROWS, classes=CLASSES, **kwargs):
    with PredictionWriter(path, classes, **kwargs) as writer:
        for row in rows:
            writer.write([row])
    return path


def test_tsv_byte_for_byte(tmp_path):
    path = written(tmp_path / "pred.tsv")
    assert path.read_bytes() == TSV.encode()
    assert list(tmp_path.iterdir()) == [path]


def test_stdout(capsys):
    written("-")
    assert capsys.readouterr().out == TSV


def test_stdout_is_flushed_batch_by_batch(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, newline=""))
    with PredictionWriter("-", CLASSES) as writer:
        assert raw.getvalue().startswith(b"id\t")
        writer.write(ROWS[:1])
        assert raw.getvalue().endswith(b"ok\t\n")


def test_csv_has_quotes_where_needed(tmp_path):
    path = written(tmp_path / "pred.csv")
    header, first, *_ = path.read_text().splitlines()
    assert header == 'id,length,label,confidence,probability_human,probability_worm,"probability_a,b",status,note'
    assert first == "chr1,16384,worm,0.700000,0.100000,0.700000,0.200000,ok,"
    with path.open(newline="") as text:
        assert [row["note"] for row in csv.DictReader(text)] == ["", "cut at 16384", 'less than "200" bp']


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_is_read_back_and_always_the_same(tmp_path, suffix):
    path = written(tmp_path / f"pred{suffix}")
    with PredictionWriter(tmp_path / f"again{suffix}", CLASSES) as writer:
        writer.write(ROWS)
    assert path.read_bytes() == (tmp_path / f"again{suffix}").read_bytes()
    unnamed = path.rename(tmp_path / "seen_by_content")
    table = read_predictions(unnamed)
    assert table.ids == ["chr1", "chr2", "chr3"]
    assert table.lengths.tolist() == [16384, 1_000_000, 12]
    assert table.labels == ["worm", "human", None]
    assert table.classes == CLASSES
    assert table.statuses == [("ok",), ("cut", "n_rich"), ("too_short", "skipped")]
    assert table.notes == ["", "cut at 16384", 'less than "200" bp']
    assert table.is_skipped.tolist() == [False, False, True]
    np.testing.assert_allclose(table.probabilities, [[0.1, 0.7, 0.2], [1 / 3] * 3, [np.nan] * 3], atol=1e-6)
    np.testing.assert_allclose(table.probabilities[:2].sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(table.confidence, [0.7, 1 / 3, np.nan], atol=1e-6)


FULL_ROWS = [
    PredictionRow("r1", 9, [0.1, 0.7, 0.2], deviations=[0.01, 0.02, 0.0], label_set=("worm", "a,b")),
    PredictionRow("r2", 9, [0.4, 0.3, 0.3], ("abstained",), "unsure", [0.0, 0.1, 0.1], None, ("human", "worm", "a,b")),
    PredictionRow("r3", 9, None, ("skipped",), "empty"),
    PredictionRow("r4", 9, [0.1, 0.7, 0.2], ("unlike_training",), "far", [0.0, 0.0, 0.0], "human", ()),
]
FULL_TSV = (
    "id\tlength\tlabel\tconfidence\tprobability_human\tprobability_worm\tprobability_a,b"
    "\tdeviation_human\tdeviation_worm\tdeviation_a,b\tlabel_set\tstatus\tnote\n"
    "r1\t9\tworm\t0.700000\t0.100000\t0.700000\t0.200000\t0.010000\t0.020000\t0.000000\tworm;a,b\tok\t\n"
    "r2\t9\t\t0.400000\t0.400000\t0.300000\t0.300000\t0.000000\t0.100000\t0.100000"
    "\thuman;worm;a,b\tabstained\tunsure\n"
    "r3\t9\t\t\t\t\t\t\t\t\t\tskipped\tempty\n"
    "r4\t9\thuman\t0.700000\t0.100000\t0.700000\t0.200000\t0.000000\t0.000000\t0.000000\t\tunlike_training\tfar\n"
)


def test_deviations_and_sets_byte_for_byte(tmp_path):
    path = written(tmp_path / "pred.tsv", FULL_ROWS, deviations=True, label_sets=True)
    assert path.read_bytes() == FULL_TSV.encode()
    assert written(tmp_path / "plain.tsv", FULL_ROWS).read_text().partition("\n")[0] == TSV.partition("\n")[0]
    header = written(tmp_path / "sets.tsv", FULL_ROWS, label_sets=True).read_text().partition("\n")[0]
    assert header.split("\t")[6:] == ["probability_a,b", "label_set", "status", "note"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_abstentions_and_sets_are_read_back(tmp_path, suffix):
    table = read_predictions(written(tmp_path / f"pred{suffix}", FULL_ROWS, deviations=True, label_sets=True))
    assert table.classes == CLASSES
    assert table.labels == ["worm", None, None, "human"]
    assert table.label_sets == [("worm", "a,b"), ("human", "worm", "a,b"), (), ()]
    assert table.is_abstained.tolist() == [False, True, False, False]
    assert table.is_skipped.tolist() == [False, False, True, False]
    np.testing.assert_allclose(table.confidence, [0.7, 0.4, np.nan, 0.7])
    assert read_predictions(written(tmp_path / f"plain{suffix}")).label_sets is None


def test_classes_of_sets_may_hold_the_separator(tmp_path):
    classes = ["Animalia", "Animalia;Chordata", "Animalia;Chordata;Aves"]
    rows = [PredictionRow("r", 5, [0.2, 0.3, 0.5], label_set=(classes[2], classes[0], classes[1]))]
    path = written(tmp_path / "pred.tsv", rows, classes, label_sets=True)
    assert "\tAnimalia;Chordata;Aves|Animalia|Animalia;Chordata\t" in path.read_text()
    assert read_predictions(path).label_sets == [(classes[2], classes[0], classes[1])]


def test_classes_of_sets_may_hold_a_bar(tmp_path):
    classes = ["a", "b|a", "a;b"]
    rows = [PredictionRow("r", 5, [0.2, 0.3, 0.5], label_set=("a", "b|a", "a;b"))]
    path = written(tmp_path / "pred.tsv", rows, classes, label_sets=True)
    assert read_predictions(path).label_sets == [("a", "b|a", "a;b")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (PredictionRow("r", 5, [0.5, 0.5]), "needs 2 finite deviations; got None"),
        (PredictionRow("r", 5, [0.5, 0.5], deviations=[0.1]), "needs 2 finite deviations"),
        (PredictionRow("r", 5, [0.5, 0.5], deviations=[0.1, float("nan")]), "needs 2 finite deviations"),
    ],
)
def test_deviations_that_do_not_fit(tmp_path, row, message):
    with pytest.raises(ValueError, match=message):
        written(tmp_path / "pred.tsv", [row], ["a", "b"], deviations=True)


def test_sets_of_unknown_classes_are_told(tmp_path):
    path = tmp_path / "pred.tsv"
    path.write_text("id\tprobability_a\tprobability_b\tlabel_set\nr\t0.5\t0.5\ta;c\n")
    with pytest.raises(DataError, match=r":2: record \"r\": the label_set 'a;c' has a label without a column"):
        read_predictions(path)


printable = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=8)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(printable, unique=True, min_size=2, max_size=4),
    st.lists(printable, unique=True, min_size=1, max_size=6),
    st.integers(0, 2**32 - 1),
    st.sampled_from([".tsv", ".csv", ".parquet"]),
)
def test_any_names_are_read_back(tmp_path_factory, classes, ids, seed, suffix):
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(len(classes)), size=len(ids))
    rows = [PredictionRow(record_id, 5, row) for record_id, row in zip(ids, probabilities, strict=True)]
    table = read_predictions(written(tmp_path_factory.mktemp("predictions") / f"pred{suffix}", rows, classes))
    assert table.ids == ids
    assert table.classes == classes
    assert table.labels == [classes[index] for index in probabilities.argmax(axis=1)]
    np.testing.assert_allclose(table.probabilities, probabilities, atol=1e-5)


def test_parquet_is_written_in_groups(tmp_path, monkeypatch):
    monkeypatch.setattr("genomix.data.prediction_rows.PARQUET_GROUP_ROWS", 4)
    path = written(
        tmp_path / "pred.parquet", [PredictionRow(str(row), 9, [0.25, 0.75]) for row in range(10)], ["a", "b"]
    )
    file = parquet.ParquetFile(path)
    assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [4, 4, 2]
    assert file.schema_arrow.field("probability_b").type == pa.float64()
    assert read_predictions(path).ids == [str(row) for row in range(10)]


def test_nothing_is_overwritten_without_force(tmp_path):
    path = tmp_path / "pred.tsv"
    path.write_text("precious")
    for attempt in (lambda: PredictionWriter(path, CLASSES), lambda: check_output(path)):
        with pytest.raises(CannotWriteError, match=r"pred\.tsv: exists; use --force to replace it"):
            attempt()
    assert path.read_text() == "precious"
    written(path, force=True)
    assert path.read_text() == TSV


@pytest.mark.parametrize("suffix", [".tsv", ".csv.gz", ".parquet"])
def test_a_failure_leaves_what_was_there(tmp_path, suffix):
    path = tmp_path / f"pred{suffix}"
    path.write_text("precious")
    with pytest.raises(KeyboardInterrupt), PredictionWriter(path, CLASSES, force=True) as writer:  # noqa: PT012
        writer.write(ROWS)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "precious"


@pytest.mark.parametrize("name", ["pred.xlsx", "pred", "pred.gz", "pred.parquet.gz", "tsv"])
def test_an_unknown_suffix_lists_the_known(tmp_path, name):
    with pytest.raises(UsageError, match=r"use one of \.tsv, \.txt, \.csv, \.tsv\.gz, .*\.parquet$"):
        PredictionWriter(tmp_path / name, CLASSES)


def test_places_that_cannot_be_written(tmp_path):
    with pytest.raises(CannotWriteError, match="make it first"):
        PredictionWriter(tmp_path / "none" / "pred.tsv", CLASSES)
    (tmp_path / "folder.tsv").mkdir()
    with pytest.raises(CannotWriteError, match="is a directory"):
        PredictionWriter(tmp_path / "folder.tsv", CLASSES, force=True)
    check_output("-")


def test_classes_need_labels_of_their_own(tmp_path):
    with pytest.raises(UsageError, match="label of its own"):
        PredictionWriter(tmp_path / "pred.tsv", ["a", "a"])


def test_a_tab_in_an_id_fits_csv_but_not_tsv(tmp_path):
    rows = [PredictionRow("a\tb", 5, [0.5, 0.5])]
    with pytest.raises(DataError, match=r"'a\\tb' has a tab"):
        written(tmp_path / "pred.tsv", rows, ["x", "y"])
    assert list(tmp_path.iterdir()) == []
    assert read_predictions(written(tmp_path / "pred.csv", rows, ["x", "y"])).ids == ["a\tb"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (PredictionRow("r", 5, [0.5, 0.5], ("good",)), "statuses must be of ok, cut"),
        (PredictionRow("r", 5, [0.5, 0.5], ()), "statuses must be of ok, cut"),
        (PredictionRow("r", 5, [0.5, 0.5], ("skipped",)), "either probabilities or"),
        (PredictionRow("r", 5, None), "either probabilities or"),
        (PredictionRow("r", 5, [0.2, 0.3, 0.5]), "needs 2 finite probabilities"),
        (PredictionRow("r", 5, [0.5, float("nan")]), "needs 2 finite probabilities"),
    ],
)
def test_rows_that_contradict_themselves(tmp_path, row, message):
    with pytest.raises(ValueError, match=message):
        written(tmp_path / "pred.tsv", [row], ["a", "b"])


def test_a_table_of_another_program(tmp_path):
    path = tmp_path / "foreign.csv"
    path.write_bytes(
        b"\xef\xbb\xbfprobability_a,extra,id,probability_b\r\n0.333,x,r1,0.666\r\n,y,r2,\r\nNaN,z,r3,nan\r\n"
    )
    table = read_predictions(path)
    assert table.ids == ["r1", "r2", "r3"]
    assert table.classes == ["a", "b"]
    assert table.labels == ["b", None, None]
    assert table.lengths.tolist() == [-1, -1, -1]
    assert table.statuses == [("ok",), ("skipped",), ("skipped",)]
    np.testing.assert_allclose(table.probabilities[0], [1 / 3, 2 / 3])


def test_the_written_label_holds_where_print_makes_a_tie(tmp_path):
    rows = [PredictionRow("r", 5, [0.4999999, 0.5000001])]
    assert read_predictions(written(tmp_path / "pred.tsv", rows, ["a", "b"])).labels == ["b"]


@pytest.mark.parametrize("smallest", [4e-7, 3.2e-12, 9.99e-4, 0.0])
def test_how_small_a_probability_is_is_read_back(tmp_path, smallest):
    rows = [PredictionRow("r", 5, [smallest, 1 - smallest])]
    [[found, _]] = read_predictions(written(tmp_path / "pred.tsv", rows, ["a", "b"])).probabilities.tolist()
    assert found == pytest.approx(smallest, rel=5e-3, abs=0)


class TestConfidence:
    def read(
        self,
        tmp_path,
        row,
        header="id\tlabel\tconfidence\tstatus\tprobability_a;x\tprobability_a;y\tprobability_b",
        **how,
    ):
        (tmp_path / "pred.tsv").write_text(f"{header}\n{row}\n")
        return read_predictions(tmp_path / "pred.tsv", **how).confidence.tolist()

    def test_it_is_what_the_table_says(self, tmp_path):
        assert self.read(tmp_path, "r\ta\t0.95\ttruncated\t0.5\t0.45\t0.05") == [0.95]
        header = "id\tlabel\tconfidence\tprobability_a\tprobability_b"
        assert self.read(tmp_path, "r\t-\t0.99\t0.01\t0.01", header, multi_label=True) == [0.99]

    def test_where_it_is_not_said_it_is_that_of_the_label(self, tmp_path):
        assert self.read(tmp_path, "r\ta\t\ttruncated\t0.5\t0.45\t0.05") == pytest.approx([0.95])
        assert self.read(tmp_path, "r\tb\t\t\t0.2\t0.1\t0.7") == pytest.approx([0.7])
        assert self.read(tmp_path, "r\t\t\tskipped\t\t\t")[0] != 0  # NaN
        header = "id\tprobability_a\tprobability_b"
        assert self.read(tmp_path, "r\t0.4\t0.95", header, multi_label=True) == pytest.approx([0.6])

    @pytest.mark.parametrize("cell", ["97 %", "1.5", "-0.1", "nan"])
    def test_what_is_no_probability_is_named(self, tmp_path, cell):
        with pytest.raises(
            DataError, match=f'pred.tsv:2: record "r": the confidence {cell!r} is no number from 0 to 1'
        ):
            self.read(tmp_path, f"r\tb\t{cell}\tok\t0.2\t0.1\t0.7")


HEADER = "id\tlength\tlabel\tstatus\tprobability_a\tprobability_b\n"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("r\t5\ta\tok\t0.5\n", ":2: has 5 columns where the header has 6"),
        ("\t5\ta\tok\t0.5\t0.5\n", ":2: has no id"),
        ("r\t5\ta\tok\thalf\t0.5\n", ':2: record "r": a probability is not a number'),
        ("r\t5\ta\tok\t1.2\t-0.2\n", ':2: record "r": probabilities must be from 0 to 1'),
        ("r\t5\ta\tok\t0.5\t\n", ':2: record "r": probabilities must be from 0 to 1, all or none'),
        ("r\t5\ta\tok\t0.5\tinf\n", ':2: record "r": probabilities must be from 0 to 1'),
        ("r\t5\ta\tok\t0.5\t0.52\n", ':2: record "r": probabilities must sum to 1 within 0.01; found 1.02'),
        ("r\tlong\ta\tok\t0.5\t0.5\n", ":2: record \"r\": the length 'long'"),
        ("r\t5\tc\tok\t0.5\t0.5\n", ":2: record \"r\": the label 'c' has no column"),
        ("r\t5\ta\tok\t\t\n", ":2: record \"r\": the status is 'ok' but there are no probabilities"),
        ("r\t5\ta\tcut;skipped\t0.5\t0.5\n", "the status is 'cut;skipped' but there are probabilities"),
        ("r\t5\ta\tok\t0.5\t0.5\nr\t5\ta\tok\t0.5\t0.5\n", ':3: record "r" is already at '),
    ],
)
def test_bad_rows_are_named(tmp_path, row, message):
    path = tmp_path / "pred.tsv"
    path.write_text(HEADER + row)
    with pytest.raises(DataError) as caught:
        read_predictions(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}:")


def test_all_bad_rows_are_reported_at_once(tmp_path):
    path = tmp_path / "pred.tsv"
    path.write_text(HEADER + "".join(f"r{row}\t5\ta\tok\t2\t0\n" for row in range(14)))
    with pytest.raises(DataError) as caught:
        read_predictions(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "... and 4 more problems like these"


def test_bad_rows_of_parquet_are_named(tmp_path):
    path = tmp_path / "pred.parquet"
    parquet.write_table(pa.table({"id": ["r", "r"], "probability_a": [0.5, 1.0], "probability_b": [0.6, 0.0]}), path)
    with pytest.raises(DataError, match=r"row 1: record \"r\": probabilities must sum") as caught:
        read_predictions(path)
    assert 'row 2: record "r" is already at' in str(caught.value)


@pytest.mark.parametrize(
    "header", ["id\tlabel", "id\tprobability_a", "probability_a\tprobability_b", "id\tid\tprobability_a\tprobability_b"]
)
def test_missing_columns(tmp_path, header):
    path = tmp_path / "pred.tsv"
    path.write_text(header + "\n")
    with pytest.raises(DataError, match=r"pred\.tsv:1: a predictions table has a column id and at least two"):
        read_predictions(path)


def test_missing_empty_and_damaged_files(tmp_path):
    path = tmp_path / "pred.tsv"
    with pytest.raises(NoInputError, match="cannot be read"):
        read_predictions(path)
    path.write_text("")
    with pytest.raises(NoInputError, match="is empty"):
        read_predictions(path)
    path.write_text(HEADER)
    with pytest.raises(NoInputError, match="no rows"):
        read_predictions(path)
    for content in (gzip.compress(TSV.encode())[:-9], b"PAR1 and no more", b"id\t\xff\xfe\n"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="whole"):
            read_predictions(path)
