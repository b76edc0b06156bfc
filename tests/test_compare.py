"""Comparisons of runs, against computations that draw, measure and count one resample at a time."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genomix.metrics import HIGHER_IS_BETTER, METRIC_NAMES, compute_metrics
from genomix.metrics.bootstrap import percentile_interval, resample
from genomix.metrics.comparison import compare_metrics
from genomix.metrics.paired import bootstrap_p, holm, mcnemar
from genomix.metrics.weighted import Records


def plain_mcc(targets, probabilities):
    return np.corrcoef(targets, probabilities[:, 1] > 0.5)[0, 1]


def plain_roc_auc(targets, probabilities):
    scores = probabilities[:, 1]
    return (scores[targets == 1][:, None] > scores[targets == 0][None, :]).mean()


PLAIN = {
    "accuracy": lambda targets, probabilities: np.mean((probabilities[:, 1] > 0.5) == targets),
    "mcc": plain_mcc,
    "roc_auc": plain_roc_auc,
    "log_loss": lambda targets, probabilities: -np.mean(np.log(probabilities[np.arange(len(targets)), targets])),
}


def drawn(num_records, skill, seed):
    """Targets of two classes and probabilities that know as much of them as `skill` says."""
    rng = np.random.default_rng(seed)
    targets = np.arange(num_records) % 2
    odds = np.exp(skill * (2 * targets - 1) + rng.normal(size=num_records))
    return targets, np.stack([1 / (1 + odds), odds / (1 + odds)], axis=1)


def compared(runs, metrics=METRIC_NAMES, baseline="base", **options):
    """Compare runs by their skill; the names' order is the order of the runs."""
    probabilities = {name: drawn(60, skill, number)[1] for number, (name, skill) in enumerate(runs.items())}
    return compare_metrics(drawn(60, 0, 0)[0], probabilities, ["a", "b"], metrics, baseline=baseline, **options)


def test_the_paired_bootstrap_is_that_of_a_plain_loop():
    targets, base = drawn(40, 0.5, 1)
    _, better = drawn(40, 1.5, 2)
    found = compare_metrics(
        targets,
        {"base": base, "better": better},
        ["a", "b"],
        list(PLAIN),
        baseline="base",
        num_resamples=200,
        seed=3,
        confidence_level=0.9,
    )
    rows = np.random.default_rng(3).integers(40, size=(40, 200))
    for name, measure in PLAIN.items():
        differences = []
        for resample_rows in rows.T:
            ours = measure(targets[resample_rows], better[resample_rows])
            differences.append(ours - measure(targets[resample_rows], base[resample_rows]))
        ordered = sorted(differences)
        difference = found.runs[1].differences[name]
        assert difference.difference == pytest.approx(measure(targets, better) - measure(targets, base), abs=1e-9)
        # The quantiles of 200 sorted values at 0.05 and 0.95 lie at 9.95 and 189.05, counted from 0.
        assert difference.interval.low == pytest.approx(0.05 * ordered[9] + 0.95 * ordered[10], abs=1e-9)
        assert difference.interval.high == pytest.approx(0.95 * ordered[189] + 0.05 * ordered[190], abs=1e-9)
        not_above = sum(one <= 1e-9 for one in differences)
        not_below = sum(one >= -1e-9 for one in differences)
        assert difference.p == pytest.approx(min(1, 2 * (min(not_above, not_below) + 1) / 201))


def test_the_intervals_of_a_run_are_those_of_its_evaluation():
    found = compared({"base": 0.5, "other": 1.0}, num_resamples=300, seed=4, confidence_level=0.8)
    for number, run in enumerate(found.runs):
        targets, probabilities = drawn(60, (0.5, 1.0)[number], number)
        alone = compute_metrics(targets, probabilities, ["a", "b"], num_resamples=300, seed=4, confidence_level=0.8)
        assert run.values == pytest.approx(alone.values)
        assert run.intervals == alone.intervals


def test_many_records_are_resampled_in_chunks_alike_for_all_runs(monkeypatch):
    monkeypatch.setattr("genomix.metrics.bootstrap.CHUNK_SIZE", 60 * 7)
    found = compared({"base": 0.5, "copy": 0.5}, num_resamples=100)
    assert found.runs[0].intervals["accuracy"].low < found.runs[0].intervals["accuracy"].high
    records = [Records(*drawn(60, 0.5, 0))] * 2
    (one,) = resample(records, ["brier"], num_resamples=100).values()
    assert one.drawn.shape == (2, 100)
    assert np.array_equal(one.drawn[0], one.drawn[1])
    assert len(np.unique(one.drawn[0])) == 100


