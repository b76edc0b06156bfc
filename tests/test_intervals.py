"""Each kind of interval, against scipy, the equation that its ends solve, or numbers by hand."""

import numpy as np
import pytest
from scipy.stats import binomtest

from genomix.metrics import METRIC_NAMES, compute_metrics
from genomix.metrics.intervals import (
    Evidence,
    evidence_of,
    gap_interval,
    hidden_variance,
    mean_interval,
    score_interval,
    student_quantile,
)


def spread_to(value, deviation):
    """Two resamples of that mean and standard deviation."""
    return np.array([value - deviation, value + deviation])


@pytest.mark.parametrize(("num_right", "num_records"), [(40, 50), (3, 70), (199, 200)])
def test_the_score_interval_of_a_share_is_that_of_scipy(num_right, num_records):
    share = num_right / num_records
    drawn = spread_to(share, np.sqrt(share * (1 - share) / num_records))
    expected = binomtest(num_right, num_records).proportion_ci(0.9, method="wilson")
    found = score_interval(share, drawn, Evidence(1000.0, 1e9), 0.9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-6)
    # A metric from -1 to 1 of twice the deviation, and a deviation of which half is hidden from the resamples.
    wide = score_interval(2 * share - 1, 2 * drawn - 1, Evidence(1000.0, 1e9), 0.9, least=-1.0)
    assert (wide.low, wide.high) == pytest.approx((2 * expected.low - 1, 2 * expected.high - 1), abs=1e-6)
    part = share * (1 - share) / num_records / 2
    hidden = score_interval(share, spread_to(share, np.sqrt(part)), Evidence(1000.0, 1e9), 0.9, hidden=part)
    assert (hidden.low, hidden.high) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_ends_of_the_score_interval_are_so_many_deviations_from_the_value():
    found = score_interval(0.8, spread_to(0.8, 0.05), Evidence(100.0, 7), 0.95)
    for end in (found.low, found.high):
        assert abs(0.8 - end) / np.sqrt(end * (1 - end) / (0.16 / 0.05**2)) == pytest.approx(2.3646, abs=1e-4)
    capped = score_interval(0.8, spread_to(0.8, 1e-5), Evidence(10.0, 7), 0.95, most_times=4)
    alike = score_interval(0.8, np.full(5, 0.8), Evidence(40.0, 7), 0.95)
    assert (capped.low, capped.high) == (alike.low, alike.high)


@pytest.mark.parametrize("num_records", [1, 7, 30])
def test_the_score_interval_at_an_end_is_the_exact_one(num_records):
    evidence = Evidence(num_records, max(num_records - 1, 1))
    for value, num_right in ((1.0, num_records), (0.0, 0)):
        expected = binomtest(num_right, num_records).proportion_ci(0.95, method="exact")
        found = score_interval(value, np.full(10, value), evidence, 0.95)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_evidence_behind_a_mean_over_classes():
    assert evidence_of(np.array([20, 20, 0, 20])) == pytest.approx((60, 57))
    # Welch's degrees of freedom of two samples of equal variance, whose mean has (1/5 + 1/45) / 4 of it.
    welch = (1 / 5 + 1 / 45) ** 2 / ((1 / 5) ** 2 / 4 + (1 / 45) ** 2 / 44)
    assert evidence_of(np.array([5, 45])) == pytest.approx((4 / (1 / 5 + 1 / 45), welch))
    assert evidence_of(np.zeros(3)) == (1, 1)
    assert student_quantile(1, 0.95) == pytest.approx(12.7062, abs=1e-4)


def test_classes_without_a_wrong_record_hide_some_variance():
    assert hidden_variance(np.array([10, 30, 0]), np.array([9, 20, 0])) == 0
    expected = (0.5 / 11) * (10.5 / 11) / 10 / 4
    assert hidden_variance(np.array([10, 30, 0]), np.array([10, 20, 0])) == pytest.approx(expected)
    assert hidden_variance(np.array([10, 30, 0]), np.array([0, 20, 0])) == pytest.approx(expected)


