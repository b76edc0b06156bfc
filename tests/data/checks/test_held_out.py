"""What is known of held-out records, and its table."""

import dataclasses

import numpy as np
import pytest
from made import load, make_clean, mutated, reverse_complement, splits_of

from genomix.data.checks import HeldOut, describe_held_out, read_held_out, run_checks, write_held_out
from genomix.errors import CannotWriteError, DataError, NoInputError

HEADER = "id\tsplit\tlength\tgc\tunknown\tnearest\tsimilarity\n"
HELD_OUT = HeldOut(
    ids=["r1", "r2", 'r"3'],
    split=["val", "test", "test"],
    lengths=np.array([100, 2000, 30]),
    gc=np.array([0.25, 0.5, np.nan]),
    unknown=np.array([0.0, 0.125, 1.0]),
    nearest=["r7", "r8", ""],
    similarity=np.array([1.0, 0.875, 0.0]),
)


def assert_same(first, second):
    for field in dataclasses.fields(HeldOut):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(second, field.name), err_msg=field.name)


@pytest.fixture
def made():
    made, rng = make_clean(1, num_records=40), np.random.default_rng(50)
    test, val = made.places("test")[0], made.places("val")[0]
    first, second = made.places("train")[3:5]
    made.sequences[test] = reverse_complement(mutated(rng, made.sequences[first], 0.95))
    made.sequences[val] = made.sequences[second][50:250]
    made.sequences[made.places("test")[1]] = "N" * 50
    return made


@pytest.mark.parametrize("prepared", [True, False])
def test_description(made, tmp_path, prepared):
    records = load(made, tmp_path)
    splits = splits_of(records)
    rows = np.concatenate([splits.val, splits.test])
    held_out = run_checks(records, splits).held_out if prepared else describe_held_out(records, splits, rows)
    assert held_out.ids == [f"r{row}" for row in rows.tolist()]
    assert held_out.split == ["val"] * len(splits.val) + ["test"] * len(splits.test)
    for number, row in enumerate(rows.tolist()):
        sequence = made.sequences[row]
        known = sequence.replace("N", "")
        assert held_out.lengths[number] == len(sequence)
        assert held_out.unknown[number] == pytest.approx(1 - len(known) / len(sequence))
        if known:
            assert held_out.gc[number] == pytest.approx(sum(known.count(base) for base in "GC") / len(known))
    first, second = (f"r{place}" for place in made.places("train")[3:5])
    test, val, empty = (rows.tolist().index(row) for row in (splits.test[0], splits.val[0], splits.test[1]))
    assert (held_out.nearest[test], held_out.nearest[val], held_out.nearest[empty]) == (first, second, "")
    assert 0.92 < held_out.similarity[test] < 0.98
    assert (held_out.similarity[val], held_out.similarity[empty]) == (1.0, 0.0)
    assert np.isnan(held_out.gc[empty])


def test_table_comes_back(tmp_path):
    write_held_out(tmp_path / "held_out.tsv", HELD_OUT)
    assert (tmp_path / "held_out.tsv").read_text().startswith(HEADER + "r1\tval\t100\t0.250000\t")
    assert_same(read_held_out(tmp_path / "held_out.tsv"), HELD_OUT)


def test_empty_table_comes_back(tmp_path):
    empty = HeldOut([], [], np.empty(0, np.int64), np.empty(0), np.empty(0), [], np.empty(0))
    write_held_out(tmp_path / "held_out.tsv", empty)
    assert_same(read_held_out(tmp_path / "held_out.tsv"), empty)


def test_names_that_the_table_cannot_hold(tmp_path):
    with pytest.raises(DataError, match="has a tab or a line break"):
        write_held_out(tmp_path / "held_out.tsv", dataclasses.replace(HELD_OUT, nearest=["a\tb", "", ""]))
    assert not list(tmp_path.iterdir())


def test_no_place_to_write(tmp_path):
    with pytest.raises(CannotWriteError):
        write_held_out(tmp_path / "none" / "held_out.tsv", HELD_OUT)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is not a table"),
        ("id\tsplit\n", ":1: the columns must be"),
        (HEADER + "r1\tval\t10\t0.5\t0\tr2\n", ":2: must have"),
        (HEADER + "r1\theld\t10\t0.5\t0\tr2\t1\n", ":2: must have"),
        (HEADER + "r1\tval\tten\t0.5\t0\tr2\t1\n", ":2: must have"),
        (HEADER + "r1\tval\t10\t1.5\t0\tr2\t1\n", ":2: must have"),
        (HEADER + "r1\tval\t10\t0.5\t\tr2\t1\n", ":2: must have"),
        (HEADER + 2 * "r1\tval\t10\t0.5\t0\tr2\t1\n", ':3: record "r1" is here a second time'),
    ],
)
def test_bad_tables(tmp_path, content, says):
    (tmp_path / "held_out.tsv").write_text(content)
    with pytest.raises(DataError, match=says.replace("(", r"\(")):
        read_held_out(tmp_path / "held_out.tsv")


def test_missing_table(tmp_path):
    with pytest.raises(NoInputError, match="cannot be read"):
        read_held_out(tmp_path / "held_out.tsv")
