"""Records without a prediction are left out, and a table is looked through for them once, however long it is."""

import pytest

from genomix.compare import compare_runs
from genomix.data.prediction_reader import PredictionTable
from genomix.evaluate import evaluate_predictions

NUM_RECORDS, NUM_SKIPPED = 60, 4


@pytest.fixture
def looks(monkeypatch):
    """Grows by one whenever a table is asked which of its records were skipped."""
    looks = []
    plain = PredictionTable.is_skipped.fget
    monkeypatch.setattr(PredictionTable, "is_skipped", property(lambda table: looks.append(table) or plain(table)))
    return looks


@pytest.fixture
def paths(tmp_path):
    """Two tables of predictions, the first without some of its records, and the table of labels."""
    names = [f"r{number}" for number in range(NUM_RECORDS)]
    labels = tmp_path / "labels.tsv"
    labels.write_text("id\tlabel\n" + "".join(f"{name}\t{'ab'[n % 2]}\n" for n, name in enumerate(names)))
    tables = []
    for table, num_skipped in (("one", NUM_SKIPPED), ("two", 0)):
        rows = ["\t" if n < num_skipped else "0.7\t0.3" for n in range(NUM_RECORDS)]
        lines = [f"{name}\t{row}\n" for name, row in zip(names, rows, strict=True)]
        tables.append(tmp_path / f"{table}.tsv")
        tables[-1].write_text("id\tprobability_a\tprobability_b\n" + "".join(lines))
    return [*map(str, tables), str(labels)]


def test_evaluating(paths, looks):
    one, _, labels = paths
    found = evaluate_predictions(one, labels).metrics
    assert (found.num_records, found.values["accuracy"]) == (NUM_RECORDS - NUM_SKIPPED, 0.5)
    assert len(looks) == 1


def test_comparing(paths, looks):
    *tables, labels = paths
    found = compare_runs(tables, labels_path=labels, num_resamples=100).comparison
    assert found.num_records == NUM_RECORDS - NUM_SKIPPED
    assert len(looks) == len(tables)
