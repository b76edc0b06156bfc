"""The verdict: what it says of runs that are better, worse, or not to be told from their baselines."""

import dataclasses

import numpy as np
import pytest
from made_up import guess, write_run

from genomix.metrics import Interval, compute_metrics
from genomix.metrics.comparison import compare_metrics
from genomix.report.files import Results, read_run
from genomix.report.scored import join
from genomix.report.verdict import judge

CLASSES = ["a", "b"]


def results_of(targets, tables, split="test", classes=CLASSES):
    metrics = {name: compute_metrics(targets, table, classes, num_resamples=300) for name, table in tables.items()}
    return Results(split=split, model="net", metrics=metrics.pop("net"), baselines=metrics)


def certain(predicted, num_classes=2):
    """Probabilities that are all but sure of the predicted classes."""
    return 0.98 * np.eye(num_classes)[predicted] + 0.02 / num_classes


def flipped(targets, count):
    """Classes of which the first `count` are wrong."""
    return np.where(np.arange(len(targets)) < count, 1 - targets, targets)


def standing(results, metric="f1_macro"):
    return judge(results, metric, None, None)


def test_intervals_that_do_not_overlap_tell_better_from_worse():
    targets = np.arange(400) % 2
    good, poor = certain(flipped(targets, 40)), certain(flipped(targets, 160))
    better = standing(results_of(targets, {"net": good, "kmer": poor}))
    assert better.standings == {"kmer": "better"}
    assert better.headline.startswith("Macro F1 0.900 (95 % interval ")
    assert better.headline.endswith("on 400 test records: better than the k-mer baseline")
    worse = standing(results_of(targets, {"net": poor, "kmer": good}))
    assert worse.headline.endswith("worse than the k-mer baseline")
    assert standing(results_of(targets, {"net": good, "kmer": poor}), "log_loss").standings == {"kmer": "better"}
    assert standing(results_of(targets, {"net": poor, "kmer": good}), "log_loss").standings == {"kmer": "worse"}


def test_intervals_that_overlap_tell_nothing_but_pairs_may():
    targets = np.arange(400) % 2
    own, baseline = certain(flipped(targets, 40)), certain(flipped(targets, 55))
    results = results_of(targets, {"net": own, "kmer": baseline})
    unclear = standing(results)
    assert unclear.standings == {"kmer": "not distinguishable"}
    assert "overlap" in unclear.sentences[0]
    compared = compare_metrics(targets, {"net": own, "kmer": baseline}, CLASSES, ["f1_macro"], baseline="kmer").runs[0]
    paired = standing(results.model_copy(update={"compared": {"kmer": compared}}))
    assert paired.standings == {"kmer": "better"}
    assert "the difference on the same records is +0.038 (+0.0" in paired.sentences[0]


def test_a_handful_of_records_tells_nothing():
    targets = np.arange(20) % 2
    own, baseline = certain(flipped(targets, 1)), certain(flipped(targets, 6))
    results = results_of(targets, {"net": own, "kmer": baseline})
    compared = compare_metrics(targets, {"net": own, "kmer": baseline}, CLASSES, ["f1_macro"], baseline="kmer").runs[0]
    assert compared.differences["f1_macro"].interval.low > 0
    verdict = standing(results.model_copy(update={"compared": {"kmer": compared}}))
    assert verdict.standings == {"kmer": "not distinguishable"}
    assert "only 5 records tell them apart" in verdict.sentences[0]


@pytest.mark.parametrize(("num_wrong", "word"), [(7, "better"), (6, "better"), (5, "not distinguishable")])
def test_all_records_right_is_judged_by_counts(num_wrong, word):
    targets = np.arange(30) % 2
    results = results_of(targets, {"net": certain(targets), "majority": certain(flipped(targets, num_wrong))})
    verdict = standing(results)
    assert verdict.headline.startswith("Macro F1 1.000 ")
    assert "30 of 30 records are right" in verdict.sentences[0]
    assert "0.884 to 1.000" in verdict.sentences[0]
    assert verdict.standings == {"majority": word}
    assert (
        f"30 and {30 - num_wrong} of 30 are right, p 0.0{round(1000 * 2 ** (1 - num_wrong)):02}" in verdict.sentences[1]
    )


def test_a_baseline_that_is_always_right_is_not_beaten_by_chance():
    targets = np.arange(30) % 2
    both = standing(results_of(targets, {"net": certain(targets), "kmer": certain(targets)}))
    assert both.standings == {"kmer": "not distinguishable"}
    verdict = standing(results_of(targets, {"net": certain(flipped(targets, 12)), "kmer": certain(targets)}))
    assert verdict.standings == {"kmer": "worse"}
    assert verdict.sentences[0].startswith("Worse than the k-mer baseline, 1.000 ")
    assert "18 and 30 of 30 are right, p below 0.001 by McNemar's exact test" in verdict.sentences[0]


def test_an_interval_without_width_is_not_shown():
    targets = np.arange(30) % 2
    results = results_of(targets, {"net": certain(targets)})
    results.metrics.intervals["f1_macro"] = Interval(1.0, 1.0)
    assert standing(results).headline == "Macro F1 1.000 on 30 test records"
    results.metrics.intervals["f1_macro"] = Interval(0.88, 1.0)
    assert standing(results).headline == "Macro F1 1.000 (95 % interval 0.880 to 1.000) on 30 test records"


def test_a_class_without_records_makes_the_accuracy_the_metric():
    targets = np.arange(60) % 2
    table = certain(flipped(targets, 6), 3)
    verdict = judge(results_of(targets, {"net": table}, classes=["a", "b", "c"]), "roc_auc", None, None)
    assert verdict.headline.startswith("Accuracy 0.900 (95 %")
    assert verdict.sentences[0] == "The main metric, ROC AUC, is undefined for these records."


def test_what_limits_a_verdict_is_said():
    targets = np.arange(60) % 2
    tables = {"net": certain(flipped(targets, 6))}
    alone = standing(results_of(targets, tables, "val"))
    assert alone.headline.endswith("on 60 validation records")
    assert "No baseline was measured" in alone.sentences[0]
    assert "There was no test split" in alone.sentences[1]
    unknown = standing(results_of(targets, tables | {"majority": np.full((60, 2), 0.5)}, None))
    assert "No k-mer baseline was measured" in unknown.sentences[1]
    assert "whether the model has seen these records before" in unknown.sentences[2]
    itself = results_of(targets, tables | {"majority": np.full((60, 2), 0.5)}).model_copy(update={"model": "kmer"})
    assert "itself made of k-mer counts" in standing(itself).sentences[1]


def test_majority_is_set_against_the_model_record_by_record(tmp_path):
    files = read_run(write_run(tmp_path / "run", ("a", "b"), num_records=60, skill=0.9, seed=3))
    scored = join(files)
    verdict = judge(files.results, "accuracy", scored, files.labelled)
    right = scored.is_right.astype(int)
    expected = right.mean() - (scored.targets == 0).mean()
    assert f"the difference on the same records is {expected:+.3f}" in verdict.sentences[-1]
    fewer = dataclasses.replace(scored, num_left_out=1)
    assert "their intervals" in judge(files.results, "accuracy", fewer, files.labelled).sentences[-1]
    without = judge(files.results, "accuracy", None, None)
    assert "their intervals" in without.sentences[-1]


def test_guesses_are_no_better_than_the_majority():
    rng = np.random.default_rng(0)
    targets = np.arange(200) % 2
    tables = {"net": guess(rng, targets, 2, 0.0), "kmer": guess(rng, targets, 2, 0.0)}
    assert standing(results_of(targets, tables)).standings == {"kmer": "not distinguishable"}
