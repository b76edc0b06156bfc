import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from genomix.metrics import HIGHER_IS_BETTER, METRIC_NAMES, compute_metrics, score
from genomix.metrics.weighted import Records, Resamples


def drawn(num_records, num_classes, seed, *, decimals=None):
    """Targets with every class among them, and probabilities that know a little of them; rounding makes ties."""
    rng = np.random.default_rng(seed)
    targets = rng.permutation(np.arange(num_records) % num_classes)
    probabilities = rng.dirichlet(np.ones(num_classes), size=num_records) + 0.3 * np.eye(num_classes)[targets]
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    if decimals is not None:
        probabilities = probabilities.round(decimals)
        probabilities[:, 0] += 1 - probabilities.sum(axis=1)
        probabilities = probabilities.clip(0)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    return targets, probabilities


def of_sklearn(targets, probabilities, weights=None):
    num_classes = probabilities.shape[1]
    labels = np.arange(num_classes)
    predicted = probabilities.argmax(axis=1)
    is_true = np.eye(num_classes)[targets]
    kept = labels[1:] if num_classes == 2 else labels
    return {
        "accuracy": sk.accuracy_score(targets, predicted, sample_weight=weights),
        "balanced_accuracy": sk.balanced_accuracy_score(targets, predicted, sample_weight=weights),
        "f1_macro": sk.f1_score(targets, predicted, average="macro", sample_weight=weights),
        "f1_weighted": sk.f1_score(targets, predicted, average="weighted", sample_weight=weights),
        "mcc": sk.matthews_corrcoef(targets, predicted, sample_weight=weights),
        "roc_auc": np.mean([sk.roc_auc_score(is_true[:, c], probabilities[:, c], sample_weight=weights) for c in kept]),
        "pr_auc": np.mean(
            [sk.average_precision_score(is_true[:, c], probabilities[:, c], sample_weight=weights) for c in kept]
        ),
        "log_loss": sk.log_loss(targets, probabilities, labels=labels, sample_weight=weights),
        "brier": 2 * sk.brier_score_loss(targets, probabilities[:, 1], sample_weight=weights)
        if num_classes == 2
        else np.average(((probabilities - is_true) ** 2).sum(axis=1), weights=weights),
    }


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 5), st.integers(10, 60), st.integers(0, 2**32 - 1), st.sampled_from([None, 1]))
def test_metrics_are_those_of_sklearn(num_classes, num_records, seed, decimals):
    targets, probabilities = drawn(num_records, num_classes, seed, decimals=decimals)
    found = compute_metrics(targets, probabilities, list("ABCDE"[:num_classes]), num_resamples=0)
    for name, expected in of_sklearn(targets, probabilities).items():
        assert found.values[name] == pytest.approx(expected, abs=1e-9), name
        assert score(name, targets, probabilities) == pytest.approx(expected, abs=1e-9), name


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 4), st.integers(0, 2**32 - 1), st.sampled_from([None, 1]))
def test_weights_are_repeated_records_and_sample_weights(num_classes, seed, decimals):
    targets, probabilities = drawn(40, num_classes, seed, decimals=decimals)
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 4, size=(40, 3))
    weights[:num_classes] = 1
    targets[:num_classes] = np.arange(num_classes)
    resamples = Resamples(Records(targets, probabilities), weights.astype(float))
    for column, counts in enumerate(weights.T):
        repeated = np.repeat(np.arange(40), counts)
        weighted = of_sklearn(targets, probabilities, counts)
        for name in METRIC_NAMES:
            value = resamples.metric(name)[column]
            assert value == pytest.approx(score(name, targets[repeated], probabilities[repeated]), abs=1e-9), name
            if name in weighted and name != "f1_macro":  # sklearn also counts classes of weight 0 in its mean
                assert value == pytest.approx(weighted[name], abs=1e-9), name


def test_per_class_table_and_confusion_matrix():
    targets, probabilities = drawn(80, 3, seed=1)
    found = compute_metrics(targets, probabilities, ["a", "b", "c"], num_resamples=0)
    predicted = probabilities.argmax(axis=1)
    assert found.confusion == sk.confusion_matrix(targets, predicted).tolist()
    assert sum(map(sum, found.confusion)) == found.num_records == 80
    for index, entry in enumerate(found.per_class):
        one = targets == index
        assert entry.label == "abc"[index]
        assert entry.support == one.sum()
        assert entry.precision == pytest.approx(sk.precision_score(one, predicted == index))
        assert entry.recall == pytest.approx(sk.recall_score(one, predicted == index))
        assert entry.f1 == pytest.approx(sk.f1_score(one, predicted == index))
        assert entry.roc_auc == pytest.approx(sk.roc_auc_score(one, probabilities[:, index]))
        assert entry.pr_auc == pytest.approx(sk.average_precision_score(one, probabilities[:, index]))


