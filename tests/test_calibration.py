"""Calibrated probabilities and label sets against simulations whose truth is known, and formulas written out."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.special import log_softmax, softmax
from scipy.stats import beta

from genomix.config import KmerConfig
from genomix.data.labels import load_labelled
from genomix.errors import UsageError
from genomix.metrics import score
from genomix.metrics.answered import measure_answered
from genomix.metrics.calibration import BOUNDS, Calibration, calibrate, fit_temperature, reliability, soften
from genomix.metrics.conformal import (
    conformity_scores,
    fewest_scores,
    label_sets,
    measure_coverage,
    thin,
    threshold,
)


def simulate(num_records, num_classes=3, spread=2.0, seed=0):
    """Return logits (R, C) that are as sure as they should be, and targets drawn by them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(num_records, num_classes)) * spread
    drawn = rng.random((num_records, 1)) > softmax(logits, axis=1).cumsum(axis=1)
    return logits, drawn.sum(axis=1).clip(max=num_classes - 1)


class TestTemperature:
    @pytest.mark.parametrize("num_classes", [2, 6])
    @pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
    def test_a_known_one_is_recovered(self, temperature, num_classes):
        logits, targets = simulate(8000, num_classes)
        assert fit_temperature(temperature * logits, targets) == pytest.approx(temperature, rel=0.06)

    def test_it_is_that_of_the_least_loss_on_a_grid(self):
        logits, targets = simulate(300)
        rows, certainty = np.arange(300), 301 / 302
        shares = softmax(2 * logits, axis=1)
        shares[rows, targets] = 0
        wanted = (1 - certainty) * shares / shares.sum(axis=1, keepdims=True)
        wanted[rows, targets] = certainty
        grid = np.geomspace(0.2, 10, 4000)
        losses = [-(wanted * log_softmax(2 * logits / temperature, axis=1)).sum() for temperature in grid]
        assert fit_temperature(2 * logits, targets) == pytest.approx(grid[np.argmin(losses)], rel=2e-3)

    def test_a_constant_in_each_row_does_not_matter(self):
        logits, targets = simulate(200)
        shifted = logits + np.arange(200)[:, None]
        assert fit_temperature(shifted, targets) == pytest.approx(fit_temperature(logits, targets), rel=1e-4)

    @pytest.mark.parametrize("num_records", [3, 30, 3000])
    def test_records_all_right_say_nothing_of_a_temperature(self, num_records):
        targets = np.arange(num_records) % 2
        probabilities = soften(softmax(30 * np.eye(2)[targets], axis=1), 1)
        assert calibrate(probabilities, targets).temperature == 1

    @settings(deadline=None, max_examples=50)
    @given(st.integers(2, 200), st.floats(0.1, 10), st.integers(0, 10_000))
    def test_the_records_never_fit_worse(self, num_records, scale, seed):
        logits, targets = simulate(num_records, 3, scale, seed)
        calibration = calibrate(softmax(logits, axis=1), targets)
        assert calibration.log_loss.after <= calibration.log_loss.before + 1e-12

    def test_records_all_wrong_give_a_finite_one(self):
        assert 10 < fit_temperature(30 * np.eye(3), [1, 2, 0]) <= BOUNDS[1]

    def test_a_class_that_is_excluded_altogether_has_no_say(self):
        """A smoothing that gave each other class the same would pay for the excluded ones, and find another."""
        logits, targets = simulate(200, 2)
        with_more = np.concatenate([logits, np.full((200, 5), -500.0)], axis=1)
        assert fit_temperature(with_more, targets) == pytest.approx(fit_temperature(logits, targets), rel=1e-3)

    @settings(deadline=None, max_examples=30)
    @given(st.floats(0.02, 50), st.integers(0, 10_000))
    def test_the_most_probable_class_stays_so(self, temperature, seed):
        probabilities = np.random.default_rng(seed).dirichlet(np.full(4, 0.3), size=5)
        softened = soften(probabilities, temperature)
        np.testing.assert_array_equal(softened.argmax(axis=1), probabilities.argmax(axis=1))
        np.testing.assert_allclose(softened.sum(axis=1), 1)

    @pytest.mark.parametrize(
        ("logs", "targets"),
        [(np.zeros((0, 2)), []), (np.zeros((2, 1)), [0, 0]), (np.zeros((2, 2)), [0]), ([[0.0, -np.inf]], [0])],
    )
    def test_what_cannot_be_is_refused(self, logs, targets):
        with pytest.raises(ValueError, match="logarithms"):
            fit_temperature(logs, targets)


