"""Metrics of records with several labels, against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from genomix.metrics import METRIC_NAMES, compute_metrics, score
from genomix.metrics.calibration import calibrate, reliability
from genomix.metrics.multilabel import MultiLabelRecords

CLASSES = ["a", "b", "c"]


def draw(num_records=200, seed=0):
    rng = np.random.default_rng(seed)
    targets = rng.random((num_records, 3)) < [0.5, 0.3, 0.1]
    return targets, 1 / (1 + np.exp(-(2.0 * (targets - 0.5) + rng.normal(size=targets.shape))))


@pytest.mark.parametrize("seed", range(3))
def test_metrics_are_those_of_scikit_learn(seed):
    targets, probabilities = draw(seed=seed)
    predicted = probabilities >= 0.5
    expected = {
        "accuracy": sk.accuracy_score(targets, predicted),
        "balanced_accuracy": np.mean(
            [sk.balanced_accuracy_score(t, p) for t, p in zip(targets.T, predicted.T, strict=True)]
        ),
        "f1_macro": sk.f1_score(targets, predicted, average="macro"),
        "f1_weighted": sk.f1_score(targets, predicted, average="weighted"),
        "mcc": np.mean([sk.matthews_corrcoef(t, p) for t, p in zip(targets.T, predicted.T, strict=True)]),
        "roc_auc": sk.roc_auc_score(targets, probabilities, average="macro"),
        "pr_auc": sk.average_precision_score(targets, probabilities, average="macro"),
        "log_loss": np.mean([sk.log_loss(t, p) for t, p in zip(targets.T, probabilities.T, strict=True)]),
        "brier": np.mean((targets - probabilities) ** 2),
    }
    for name, value in expected.items():
        assert score(name, targets, probabilities) == pytest.approx(value), name


def test_a_resample_is_measured_as_the_records_drawn():
    targets, probabilities = draw(60)
    rows = np.random.default_rng(1).integers(60, size=60)
    weights = np.bincount(rows, minlength=60)[:, None].astype(float)
    drawn = MultiLabelRecords(targets, probabilities).resampled(weights)
    for name in METRIC_NAMES:
        assert drawn.metric(name)[0] == pytest.approx(score(name, targets[rows], probabilities[rows])), name


def test_there_are_metrics_of_each_label_and_no_confusion_matrix():
    targets, probabilities = draw()
    found = compute_metrics(targets, probabilities, CLASSES, num_resamples=50)
    assert [entry.support for entry in found.per_class] == targets.sum(axis=0).tolist()
    assert found.per_class[1].roc_auc == pytest.approx(sk.roc_auc_score(targets[:, 1], probabilities[:, 1]))
    assert found.confusion == []
    assert found.intervals["f1_macro"].low < found.values["f1_macro"] < found.intervals["f1_macro"].high


def test_a_label_that_all_records_have_has_no_balanced_accuracy():
    targets, probabilities = draw()
    targets[:, 0] = True
    rest = score("balanced_accuracy", targets[:, 1:], probabilities[:, 1:])
    assert score("balanced_accuracy", targets, probabilities) == pytest.approx(rest)
    assert np.isnan(score("roc_auc", targets, probabilities))


@given(st.integers(0, 1000))
def test_calibration_error_is_none_where_shares_are_as_said(seed):
    rng = np.random.default_rng(seed)
    probability = rng.choice([0.25, 0.5, 0.75])
    targets = np.zeros((8, 2), dtype=bool)
    targets[: int(8 * probability)] = True
    assert score("ece", targets, np.full((8, 2), probability)) == pytest.approx(0)


def test_one_temperature_is_found_for_all_labels():
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(3000, 3))
    targets = rng.random(logits.shape) < 1 / (1 + np.exp(-logits))
    found = calibrate(1 / (1 + np.exp(-2.5 * logits)), targets)
    assert found.temperature == pytest.approx(2.5, rel=0.1)
    assert found.log_loss.after < found.log_loss.before
    assert found.ece.after < 0.03


def test_reliability_counts_every_decision():
    targets, probabilities = draw(50)
    assert reliability(targets, probabilities).counts.sum() == 150


@pytest.mark.parametrize(
    ("targets", "probabilities", "message"),
    [
        (np.zeros((0, 2)), np.zeros((0, 2)), "no records"),
        (np.zeros((3, 2)), np.zeros((3, 3)), "must both be"),
        (np.zeros((3, 2)), np.full((3, 2), 1.5), "from 0 to 1"),
        (np.zeros((3, 2)), np.full((3, 2), np.nan), "from 0 to 1"),
    ],
)
def test_impossible_values(targets, probabilities, message):
    with pytest.raises(ValueError, match=message):
        MultiLabelRecords(targets, probabilities)


def test_a_resample_without_any_label_is_left_out_in_silence():
    targets = np.array([[1, 0], [0, 0], [0, 0], [0, 0]])
    probabilities = np.array([[0.9, 0.2], [0.1, 0.2], [0.3, 0.2], [0.2, 0.1]])
    found = compute_metrics(targets, probabilities, ["a", "b"])  # a warning of numpy would be an error
    assert found.values["f1_macro"] == 1
    assert any("f1_macro" in note for note in found.notes)
