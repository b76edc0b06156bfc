"""Classes, lengths, unknown bases, and the summary."""

import numpy as np
import pytest
from made import Made, load, make_clean, splits_of

from genomix.data.checks import run_checks
from genomix.data.splits import Splits


def test_a_class_without_training_records(checked):
    made = make_clean(1)
    for place in made.places("train", "b"):
        made.splits[place] = "test"
    check = checked(made)["classes"]
    assert check.status == "FAIL"
    assert check.sentence.startswith('No training record of class "b"')


def test_few_test_records(checked):
    made = make_clean(1)
    for place in made.places("test", "b")[5:]:
        made.splits[place] = "train"
    check = checked(made)["classes"]
    assert check.status == "WARN"
    assert 'Fewer than 10 test records of class "b"' in check.sentence


def test_few_training_records(checked):
    made = make_clean(1)
    for place in made.places("train", "b")[10:]:
        made.splits[place] = "test"
    assert 'Fewer than 20 training records of class "b"' in checked(made)["classes"].sentence


def test_no_test_records(checked):
    made = make_clean(1)
    made.splits[:] = ["val" if split == "test" else split for split in made.splits]
    check = checked(made)["classes"]
    assert (check.status, check.sentence.split(":")[0]) == ("WARN", "No test records")


def test_imbalance(checked):
    made = make_clean(1, num_records=1100, lengths=(60, 80))
    made.labels[:] = ["b" if place % 11 == 0 else "a" for place in range(1100)]
    check = checked(made, with_splits=False)["classes"]
    assert check.status == "WARN"
    assert check.figures == {"counts": {"a": 1000, "b": 100}, "imbalance": 10.0}
    assert '"a" has 10 times as many records as "b"' in check.sentence


def test_short_records(checked):
    made = make_clean(1)
    for place in range(4):
        made.sequences[place] = made.sequences[place][:20]
    check = checked(made)["lengths"]
    assert check.status == "WARN"
    assert check.sentence.startswith("4 of 240 records (1.7 %) have fewer than 30 bp")


def test_splits_of_different_lengths(checked):
    made = make_clean(1)
    for place in made.places("test"):
        made.sequences[place] = made.sequences[place][:150]
    check = checked(made)["lengths"]
    assert check.status == "WARN"
    assert "test 150 bp" in check.sentence


def test_unknown_bases(checked):
    made = make_clean(1)
    for place in range(3):
        made.sequences[place] = made.sequences[place][:-60] + "N" * 60
    found = checked(made)["unknown"]
    assert found.status == "WARN"
    assert found.sentence.startswith("3 of 240 records (1.2 %) have N in more than 10 % of their bases")
    assert sorted(found.figures["ids"]) == ["r0", "r1", "r2"]


def test_a_record_of_nothing_but_unknown_bases(checked):
    made = make_clean(1)
    made.sequences[7] = "N" * 300
    found = checked(made)["unknown"]
    assert found.status == "WARN"
    assert '("r7"), 1 of them wholly' in found.sentence


def test_summary(tmp_path):
    made = Made(["ACGT" * 10, "GG" * 30 + "N" * 20, "AAAAC" * 4], list("aba"), ["train", "train", "test"], [None] * 3)
    records = load(made, tmp_path)
    summary = run_checks(records, splits_of(records)).summary
    expected = {"records": 3, "bases": 140, "shortest": 20, "median": 40.0, "longest": 80, "gc": 84 / 120}
    assert summary["all"] == {**expected, "unknown": 20 / 140}
    assert summary["classes"]["b"]["gc"] == 1.0
    assert {name: split["classes"] for name, split in summary["splits"].items()} == {
        "train": {"a": 1, "b": 1},
        "test": {"a": 1, "b": 0},
    }


def test_the_same_seed_finds_the_same(checked):
    first, second = (checked(make_clean(2), seed=3) for _ in range(2))
    assert first == second


def test_records_left_out_of_all_splits(tmp_path):
    """Those of folds that are held out of all of them."""
    records = load(make_clean(3, num_records=60), tmp_path)
    rows = np.arange(60)
    splits = Splits(train=rows[:30], val=rows[30:40], test=rows[40:50], unused=rows[50:])
    checks = run_checks(records, splits, fast=True)
    assert {name: split["records"] for name, split in checks.summary["splits"].items()} == {
        "train": 30,
        "val": 10,
        "test": 10,
    }
    assert len(checks.held_out) == 20


@pytest.mark.parametrize("similarity", [0, 1.5])
def test_similarity_out_of_range(tmp_path, similarity):
    with pytest.raises(ValueError, match="similarity must be over 0"):
        run_checks(load(make_clean(3, num_records=6), tmp_path), similarity=similarity)


def test_splits_of_other_records(tmp_path):
    rows = np.arange(5)
    with pytest.raises(ValueError, match="splits of 5 records do not fit 6"):
        run_checks(load(make_clean(3, num_records=6), tmp_path), Splits(rows, rows[:0], rows[:0]))


def test_splits_without_training_records(tmp_path):
    rows = np.arange(6)
    with pytest.raises(ValueError, match="no training records"):
        run_checks(load(make_clean(3, num_records=6), tmp_path), Splits(rows[:0], rows, rows[:0]))


def test_splits_that_hold_out_nothing(tmp_path):
    rows = np.arange(60)
    checks = run_checks(load(make_clean(3, num_records=60), tmp_path), Splits(rows, rows[:0], rows[:0]), fast=True)
    assert {check.name for check in checks.checks if check.status != "PASS"} == {"classes"}
    assert len(checks.held_out) == 0