def test_the_interval_of_a_mean_takes_out_the_skewness():
    drawn = np.random.default_rng(6).gamma(2.0, size=400)
    value, num_records = drawn.mean(), 40
    found = mean_interval(value, drawn, num_records, 0.95)
    step = drawn.std() * np.sqrt(num_records / (num_records - 1))
    skewness = np.mean((drawn - drawn.mean()) ** 3) / drawn.std() ** 3
    for end, quantile in ((found.low, 2.0227), (found.high, -2.0227)):
        t = (value - end) / step
        transformed = t + skewness * t**2 / 3 + skewness**2 * t**3 / 27 + skewness / 6
        assert transformed == pytest.approx(quantile, abs=1e-3)
    even = mean_interval(2.0, spread_to(2.0, 0.1), num_records, 0.95)
    assert (even.low, even.high) == pytest.approx(
        (2 - 0.1 * 2.0227 * np.sqrt(40 / 39), 2 + 0.1 * 2.0227 * np.sqrt(40 / 39)), abs=1e-4
    )
    assert mean_interval(0.5, drawn, num_records, 0.95).low == 0
    constant = mean_interval(np.log(2), np.full(9, np.log(2)), 1, 0.95)
    assert constant.low == constant.high == np.log(2)


def test_the_interval_of_gaps_by_hand():
    noise, drawn = np.arange(101) / 1000, 0.2 + np.arange(101) / 1000
    found = gap_interval(0.25, drawn, noise, 0.9)
    assert (found.low, found.high) == pytest.approx((0.25 - 0.095, 0.5 - 0.205))
    found = gap_interval(0.05, drawn, noise, 0.9)
    assert (found.low, found.high) == (0, 0.05)


def test_where_no_record_is_wrong_losses_have_no_interval():
    targets = np.arange(40) % 2
    found = compute_metrics(targets, 0.1 + 0.8 * np.eye(2)[targets], ["a", "b"], num_resamples=50)
    assert set(METRIC_NAMES) - set(found.intervals) == {"log_loss", "brier", "ece"}
    assert "log_loss, brier and ece have no interval" in found.notes[0]
    none_right = compute_metrics(targets, 0.1 + 0.8 * np.eye(2)[1 - targets], ["a", "b"], num_resamples=50)
    assert set(none_right.intervals) == set(METRIC_NAMES)
    assert "no interval" not in none_right.notes[0]


def test_of_one_record_losses_have_no_interval():
    found = compute_metrics([1], [[0.7, 0.3]], ["a", "b"])
    assert {"log_loss", "brier", "ece"}.isdisjoint(found.intervals)
    assert found.values["log_loss"] == pytest.approx(-np.log(0.3))
    assert any("with one record seen, log_loss, brier and ece have no interval" in note for note in found.notes)


def test_a_model_that_always_says_the_same_is_not_known_to_have_no_skill():
    targets = np.array([0] * 40 + [1] * 10)
    found = compute_metrics(targets, np.tile([0.7, 0.3], (50, 1)), ["a", "b"], num_resamples=100)
    for name, value, least in (("mcc", 0, 0.3), ("balanced_accuracy", 0.5, 0.05)):
        assert found.values[name] == value
        assert found.intervals[name].low < value - least < value + least < found.intervals[name].high


def test_one_pair_in_the_wrong_order_is_not_enough_to_know_how_rare_such_pairs_are():
    targets = np.array([0] * 180 + [1] * 20)
    probability = np.linspace(0.01, 0.99, 200)
    probability[[179, 180]] = probability[[180, 179]]
    found = compute_metrics(targets, np.stack([1 - probability, probability], axis=1), ["a", "b"], num_resamples=200)
    value = 1 - 1 / (180 * 20)
    assert found.values["roc_auc"] == pytest.approx(value)
    evidence = evidence_of(np.array([180, 20]))
    largest = 4 * evidence.num_records
    expected = score_interval(value, spread_to(value, np.sqrt(value * (1 - value) / largest)), evidence, 0.95)
    assert found.intervals["roc_auc"].low == pytest.approx(expected.low, abs=1e-9)