class TestCalibrate:
    def test_too_sure_a_model_is_mended(self):
        logits, targets = simulate(4000, seed=1)
        others, other_targets = simulate(4000, seed=2)
        sure = softmax(3 * logits, axis=1)
        found = calibrate(sure, targets)
        assert found.num_records == 4000
        assert found.log_loss.before == pytest.approx(score("log_loss", targets, sure))
        assert found.log_loss.after < found.log_loss.before
        assert found.ece.before == pytest.approx(score("ece", targets, sure))
        assert found.ece.before > 0.1
        assert found.ece.after < 0.02
        mended = soften(softmax(3 * others, axis=1), found.temperature)
        np.testing.assert_allclose(mended, softmax(others, axis=1), atol=0.02)
        assert score("ece", other_targets, mended) < 0.02

    def test_scores_are_those_of_calibrated_probabilities(self):
        logits, targets = simulate(50)
        found = calibrate(softmax(logits, axis=1), targets)
        softened = softmax(logits / found.temperature, axis=1)
        np.testing.assert_allclose(found.scores, np.sort(1 - softened[np.arange(50), targets]), atol=2e-9)

    def test_a_given_temperature_is_kept(self):
        logits, targets = simulate(50)
        probabilities = softmax(logits, axis=1)
        found = calibrate(probabilities, targets, temperature=1.0, kind="out-of-fold")
        assert (found.temperature, found.kind) == (1.0, "out-of-fold")
        np.testing.assert_allclose(found.scores, np.sort(1 - probabilities[np.arange(50), targets]), atol=2e-9)
        assert found.log_loss.before == pytest.approx(found.log_loss.after)

    def test_notes_say_what_to_doubt(self):
        few, many = (calibrate(softmax(logits, axis=1), targets) for logits, targets in map(simulate, (99, 100)))
        assert [len(few.notes), len(many.notes)] == [2, 1]
        assert "99 records only" in few.notes[0]
        assert "chose the epoch" in many.notes[0]
        logits, targets = simulate(100)
        assert calibrate(softmax(logits, axis=1), targets, chose_epoch=False).notes == []

    def test_probabilities_of_exactly_0_and_1_are_no_obstacle(self):
        found = calibrate([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [0, 1, 1])
        assert math.isfinite(found.temperature)
        assert found.scores[-1] <= 1

    def test_it_comes_back_from_json(self):
        logits, targets = simulate(30)
        found = calibrate(softmax(logits, axis=1), targets)
        assert Calibration.model_validate_json(found.model_dump_json()) == found
        assert "temperature of" in found.describe()

    @pytest.mark.parametrize(
        "changes",
        [
            {"temperature": 0},
            {"temperature": -1},
            {"temperature": math.nan},
            {"temperature": math.inf},
            {"num_records": 0},
            {"scores": []},
            {"scores": [0.5, 0.2]},
            {"scores": [0.5, 1.2]},
            {"scores": [0.5, math.nan]},
            {"kind": "test"},
        ],
    )
    def test_values_that_cannot_be_are_refused(self, changes):
        logits, targets = simulate(30)
        stated = json.loads(calibrate(softmax(logits, axis=1), targets).model_dump_json())
        with pytest.raises(ValidationError):
            Calibration.model_validate(stated | changes)


class TestReliability:
    def test_bins_by_hand(self):
        probabilities = np.array([[0.55, 0.45], [0.6, 0.4], [0.3, 0.7], [0.95, 0.05]])
        found = reliability([0, 1, 1, 0], probabilities, num_bins=5)
        np.testing.assert_allclose(found.edges, [0, 0.2, 0.4, 0.6, 0.8, 1])
        assert found.counts.tolist() == [0, 0, 2, 1, 1]
        np.testing.assert_allclose(found.confidence, [np.nan, np.nan, 0.575, 0.7, 0.95])
        np.testing.assert_allclose(found.accuracy, [np.nan, np.nan, 0.5, 1, 1])

    def test_its_weighted_gaps_are_the_expected_calibration_error(self):
        logits, targets = simulate(500)
        probabilities = softmax(2 * logits, axis=1)
        found = reliability(targets, probabilities)
        gaps = np.abs(found.accuracy - found.confidence)
        assert np.nansum(gaps * found.counts) / 500 == pytest.approx(score("ece", targets, probabilities))

    def test_there_must_be_a_bin(self):
        with pytest.raises(ValueError, match="at least one bin"):
            reliability([0], [[0.5, 0.5]], num_bins=0)


def exact_rank(num_scores, thousandths):
    return math.ceil((num_scores + 1) * Fraction(thousandths, 1000))


class TestThreshold:
    @pytest.mark.parametrize("thousandths", [2, 3, *range(500, 1000, 37), 800, 900, 950, 990, 999])
    def test_it_is_the_order_statistic_of_the_theory(self, thousandths):
        """Also with just as many scores as suffice, where rounding might ask for one more than there are."""
        coverage = thousandths / 1000
        fewest = math.ceil(Fraction(thousandths, 1000 - thousandths))
        assert fewest_scores(coverage) == fewest
        for num_scores in (fewest, fewest + 1, 3 * fewest + 2, 999):
            scores = np.random.default_rng(num_scores).random(num_scores)
            assert threshold(scores, coverage) == np.sort(scores)[exact_rank(num_scores, thousandths) - 1]

    def test_too_few_scores_are_told(self):
        with pytest.raises(
            UsageError, match=r"at least 9 records to calibrate on, and this model has 8.* ask for 0.888"
        ):
            threshold(np.linspace(0, 1, 8), 0.9)
        assert threshold(np.linspace(0, 1, 8), 0.888) == 1

    @pytest.mark.parametrize("coverage", [0, 1, -0.5, 1.5, math.nan])
    def test_coverage_is_between_0_and_1(self, coverage):
        with pytest.raises(UsageError, match="must be between 0 and 1"):
            threshold([0.5], coverage)

    @pytest.mark.parametrize("num_scores", [101, 150, 1000, 1234])
    def test_thinned_scores_never_make_sets_smaller(self, num_scores):
        scores = np.sort(np.random.default_rng(0).random(num_scores))
        fewer = thin(scores, 100)
        assert len(fewer) == 100
        assert set(fewer) <= set(scores)
        assert fewer[-1] == scores[-1]
        for coverage in (0.5, 0.8, 0.9, 0.95, 0.99):
            whole, thinned = threshold(scores, coverage), threshold(fewer, coverage)
            assert whole <= thinned <= whole + 0.05

    def test_few_scores_are_all_kept(self):
        assert thin(np.array([0.1, 0.4])).tolist() == [0.1, 0.4]


class TestSets:
    def test_by_hand(self):
        found = label_sets([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25], [1.0, 0.0, 0.0]], 0.7)
        assert found.tolist() == [[True, False, False], [True, True, False], [True, False, False]]

    def test_none_is_empty(self):
        assert label_sets([[0.5, 0.3, 0.2]], 0.1).tolist() == [[True, False, False]]

    def test_a_class_exactly_at_the_threshold_is_in(self):
        probabilities = np.array([[0.9, 0.1], [0.7, 0.3]])
        scores = conformity_scores(probabilities, [1, 1])
        assert label_sets(probabilities[1:], scores[0]).tolist() == [[True, True]]

    @pytest.mark.parametrize("stated", [0.8, 0.9])
    def test_they_hold_the_truth_as_often_as_stated(self, stated):
        """The mean over draws is the rank over S + 1 (beta distribution), within 4 standard errors, though T is off."""
        num_scores, num_draws, shares = 99, 60, []
        for draw in range(num_draws):
            logits, targets = simulate(num_scores + 1000, 8, seed=draw)
            probabilities = softmax(logits / 2.5, axis=1)
            highest = threshold(conformity_scores(probabilities[:num_scores], targets[:num_scores]), stated)
            within = label_sets(probabilities[num_scores:], highest)
            shares.append(within[np.arange(1000), targets[num_scores:]].mean())
        rank = exact_rank(num_scores, round(1000 * stated))
        expected = beta(rank, num_scores + 1 - rank)
        margin = 4 * math.hypot(expected.std(), math.sqrt(stated * (1 - stated) / 1000)) / math.sqrt(num_draws)
        assert np.mean(shares) == pytest.approx(expected.mean(), abs=margin)
        assert margin < 0.025

    def test_coverage_by_hand(self):
        found = measure_coverage([("a", "b"), ("b",), ("a", "b", "c")], ["a", "c", "b"], 0.9)
        assert (found.stated, found.found, found.mean_size, found.num_records) == (0.9, 2 / 3, 2.0, 3)
        assert found.interval.low == pytest.approx(beta(2, 2).ppf(0.025))
        assert found.interval.high == pytest.approx(beta(3, 1).ppf(0.975))