def test_a_copy_of_a_run_differs_by_nothing():
    targets, probabilities = drawn(50, 1.0, 5)
    found = compare_metrics(
        targets, {"a": probabilities, "b": probabilities.copy()}, ["a", "b"], METRIC_NAMES, baseline="a"
    )
    for difference in found.runs[1].differences.values():
        assert difference.difference == difference.interval.low == difference.interval.high == 0
        assert difference.p == difference.p_holm == 1
    table = found.runs[1].mcnemar
    assert (table.only_run_right, table.only_baseline_right, table.p) == (0, 0, 1)
    assert table.both_right + table.both_wrong == 50


def test_a_clearly_better_run_is_found_to_be():
    found = compared({"base": 0.2, "better": 2.5})
    _, better = found.runs
    for name, difference in better.differences.items():
        if name != "ece":
            assert (difference.difference > 0) == HIGHER_IS_BETTER[name], name
            assert (difference.interval.low > 0) == HIGHER_IS_BETTER[name], name
            assert difference.p < 0.01, name
    assert better.mcnemar.only_run_right > better.mcnemar.only_baseline_right
    assert better.mcnemar.p < 0.01


def test_the_other_baseline_turns_the_signs():
    runs = {"base": 0.5, "other": 1.0}
    there, back = (compared(runs, baseline=name) for name in runs)
    assert not there.runs[0].differences
    assert not back.runs[1].differences
    for name, difference in there.runs[1].differences.items():
        turned = back.runs[0].differences[name]
        assert turned.difference == -difference.difference
        assert turned.interval.low == pytest.approx(-difference.interval.high)
        assert turned.interval.high == pytest.approx(-difference.interval.low)
        assert turned.p == difference.p
    ours, theirs = there.runs[1].mcnemar, back.runs[0].mcnemar
    assert (ours.only_run_right, ours.only_baseline_right, ours.p) == (
        theirs.only_baseline_right,
        theirs.only_run_right,
        theirs.p,
    )


def test_without_a_difference_small_p_values_are_as_rare_as_they_say():
    small, trials = 0, 200
    rng = np.random.default_rng(6)
    for trial in range(trials):
        targets = rng.integers(2, size=120)
        runs = {}
        for name in ("a", "b"):
            likely = np.where(rng.random(120) < 0.8, targets, 1 - targets)
            runs[name] = np.where(np.arange(2) == likely[:, None], 0.9, 0.1)
        found = compare_metrics(targets, runs, ["a", "b"], ["accuracy"], baseline="a", num_resamples=200, seed=trial)
        small += found.runs[1].differences["accuracy"].p <= 0.1
    assert 0.04 <= small / trials <= 0.16


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_is_the_sum_of_binomial_tails(pairs):
    found = mcnemar(*zip(*pairs, strict=True))
    only_run = sum(run and not baseline for run, baseline in pairs)
    only_baseline = sum(baseline and not run for run, baseline in pairs)
    discordant = only_run + only_baseline
    tail = sum(math.comb(discordant, i) for i in range(min(only_run, only_baseline) + 1)) / 2**discordant
    assert found.p == pytest.approx(min(1, 2 * tail))
    assert (found.only_run_right, found.only_baseline_right) == (only_run, only_baseline)
    assert found.both_right == sum(run and baseline for run, baseline in pairs)
    assert found.both_right + found.both_wrong + discordant == len(pairs)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.999))
def test_adjusted_p_values_reject_what_the_step_down_rejects(p_values, level):
    rejected = set()
    for rank, number in enumerate(sorted(range(len(p_values)), key=lambda number: p_values[number])):
        if p_values[number] * (len(p_values) - rank) > level:
            break
        rejected.add(number)
    assert {number for number, p in enumerate(holm(p_values)) if p <= level} == rejected


def test_adjusting_leaves_out_what_has_no_p_value():
    assert holm([0.03, None, 0.01]) == [0.03, None, 0.02]
    assert holm([None]) == [None]
    assert holm([0.2]) == [0.2]