def test_calibration_error_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.38, 0.62], [0.4, 0.6]])
    # Bins (13/15, 14/15], (9/15, 10/15] and (8/15, 9/15]: gaps |1 - 1.8|, |1 - 0.62| and |0 - 0.6|, over 4 records.
    assert score("ece", [0, 1, 1, 0], probabilities) == pytest.approx((0.8 + 0.38 + 0.6) / 4)


def test_perfect_predictions():
    targets = np.arange(30) % 3
    found = compute_metrics(targets, np.eye(3)[targets], ["a", "b", "c"])
    for name, higher in HIGHER_IS_BETTER.items():
        assert found.values[name] == pytest.approx(float(higher), abs=1e-12), name
        assert (name in found.intervals) == higher
        if higher:
            low = 2 * 0.8843 - 1 if name == "mcc" else 0.8843  # the exact interval of 30 of 30
            assert found.intervals[name].low == pytest.approx(low, abs=1e-4), name
            assert found.intervals[name].high == 1
    (note,) = found.notes
    assert note.startswith("30 of 30 records are right")


def test_constant_predictions():
    targets = np.arange(40) % 2
    found = compute_metrics(targets, np.full((40, 2), 0.5), ["a", "b"])
    assert found.values["accuracy"] == found.values["balanced_accuracy"] == 0.5
    assert found.values["roc_auc"] == found.values["pr_auc"] == 0.5
    assert found.values["mcc"] == 0
    assert found.values["log_loss"] == pytest.approx(np.log(2))
    assert found.per_class[1].precision is None
    assert found.per_class[1].recall == 0


def test_one_class_present_leaves_metrics_undefined_and_says_so():
    _, probabilities = drawn(20, 3, seed=2)
    found = compute_metrics(np.ones(20, dtype=int), probabilities, ["a", "b", "c"], num_resamples=50)
    undefined = [name for name, value in found.values.items() if value is None]
    assert undefined == ["mcc", "roc_auc", "pr_auc"]
    assert not set(undefined) & set(found.intervals)
    assert found.per_class[0].recall is None
    assert found.per_class[0].pr_auc is None
    assert found.values["balanced_accuracy"] == found.per_class[1].recall
    assert len(found.notes) == 1
    assert "'a', 'c'" in found.notes[0]
    assert "undefined: mcc, roc_auc, pr_auc" in found.notes[0]
    assert np.isnan(score("roc_auc", np.ones(20, dtype=int), probabilities))


def test_resamples_without_a_class_are_left_out_and_counted():
    targets = np.array([0] * 40 + [1] * 2)
    _, probabilities = drawn(42, 2, seed=3)
    found = compute_metrics(targets, probabilities, ["a", "b"], num_resamples=400)
    note = next(note for note in found.notes if note.startswith("roc_auc"))
    left_out = int(note.split("missing in ")[1].split()[0])
    assert left_out == pytest.approx(400 * (40 / 42) ** 42, abs=35)
    assert "roc_auc" in found.intervals
    single = compute_metrics([0, 1], [[0.6, 0.4], [0.3, 0.7]], ["a", "b"])
    assert "roc_auc" in single.values
    assert all("resampl" in note for note in single.notes)


