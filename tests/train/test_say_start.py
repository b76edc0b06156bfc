"""What is said when a training begins."""

import dataclasses

import numpy as np
import pytest
from kmer_records import load

from genomix.data.splits import Splits
from genomix.train.record import NAMED, say_start

NUM_CLASSES = NAMED + 3


@pytest.fixture
def said(tmp_path, caplog):
    """Say the start of a training on records of more classes than are named; return the messages by level."""
    caplog.set_level("INFO", "genomix")
    records = load(tmp_path, ["ACGT"] * (3 * NUM_CLASSES), [f"c{i:02}" for i in range(NUM_CLASSES)] * 3)
    parts = np.split(np.arange(3 * NUM_CLASSES), [40, 50])

    def said(level, *, warnings=(), test=True):
        splits = Splits(parts[0], parts[1], parts[2] if test else parts[2][:0], notes=["a note"])
        say_start(dataclasses.replace(records, warnings=list(warnings)), splits, ["x: 1"], None, "mcc")
        return [record for record in caplog.records if record.levelname == level]

    return said


def test_the_records_their_division_and_what_was_decided(said):
    counts, split, decided = (record.getMessage() for record in said("INFO"))
    assert counts.startswith(f"69 records, 276 bp, {NUM_CLASSES} classes: c00 3, c01 3, ")
    assert counts.endswith(f"c{NAMED - 1} 3, and 3 more")
    assert split == "split: 40 train, 10 val, 19 test"
    assert decided == "decided x: 1"


def test_with_a_test_split_only_the_notes_warn(said):
    assert [record.getMessage() for record in said("WARNING")] == ["a note"]


def test_without_a_test_split_results_are_those_of_val(said):
    note, warning = said("WARNING", test=False)
    assert note.getMessage() == "a note"
    assert warning.getMessage().startswith("there is no test split: the results are those of the validation records")


def test_what_the_reader_said_is_only_written_to_the_log(said):
    first, note = said("WARNING", warnings=["a record was cut"])
    assert first.getMessage() == "a record was cut"
    assert first.already_said
    assert not hasattr(note, "already_said")
