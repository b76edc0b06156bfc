"""Predictions beside the right labels."""

import csv

import numpy as np
import pytest
from made_up import CLASSES

from genomix.report.files import read_run
from genomix.report.scored import join


def rewrite(run, change):
    """Change the rows of predictions by their ids."""
    path = run / "predictions.tsv"
    with path.open() as text:
        rows = list(csv.DictReader(text, delimiter="\t"))
    for row in rows:
        row.update(change.get(row["id"], {}))
    with path.open("w", newline="") as text:
        writer = csv.DictWriter(text, rows[0], delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def probabilities(*values):
    return {f"probability_{label}": value for label, value in zip(CLASSES, values, strict=True)}


def test_equal_probabilities_are_told_apart_by_the_label_and_no_label_is_a_guess(run):
    tied = {"label": "plasmid", "confidence": "0.400000", **probabilities("0.400000", "0.400000", "0.200000")}
    abstained = {"label": "", "status": "abstained", **probabilities("0.300000", "0.200000", "0.500000")}
    rewrite(run, {"record-120": tied, "record-121": abstained})
    scored = join(read_run(run))
    assert scored.predicted[:2].tolist() == [1, 2]
    assert scored.targets[:2].tolist() == [0, 1]
    assert scored.confidence[:2] == pytest.approx([0.4, 0.5])
    assert scored.is_right[:2].tolist() == [False, False]


def test_skipped_records_are_counted_and_left_out(run):
    nothing = {"label": "", "confidence": "", "status": "skipped", **probabilities("", "", "")}
    rewrite(run, {"record-120": nothing, "record-125": nothing})
    scored = join(read_run(run))
    assert scored.num_left_out == 2
    assert len(scored.ids) == len(scored.targets) == 118
    assert not {"record-120", "record-125"} & set(scored.ids)


def test_what_is_known_of_records_is_found_by_their_ids(run):
    path = run / "held_out.tsv"
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *reversed(rows[1:])]) + "\n")
    scored = join(read_run(run))
    expected = [float(row.split("\t")[6]) for row in rows]
    assert np.isnan(scored.known("similarity")[0])
    assert scored.known("similarity")[1:] == pytest.approx(expected[1:])