class TestAnswered:
    def test_by_hand(self):
        found = measure_answered(["a", None, "b", "b"], ["a", "a", "b", "a"], 0.7)
        assert (found.min_confidence, found.num_records, found.num_answered, found.share) == (0.7, 4, 3, 0.75)
        assert found.accuracy == pytest.approx(2 / 3)
        assert found.interval.low < 2 / 3 < found.interval.high

    def test_no_answer_at_all(self):
        found = measure_answered([None, None], ["a", "b"], None)
        assert (found.num_answered, found.share, found.accuracy, found.interval) == (0, 0, None, None)


@pytest.mark.usefixtures("_benchmark_scripts")
class TestBenchmark:
    def test_divisions_leave_no_record_out(self):
        from calibration_error import divide

        learnt, judged, held_out = divide(103, 1)
        assert sorted([*learnt, *judged, *held_out]) == list(range(103))
        assert (len(learnt), len(judged)) == (61, 21)
        assert not np.array_equal(learnt, next(divide(103, 2)))

    def test_sets_of_records_that_are_told_apart_hold_one_label(self, tmp_path):
        from calibration_error import cover

        from genomix.nn.kmer import KmerClassifier

        rng = np.random.default_rng(0)
        letters = ["".join(rng.choice(list(["AT", "CG"][number % 2]), 60)) for number in range(100)]
        (tmp_path / "data.fa").write_text("".join(f">r{n}\n{text}\n" for n, text in enumerate(letters)))
        (tmp_path / "labels.tsv").write_text("id\tlabel\n" + "".join(f"r{n}\t{'ab'[n % 2]}\n" for n in range(100)))
        records = load_labelled(
            [str(tmp_path / "data.fa")], str(tmp_path / "labels.tsv"), cache_dir=tmp_path / "cache", warn=lambda _: None
        )
        tokens = (torch.from_numpy(np.array(records.store.tokens(row)))[None] for row in range(100))
        features = torch.cat([KmerClassifier(2, 2).features(one, torch.tensor([60])) for one in tokens])
        assert cover(features, records, KmerConfig(k=2), 0.9, 0) == (1, 1, 1)
        shuffled = features[torch.randperm(100, generator=torch.Generator().manual_seed(0))]
        accuracy, coverage, size = cover(shuffled, records, KmerConfig(k=2), 0.9, 0)
        assert accuracy < 0.8
        assert accuracy < coverage <= 1
        assert 1.5 < size <= 2


def test_records_all_right_are_said_to_prove_nothing():
    calibration = calibrate([[0.99, 0.01], [0.02, 0.98], [0.97, 0.03]], [0, 1, 0])
    assert "all 3 records are right, from which no temperature can be told" in calibration.describe()
    assert "all 3 records" not in calibrate([[0.99, 0.01], [0.98, 0.02], [0.97, 0.03]], [0, 1, 0]).describe()