def test_p_values_are_adjusted_over_the_runs_of_a_metric():
    found = compared({"base": 0.2, "one": 0.9, "two": 0.7, "three": 0.3}, ["accuracy", "brier"])
    for name in ("accuracy", "brier"):
        differences = [run.differences[name] for run in found.runs[1:]]
        assert [one.p_holm for one in differences] == holm([one.p for one in differences])
        assert any(one.p_holm > one.p for one in differences)
    assert [run.mcnemar_p_holm for run in found.runs[1:]] == holm([run.mcnemar.p for run in found.runs[1:]])


def test_undefined_resamples_are_left_out():
    values = np.array([1.0, 2.0, 3.0, np.nan])
    assert percentile_interval(values, 0.5).low == 1.5
    assert bootstrap_p(values) == 2 * (0 + 1) / (3 + 1)
    mostly = np.array([1.0, np.nan, np.nan])
    assert percentile_interval(mostly, 0.5) is None
    assert bootstrap_p(mostly) is None


def test_what_is_undefined_or_left_out_is_said():
    probabilities = {name: drawn(30, 1.0, seed)[1] for seed, name in enumerate(("base", "other"))}
    options = {"baseline": "base", "num_resamples": 100}
    one_class = compare_metrics(np.ones(30, int), probabilities, ["a", "b"], ["accuracy", "roc_auc"], **options)
    assert one_class.runs[1].differences["roc_auc"].difference is None
    assert one_class.runs[1].differences["roc_auc"].p is None
    assert any(note.startswith("roc_auc is undefined") for note in one_class.notes)
    rare = compare_metrics(np.arange(30) // 28, probabilities, ["a", "b"], ["roc_auc"], **options)
    assert any("a class is missing in" in note and "left out" in note for note in rare.notes)
    assert rare.runs[1].differences["roc_auc"].interval is not None
    json.dumps(one_class.to_dict(), allow_nan=False)


def test_a_run_without_errors_has_its_exact_interval_noted():
    targets = np.arange(30) % 2
    runs = {"sure": np.eye(2)[targets] * 0.8 + 0.1, "base": drawn(30, 0.5, 1)[1]}
    found = compare_metrics(targets, runs, ["a", "b"], ["accuracy"], baseline="base", num_resamples=100)
    (note,) = found.notes
    assert note.startswith("sure: 30 of 30 records are right")
    assert "0.884 to 1.000" in note


def test_areas_of_very_many_probabilities_have_no_interval(monkeypatch):
    monkeypatch.setattr("genomix.metrics.bootstrap.MOST_RANKED", 50)
    found = compared({"base": 0.5, "other": 1.0}, ["roc_auc", "accuracy"], num_resamples=100)
    assert found.runs[1].differences["roc_auc"].difference is not None
    assert found.runs[1].differences["roc_auc"].interval is found.runs[1].differences["roc_auc"].p is None
    assert found.runs[1].differences["accuracy"].interval is not None
    assert any(note.startswith("roc_auc has no interval") for note in found.notes)


def test_without_resamples_nothing_is_said_of_intervals():
    assert not compared({"base": 0.5, "other": 1.0}, num_resamples=0).notes


def test_what_is_undefined_is_not_resampled():
    found = resample([Records(np.ones(10, int), drawn(10, 1, 1)[1])], ["mcc", "accuracy"], num_resamples=5)
    assert np.isnan(found["mcc"].values).all()
    assert (found["mcc"].drawn.shape, found["accuracy"].drawn.shape) == ((1, 0), (1, 5))


def test_notes_are_those_of_an_evaluation():
    targets = np.array([0] * 28 + [1] * 2)
    probabilities = {"base": drawn(30, 1.0, 1)[1], "sure": np.eye(2)[targets]}
    found = compare_metrics(targets, probabilities, ["a", "b"], METRIC_NAMES, baseline="base", num_resamples=200)
    alone = compute_metrics(targets, probabilities["sure"], ["a", "b"], num_resamples=200)
    assert len(alone.notes) == 4
    assert [note.removeprefix("sure: ") for note in found.notes] == alone.notes


def test_runs_of_other_records_are_no_pair():
    with pytest.raises(ValueError, match="the same records"):
        resample([Records(*drawn(10, 1, 1)), Records(*drawn(12, 1, 1))], ["mcc"], num_resamples=1)
