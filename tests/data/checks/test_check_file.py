"""Checks as JSON."""

import json

import pytest
from made import load, make_clean, splits_of

from genomix.data.checks import Check, Checks, read_checks, run_checks, write_checks
from genomix.errors import CannotWriteError, DataError, NoInputError


def test_they_come_back(tmp_path):
    made = make_clean(1, num_records=40)
    made.sequences[0] = "N" * 300
    records = load(made, tmp_path)
    checks = run_checks(records, splits_of(records), fast=True, similarity=0.8, seed=4)
    write_checks(tmp_path / "checks.json", checks)
    read = read_checks(tmp_path / "checks.json")
    assert read.checks == checks.checks
    assert (read.summary, read.settings) == (checks.summary, {"fast": True, "similarity": 0.8, "seed": 4})
    assert read.seconds.keys() == checks.seconds.keys()
    assert json.loads((tmp_path / "checks.json").read_text())["status"] == read.worst == "WARN"


@pytest.mark.parametrize(
    ("statuses", "worst"),
    [((), "PASS"), (("PASS", "WARN"), "WARN"), (("WARN", "FAIL", "PASS"), "FAIL"), (("PASS",), "PASS")],
)
def test_worst(statuses, worst):
    assert Checks([Check("name", status, "Sentence.") for status in statuses], {}, {}, {}).worst == worst


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"checks": [{"name": "x"}], "summary": {}, "settings": {}, "seconds": {}}',
        '{"checks": [{"name": "x", "status": "GOOD", "sentence": "."}], "summary": {}, "settings": {}, "seconds": {}}',
    ],
)
def test_other_files(tmp_path, content):
    (tmp_path / "checks.json").write_text(content)
    with pytest.raises(DataError, match="holds no checks"):
        read_checks(tmp_path / "checks.json")


def test_missing_file(tmp_path):
    with pytest.raises(NoInputError, match="cannot be read"):
        read_checks(tmp_path / "checks.json")


def test_no_place_to_write(tmp_path):
    with pytest.raises(CannotWriteError):
        write_checks(tmp_path / "none" / "checks.json", Checks([], {}, {}, {}))
