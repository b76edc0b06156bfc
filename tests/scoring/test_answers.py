"""Abstentions and sets of labels are added to rows that stay what they were."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scored import make_model

from genomix.data.predictions import PredictionRow
from genomix.errors import UsageError
from genomix.metrics.calibration import calibrate
from genomix.metrics.conformal import threshold
from genomix.scoring import Answers, Ensemble, Scorer, make_answers

CLASSES = ["a", "b", "c"]
SURE = PredictionRow("sure", 9, [0.1, 0.8, 0.1])
UNSURE = PredictionRow("unsure", 9, np.array([0.25, 0.35, 0.4]), ("too_short",), "9 bp")
SKIPPED = PredictionRow("skipped", 0, None, ("skipped",), "empty")


class TestAbstaining:
    def test_only_what_is_below_is_not_answered(self):
        answers = Answers(CLASSES, min_confidence=0.8)
        assert answers.complete(SURE) == SURE
        assert answers.complete(SKIPPED) == SKIPPED
        row = answers.complete(UNSURE)
        assert row.statuses == ("too_short", "abstained")
        assert row.note == "9 bp; not sure enough: best guess c, probability 0.400"
        assert row.probabilities is UNSURE.probabilities
        assert row.label_set is None

    def test_a_row_that_was_ok_is_abstained_alone(self):
        row = Answers(CLASSES, min_confidence=0.81).complete(SURE)
        assert (row.statuses, row.note) == (("abstained",), "not sure enough: best guess b, probability 0.800")

    def test_nothing_asked_changes_nothing(self):
        assert Answers(CLASSES).complete(UNSURE) is UNSURE


class TestSets:
    def test_they_hold_what_is_not_ruled_out_the_likeliest_first(self):
        answers = Answers(CLASSES, highest_score=0.7)
        assert answers.complete(SURE).label_set == ("b",)
        assert answers.complete(UNSURE).label_set == ("c", "b")
        assert answers.complete(SKIPPED).label_set is None
        assert (Answers(CLASSES, highest_score=1.0).complete(SURE).label_set) == ("b", "a", "c")

    def test_an_abstained_row_has_one_too(self):
        row = Answers(CLASSES, 0.9, 0.7).complete(UNSURE)
        assert (row.label_set, row.statuses) == (("c", "b"), ("too_short", "abstained"))


@pytest.fixture(scope="module")
def calibrated():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), size=50)
    return replace(make_model(), calibration=calibrate(probabilities, rng.integers(0, 3, 50)))


class TestMaking:
    def test_the_threshold_is_that_of_the_scores(self, calibrated):
        answers = make_answers(Scorer(calibrated), min_confidence=0.5, coverage=0.9)
        assert answers == Answers(CLASSES, 0.5, threshold(calibrated.calibration.scores, 0.9))

    @pytest.mark.parametrize("min_confidence", [-0.1, 1.1, 2, math.nan])
    def test_a_probability_that_is_none(self, calibrated, min_confidence):
        with pytest.raises(UsageError, match=r"--min-confidence .*: must be between 0 and 1"):
            make_answers(Scorer(calibrated), min_confidence=min_confidence)

    @pytest.mark.parametrize("coverage", [0, 1, 90, -1, math.nan])
    def test_a_coverage_that_is_none(self, calibrated, coverage):
        with pytest.raises(UsageError, match=r"--coverage .*: must be between 0 and 1"):
            make_answers(Scorer(calibrated), coverage=coverage)

    def test_too_few_records_for_it(self, calibrated):
        with pytest.raises(UsageError, match=r"takes at least 99 records to calibrate on, and this model has 50"):
            make_answers(Scorer(calibrated), coverage=0.99)

    def test_no_calibration(self, calibrated):
        with pytest.raises(UsageError, match=r"nowhere has no calibration\.json.*train it again"):
            make_answers(Scorer(make_model()), coverage=0.9)
        with pytest.raises(UsageError, match="leave out --no-calibration"):
            make_answers(Scorer(calibrated, calibrated=False), coverage=0.9)
        with pytest.raises(UsageError, match=r"no calibration\.json of their mean; name a directory"):
            make_answers(Ensemble([Scorer(calibrated), Scorer(calibrated)]), coverage=0.9)

    def test_several_models_take_the_scores_of_their_mean(self, calibrated):
        common = calibrate([[0.2, 0.8, 0.0]] * 9, [1] * 9, temperature=1.0)
        answers = make_answers(Ensemble([Scorer(calibrated)], common), coverage=0.9)
        assert answers.highest_score == pytest.approx(0.2)
