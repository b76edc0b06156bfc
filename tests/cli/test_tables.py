"""What is printed for people: labels as they are, and counts that can be read."""

import numpy as np
import pytest

from genomix.cli.tables import print_comparison, print_metrics
from genomix.metrics import compute_metrics


@pytest.fixture
def metrics():
    def metrics(classes, num_records=600):
        targets = np.arange(num_records) % len(classes)
        predicted = np.where(np.arange(num_records) % 7 == 0, (targets + 1) % len(classes), targets)
        return compute_metrics(targets, np.eye(len(classes))[predicted], classes, num_resamples=20)

    return metrics


def test_labels_are_printed_as_they_are(metrics, capsys):
    labels = ["[a] x", ":b: y", "[/c] z"]
    print_metrics(metrics(labels), "runs[1]/a")
    shown = capsys.readouterr().out
    assert all(shown.count(label) >= 2 for label in labels)
    assert "runs[1]/a" in shown


@pytest.mark.parametrize("number", [2, 10])
def test_every_count_of_a_small_confusion_matrix_is_whole(metrics, capsys, number):
    found = metrics([f"class{i}" for i in range(number)], 20_000)
    print_metrics(found, "run")
    words = capsys.readouterr().out.replace("│", " ").replace("┃", " ").split()
    assert all(str(count) in words for row in found.confusion for count in row)


def test_of_many_classes_the_most_frequent_confusions_are_listed(metrics, capsys):
    found = metrics([f"class{i}" for i in range(40)], 4000)
    print_metrics(found, "run")
    shown = capsys.readouterr().out
    assert "most frequent confusions" in shown
    assert "class39" in shown


def test_the_comparison_fits_and_names_each_model(metrics, capsys):
    found = metrics(["a", "b"])
    print_comparison({"paramixer": found, "kmer": found}, "test")
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert "test: 600 held-out records" in shown