def test_intervals_hold_the_value_and_depend_on_the_seed_alone():
    targets, probabilities = drawn(100, 3, seed=6)
    first, again, other = (compute_metrics(targets, probabilities, ["a", "b", "c"], seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.intervals != other.intervals
    for name in METRIC_NAMES:
        assert first.intervals[name].low <= first.values[name] <= first.intervals[name].high, name
    narrow = compute_metrics(targets, probabilities, ["a", "b", "c"], seed=1, confidence_level=0.5)
    assert narrow.intervals["mcc"].low > first.intervals["mcc"].low


def test_many_records_are_resampled_in_chunks(monkeypatch):
    targets, probabilities = drawn(50, 2, seed=7)
    monkeypatch.setattr("genomix.metrics.bootstrap.CHUNK_SIZE", 50 * 7)
    found = compute_metrics(targets, probabilities, ["a", "b"], num_resamples=100)
    assert found.intervals["accuracy"].low < found.intervals["accuracy"].high


def test_to_dict_is_json():
    _, probabilities = drawn(20, 3, seed=8)
    found = compute_metrics(np.ones(20, dtype=int), probabilities, ["a", "b", "c"], num_resamples=50)
    again = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert again["values"]["mcc"] is None
    assert set(again["intervals"]["accuracy"]) == {"low", "high"}
    assert again["per_class"][1]["support"] == 20


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=12), st.integers(0, 2**32 - 1))
def test_any_small_set_gives_numbers_or_none_without_warnings(targets, seed):
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(3), size=len(targets)).round(1)
    probabilities[:, 0] = (1 - probabilities[:, 1:].sum(axis=1)).clip(0)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compute_metrics(targets, probabilities, ["a", "b", "c"], num_resamples=20, seed=seed)
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("targets", "probabilities", "message"),
    [
        ([0, 1], [[0.5, 0.5]], "targets must be"),
        ([0], [[1.0]], "C at least 2"),
        ([], np.empty((0, 2)), "no records"),
        ([2], [[0.5, 0.5]], "from 0 to 1"),
        ([0.5], [[0.5, 0.5]], "class indices"),
        ([0], [[0.5, np.nan]], "finite"),
        ([0], [[0.5, 0.6]], "sum to 1"),
        ([0], [[1.5, -0.5]], "not negative"),
    ],
)
def test_impossible_arguments_are_refused(targets, probabilities, message):
    targets = np.array(targets, dtype=None if targets else int)
    with pytest.raises(ValueError, match=message):
        compute_metrics(targets, probabilities, ["a", "b"])


def test_names_are_checked():
    with pytest.raises(ValueError, match="choose one of accuracy"):
        score("areas", [0], [[0.5, 0.5]])
    with pytest.raises(ValueError, match="1 classes"):
        compute_metrics([0], [[0.5, 0.5]], ["a"])


@pytest.mark.parametrize(("right", "low", "high"), [(30, 0.884, 1.0), (0, 0.0, 0.116)])
def test_where_resampling_shows_no_spread_the_exact_interval_is_noted(right, low, high):
    targets = np.zeros(30, int)
    predicted = np.where(np.arange(30) < right, 0, 1)
    metrics = compute_metrics(targets, np.eye(2)[predicted], ["a", "b"], num_resamples=50)
    assert any(f"{right} of 30" in note and f"{low:.3f} to {high:.3f}" in note for note in metrics.notes)


def test_metrics_undefined_in_most_resamples_have_no_interval():
    found = compute_metrics([0, 1, 2], np.full((3, 3), 1 / 3), ["a", "b", "c"], num_resamples=200)
    assert "accuracy" in found.intervals
    assert not {"roc_auc", "pr_auc"} & set(found.intervals)
    (note,) = [note for note in found.notes if note.startswith("roc_auc")]
    assert int(note.split("missing in ")[1].split()[0]) == pytest.approx(200 * 21 / 27, abs=25)
    assert note.endswith("of 200 resamples, so it has no interval")


def test_without_resamples_nothing_is_said_of_their_spread():
    targets = np.arange(30) % 3
    assert not compute_metrics(targets, np.eye(3)[targets], ["a", "b", "c"], num_resamples=0).notes


def test_one_resample_is_no_certainty():
    targets = np.arange(30) % 2
    predicted = np.where(np.arange(30) < 25, targets, 1 - targets)
    assert not compute_metrics(targets, np.eye(2)[predicted], ["a", "b"], num_resamples=1).notes


def test_the_exact_interval_is_left_out_where_resampling_shows_a_spread():
    targets = np.arange(30) % 2
    predicted = np.where(np.arange(30) < 25, targets, 1 - targets)
    metrics = compute_metrics(targets, np.eye(2)[predicted], ["a", "b"], num_resamples=50)
    assert not any("exact" in note for note in metrics.notes)


def test_areas_of_very_many_probabilities_have_no_interval_and_it_is_said(monkeypatch):
    monkeypatch.setattr("genomix.metrics.bootstrap.MOST_RANKED", 50)
    targets, probabilities = drawn(40, 2, seed=1)
    metrics = compute_metrics(targets, probabilities, ["a", "b"], num_resamples=50)
    assert "roc_auc" not in metrics.intervals
    assert "accuracy" in metrics.intervals
    assert any(note.startswith("roc_auc and pr_auc have no interval") for note in metrics.notes)
