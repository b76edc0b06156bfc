"""How often intervals hold the truth, where it is known from the densities that records are drawn from."""

from argparse import Namespace

import numpy as np
import pytest
from scipy.stats import norm

from genomix.metrics import HIGHER_IS_BETTER, METRIC_NAMES, compute_metrics
from genomix.metrics.bootstrap import percentile_interval, resample
from genomix.metrics.intervals import intervals_of
from genomix.metrics.paired import bootstrap_p
from genomix.metrics.weighted import NUM_CALIBRATION_BINS, Records

NUM_SETS = 300


def draw(num_records, skill, share, temperature, rng):
    """Targets of two classes, class 1 with that share, and probabilities: by Bayes' rule where the temperature is 1.

    The logarithm of the odds of class 1 is normal with mean +-skill^2 + log(share / (1 - share)) and deviation
    sqrt(2) skill, over the temperature.
    """
    targets = (rng.random(num_records) < share).astype(int)
    odds = rng.normal((2 * targets - 1) * skill**2 + np.log(share / (1 - share)), np.sqrt(2) * skill)
    probability = 1 / (1 + np.exp(-odds / temperature))
    return targets, np.stack([1 - probability, probability], axis=1)


def truth_of(skill, share, temperature):
    """Every metric of infinitely many records, by sums over a fine grid of the logarithm of the odds."""
    odds, step = np.linspace(-60, 60, 240_001, retstep=True)
    offset, deviation = np.log(share / (1 - share)), np.sqrt(2) * skill
    masses = [
        step * (1 - share) * norm.pdf(odds, -(skill**2) + offset, deviation),
        step * share * norm.pdf(odds, skill**2 + offset, deviation),
    ]
    probability = 1 / (1 + np.exp(-odds / temperature))
    is_one = probability > 0.5
    (n00, n01), (n10, n11) = ([mass[~is_one].sum(), mass[is_one].sum()] for mass in masses)
    f1 = [2 * n00 / (2 * n00 + n01 + n10), 2 * n11 / (2 * n11 + n01 + n10)]
    above = [mass[::-1].cumsum()[::-1] for mass in masses]
    confidence = np.maximum(probability, 1 - probability)
    bins = np.ceil(confidence * NUM_CALIBRATION_BINS).astype(int) - 1
    right = np.where(is_one, masses[1], masses[0])
    gaps = np.bincount(bins, right - confidence * (masses[0] + masses[1]))
    return {
        "accuracy": n00 + n11,
        "balanced_accuracy": (n00 / (n00 + n01) + n11 / (n11 + n10)) / 2,
        "f1_macro": sum(f1) / 2,
        "f1_weighted": (1 - share) * f1[0] + share * f1[1],
        "mcc": (n00 * n11 - n01 * n10) / np.sqrt((n00 + n01) * (n10 + n11) * (n00 + n10) * (n01 + n11)),
        "roc_auc": norm.cdf(skill),
        "pr_auc": (masses[1] * above[1] / np.maximum(above[0] + above[1], 1e-300)).sum() / share,
        "log_loss": -(masses[0] * np.log(1 - probability.clip(max=1 - 1e-16)) + masses[1] * np.log(probability)).sum(),
        "brier": 2 * (masses[0] * probability**2 + masses[1] * (1 - probability) ** 2).sum(),
        "ece": np.abs(gaps).sum(),
    }


def simulate(num_records, problem, seed, confidence_level=0.95):
    """Values (sets,) and intervals (sets, 2) of each metric, NaN where there is none."""
    rng = np.random.default_rng(seed)
    values = {name: np.empty(NUM_SETS) for name in METRIC_NAMES}
    ends = {name: np.full((NUM_SETS, 2), np.nan) for name in METRIC_NAMES}
    for number in range(NUM_SETS):
        records = Records(*draw(num_records, *problem, rng))
        found = resample([records], METRIC_NAMES, num_resamples=200, seed=number)
        for name, one in found.items():
            values[name][number] = one.values[0]
        for name, interval in intervals_of(records, found, 0, confidence_level).items():
            ends[name][number] = interval.low, interval.high
    return values, ends


def share_covered(ends, truth):
    low, high = ends[~np.isnan(ends[:, 0])].T
    return np.mean((low <= truth + 1e-9) & (truth <= high + 1e-9))


MODERATE, NEARLY_PERFECT, UNEVEN, RARE = (1.2, 0.5, 1.0), (2.5, 0.5, 1.0), (1.2, 0.2, 0.5), (2.5, 0.1, 1.0)


@pytest.mark.parametrize(
    ("problem", "num_records"),
    [(MODERATE, 60), (NEARLY_PERFECT, 60), (UNEVEN, 60), (NEARLY_PERFECT, 20), (RARE, 100)],
)
def test_intervals_hold_the_truth_about_as_often_as_they_say(problem, num_records):
    """Of 300 sets 95 % are 0.95 +- 0.0126; small sets of good models hold it more often, pr_auc a little less."""
    truth = truth_of(*problem)
    values, ends = simulate(num_records, problem, seed=1)
    for name in METRIC_NAMES:
        covered = share_covered(ends[name], truth[name])
        assert covered >= 0.9, (name, covered)
        if problem == MODERATE and name != "ece":
            assert covered <= 0.985, (name, covered)
            width = np.mean(ends[name][:, 1] - ends[name][:, 0])
            assert width <= 1.35 * np.diff(np.quantile(values[name], [0.025, 0.975])), name


