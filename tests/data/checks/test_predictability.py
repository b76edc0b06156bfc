"""How well simple features predict, against plainer computations."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from genomix.data.checks.features import find_motif
from genomix.data.checks.predictability import measure_areas, predict_out_of_fold, score_interval
from genomix.data.checks.shortcuts import _lower_end


def draw(seed, counts, shift):
    """Targets, and probabilities of which each class's own is higher by `shift`."""
    rng = np.random.default_rng(seed)
    targets = np.repeat(np.arange(len(counts)), counts)
    scores = np.exp(rng.normal(size=(len(targets), len(counts))) + shift * np.eye(len(counts))[targets])
    return targets, scores / scores.sum(axis=1, keepdims=True)


def counts_of(counts):
    """Records of each class, and of the others."""
    return np.array(counts), sum(counts) - np.array(counts)


def test_areas_of_two_classes():
    targets, probabilities = draw(1, [60, 40], 1.0)
    (areas,) = measure_areas(targets, [probabilities], *counts_of([60, 40]), 0)
    assert areas.value == pytest.approx(roc_auc_score(targets, probabilities[:, 1]))
    assert areas.low < areas.value < areas.high


def test_areas_of_several_classes():
    targets, probabilities = draw(2, [50, 30, 20], 1.0)
    (areas,) = measure_areas(targets, [probabilities], *counts_of([50, 30, 20]), 0)
    assert areas.value == pytest.approx(roc_auc_score(targets, probabilities, multi_class="ovr"))
    each = [roc_auc_score(targets == target, probabilities[:, target]) for target in range(3)]
    assert areas.class_values == pytest.approx(each)
    assert (areas.class_lows < each).all()


def test_runs_share_their_resamples():
    """A run less itself is 0 in every resample; with draws of its own it would not be."""
    targets, probabilities = draw(3, [40, 40], 0.5)
    first, second = measure_areas(targets, [probabilities, probabilities], *counts_of([40, 40]), 0)
    assert np.array_equal(first.drawn, second.drawn)


def test_perfect_predictions_of_few_records_are_uncertain():
    targets = np.repeat([0, 1], 5)
    (areas,) = measure_areas(targets, [np.eye(2)[targets]], *counts_of([5, 5]), 0)
    assert areas.value == 1
    assert areas.low < 0.75
    assert measure_areas(targets.repeat(40), [np.eye(2)[targets.repeat(40)]], *counts_of([200, 200]), 0)[0].low > 0.97


@pytest.mark.parametrize("value", [0.5, 0.8, 0.97, 1.0])
def test_ends_of_the_score_interval_solve_its_equation(value):
    """|value - t| = 1.96 sqrt(V(t)), with the variance written from Newcombe's method 5."""
    num_positive, num_negative = 30, 45
    half = (num_positive + num_negative) / 2

    def variance(t):
        return t * (1 - t) * (1 + (half - 1) * ((1 - t) / (2 - t) + t / (1 + t))) / (num_positive * num_negative)

    low, high = score_interval(value, num_positive, num_negative)
    for end in (low, high):
        if 0 < end < 1:
            assert abs(value - end) == pytest.approx(1.959964 * variance(end) ** 0.5, rel=1e-5)
    assert low < value <= high <= 1


def test_score_interval_covers_the_truth():
    """Of 400 samples of normal scores with a known area, 95 % or more of the intervals hold it."""
    rng = np.random.default_rng(4)
    truth = 0.760250  # of scores that are 1 standard deviation apart
    targets = np.repeat([0, 1], 25)
    covered = 0
    for scores in rng.normal(size=(400, 50)) + targets:
        area = float(np.mean(scores[25:, None] > scores[:25]))
        low, high = score_interval(area, 25, 25)
        covered += low <= truth <= high
    assert 0.93 <= covered / 400 <= 0.99


def test_a_number_predicts_without_order():
    """The class of values in the middle: no monotone score tells it."""
    rng = np.random.default_rng(5)
    values = rng.uniform(size=(400, 1))
    targets = ((values[:, 0] > 0.3) & (values[:, 0] < 0.7)).astype(np.int64)
    probabilities = predict_out_of_fold("number", values, targets, None, 0)
    assert roc_auc_score(targets, probabilities[:, 1]) > 0.97
    assert roc_auc_score(targets, values[:, 0]) < 0.6


def test_groups_are_not_learnt_from():
    """All records of a group have the same number, which says their class only to who has seen the group."""
    rng = np.random.default_rng(6)
    groups = np.repeat(np.arange(60), 10)
    targets = rng.integers(0, 2, 60)[groups]
    values = rng.permutation(60)[groups].astype(float)[:, None]
    seen = predict_out_of_fold("number", values, targets, None, 0)
    unseen = predict_out_of_fold("number", values, targets, groups, 0)
    assert roc_auc_score(targets, seen[:, 1]) > 0.8
    assert roc_auc_score(targets, unseen[:, 1]) < 0.65


def test_find_motif():
    tokens = np.array([[0, 1, 2, 3], [0, 1, 2, 0], [0, 1, 3, 3], [2, 2, 2, 2], [3, 1, 2, 3]], dtype=np.uint8)
    targets = np.array([0, 0, 0, 1, 1])
    motif = find_motif(tokens, targets, 2, is_start=True)
    assert motif == ("AC", 0, 1.0, 0.0)
    motif = find_motif(tokens, targets, 2, is_start=False)
    assert (motif.letters, motif.target, motif.share, motif.share_of_others) == ("GG", 1, 0.5, 0.0)


@pytest.mark.parametrize(
    ("low", "shown"),
    [(0.8999, "0.899"), (0.9, "0.900"), (0.9049, "0.904"), (0.905001, "0.91"), (0.6462, "0.646"), (0.71234, "0.71")],
)
def test_lower_ends_near_a_limit_show_their_side_of_it(low, shown):
    assert _lower_end(low) == shown