def test_another_level_is_held_as_well():
    truth = truth_of(*MODERATE)
    _, ends = simulate(60, MODERATE, seed=2, confidence_level=0.7)
    for name in METRIC_NAMES[:-1]:  # the calibration error is 0 here, which chance can only make larger
        assert 0.6 <= share_covered(ends[name], truth[name]) <= 0.8, name


def test_differences_of_equal_models_are_found_as_rarely_as_they_say():
    """Of 200 sets 5 % are 0.05 +- 0.0154."""
    rng = np.random.default_rng(3)
    rejected, covered = ({name: [] for name in METRIC_NAMES} for _ in range(2))
    for number in range(200):
        targets, first = draw(100, *MODERATE, rng)
        odds = rng.normal((2 * targets - 1) * MODERATE[0] ** 2, np.sqrt(2) * MODERATE[0])
        second = np.stack([1 / (1 + np.exp(odds)), 1 / (1 + np.exp(-odds))], axis=1)
        runs = [Records(targets, first), Records(targets, second)]
        for name, one in resample(runs, METRIC_NAMES, num_resamples=200, seed=number).items():
            drawn = one.drawn[1] - one.drawn[0]
            interval = percentile_interval(drawn, 0.95)
            rejected[name].append(bootstrap_p(drawn) <= 0.05)
            covered[name].append(interval.low <= 0 <= interval.high)
    for name in METRIC_NAMES:
        assert np.mean(rejected[name]) <= 0.1, name
        assert np.mean(covered[name]) >= 0.9, name
        if name != "ece":  # both are lifted by noise, which resampling adds to: it takes a lot to tell them apart
            assert np.mean(rejected[name]) >= 0.01, name


def test_those_are_the_intervals_of_an_evaluation():
    targets, probabilities = draw(80, *UNEVEN, np.random.default_rng(4))
    records = Records(targets, probabilities)
    found = resample([records], METRIC_NAMES, num_resamples=300, seed=5)
    evaluated = compute_metrics(targets, probabilities, ["a", "b"], num_resamples=300, seed=5, confidence_level=0.9)
    assert evaluated.intervals == intervals_of(records, found, 0, 0.9)
    assert set(evaluated.intervals) == set(METRIC_NAMES)


def test_noise_is_what_resampling_makes_of_the_gaps():
    targets, probabilities = draw(30, *MODERATE, np.random.default_rng(7))
    found = resample([Records(targets, probabilities)], ["ece", "accuracy"], num_resamples=50, seed=8)
    rows = np.random.default_rng(8).integers(30, size=(30, 50))
    confidence = probabilities.max(axis=1)
    gaps = (probabilities.argmax(axis=1) == targets) - confidence
    bins = np.ceil(confidence * NUM_CALIBRATION_BINS).astype(int)
    whole = np.bincount(bins, gaps, NUM_CALIBRATION_BINS + 1) / 30
    for column, drawn in enumerate(rows.T):
        changed = np.bincount(bins[drawn], gaps[drawn], NUM_CALIBRATION_BINS + 1) / 30 - whole
        assert found["ece"].noise[0, column] == pytest.approx(np.abs(changed).sum())
    assert found["accuracy"].noise is None


@pytest.mark.usefixtures("_benchmark_scripts")
def test_the_benchmark_counts_what_it_says(monkeypatch, tmp_path):
    import interval_coverage

    monkeypatch.setattr(interval_coverage, "MANY", 100_000)
    problem = interval_coverage.Problem(num_classes=2, is_balanced=True, skill=1.2, temperature=1.0)
    truth = interval_coverage.truth_of(problem)
    assert truth == pytest.approx(truth_of(1.2, 0.5, 1.0), abs=0.01)
    options = Namespace(datasets=4, resamples=50, seed=1)
    rows = list(interval_coverage.measure(problem, 40, options))
    assert [row["metric"] for row in rows if row["kind"] == "ours"] == list(METRIC_NAMES)
    differences = list(interval_coverage.measure_differences(problem, 40, options))
    assert {row["truth"] for row in differences if row["kind"] == "equal"} == {0}
    for row in differences:
        assert HIGHER_IS_BETTER[row["metric"]] == (row["truth"] < 0) or row["kind"] == "equal" or row["metric"] == "ece"
    for row in rows + differences:
        assert row["covered"] + row["below"] + row["above"] == pytest.approx(1)
        assert row["intervals"] == 4
    tally = interval_coverage.Tally(0.5)
    for ends in ((0.1, 0.4), (0.4, 0.6), (0.6, 0.7), (0.45, 0.5)):
        tally.add(interval_coverage.Interval(*ends))
    tally.add(None)
    row = tally.row()
    assert (row["intervals"], row["covered"], row["below"], row["above"]) == (4, 0.5, 0.25, 0.25)
    path = tmp_path / "rows.csv"
    for _ in range(2):
        interval_coverage.write_rows(rows, path)
    assert len(path.read_text().splitlines()) == 1 + 2 * len(rows)
