"""What a model, and the baselines beside it, say of the records that were held out.

Shapes: H held-out records, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from genomix.checkpoint import Model
from genomix.config import KmerConfig, make_config
from genomix.data.labels import LabelledRecords
from genomix.data.levels import Levels, measure_levels
from genomix.data.predictions import PredictionRow
from genomix.data.splits import Splits
from genomix.metrics import Metrics, compute_metrics
from genomix.metrics.comparison import Compared, compare_metrics
from genomix.scoring import AnyScorer, Scorer, StoredRecord, fit_calibration, make_scorer, stack_probabilities
from genomix.train.kmer import Found, choose_kmer

NETWORK, KMER, MAJORITY = "network", "kmer", "majority"
COMPARED = ("f1_macro", "accuracy", "balanced_accuracy", "mcc", "roc_auc", "log_loss")
"""What a model can be chosen by, and so what it is held against the baselines in."""
NUM_RESAMPLES = 1000


@dataclass(frozen=True)
class Measured:
    """Predictions of held-out records, and how good they are.

    Attributes:
        split: The split they are of: `test`, or `val` where there is no test.
        held_out: Numbers of the records (H,).
        predictions: The model's own, a row a record.
        probabilities: (H, C) by the name of the model: its own first, then the baselines'.
        results: Metrics by the same names.
        levels: The model's own metrics by level, from the top down, where labels are hierarchical.
        compared: The model set against each baseline, record by record; empty where records may have several labels.
        baseline: How the k-mer baseline was chosen; None where none was fitted.
        metric: What it was chosen by.
    """

    split: str
    held_out: np.ndarray
    predictions: list[PredictionRow]
    probabilities: Mapping[str, np.ndarray]
    results: dict[str, Metrics]
    levels: dict[str, Metrics] = field(default_factory=dict)
    compared: dict[str, Compared] = field(default_factory=dict)
    baseline: Found | None = None
    metric: str = ""

    @property
    def own(self) -> Metrics:
        """The model's own metrics."""
        return next(iter(self.results.values()))


def held_out_split(splits: Splits) -> tuple[str, np.ndarray]:
    """Return the name and the records of the split that results are of: test, or val where there is none."""
    return ("test", splits.test) if len(splits.test) else ("val", splits.val)


def measure(
    scorer: AnyScorer,
    name: str,
    records: LabelledRecords,
    splits: Splits,
    *,
    baselines: bool,
    found: Found | None = None,
) -> Measured:
    """Score the held-out records with a model, or several, and where asked for the baselines that learn from the same.

    The k-mer baseline is the best that can be chosen on the validation records, by the metric and with the weights of
    the classes that the model was trained with. It is calibrated on the same records, if the model is, so that their
    probabilities compare.

    Args:
        scorer: The model or the models, and how they are applied.
        name: Of the model.
        records: All labelled records.
        splits: Which of them were learnt from, and which are held out.
        baselines: Whether to fit and to score the baselines; where the model is a network beside k-mers, the network
            alone as well.
        found: The k-mer baseline, if it is there already.
    """
    split, held_out = held_out_split(splits)
    predictions = list(_predict(scorer, records, held_out))
    probabilities = {name: stack_probabilities(predictions)}
    metric = scorer.members[0].model.config.training.metric
    if baselines:
        first = scorer.members[0].model
        if not isinstance(first.config.model, KmerConfig):
            found = found or choose_kmer(KmerConfig(), records, splits, first.config.training)
            if isinstance(scorer, Scorer) and first.composition is not None:
                alone = _network_alone(scorer, records, splits)
                probabilities[NETWORK] = stack_probabilities(_predict(alone, records, held_out))
            kmer = _as_baseline(first, found, records, splits)
            probabilities[KMER] = stack_probabilities(_predict(make_scorer(kmer), records, held_out))
        probabilities[MAJORITY] = np.tile(_shares(records, splits), (len(held_out), 1))
    levels = scorer.members[0].model.config.data.levels
    measured = replace(
        summarise(split, records, held_out, predictions, probabilities, levels or ()), baseline=found, metric=metric
    )
    if split == "val":
        measured.own.notes.append(_say_chosen([member.model for member in scorer.members]))
    return measured


def summarise(
    split: str,
    records: LabelledRecords,
    held_out: np.ndarray,
    predictions: list[PredictionRow],
    probabilities: Mapping[str, np.ndarray],
    levels: Sequence[str] = (),
) -> Measured:
    """Measure what is said of held-out records; for the arguments see `Measured`, but `levels` are their names."""
    targets, classes = records.truth[held_out], records.classes
    results = {name: compute_metrics(targets, found, classes) for name, found in probabilities.items()}
    own, *baselines = probabilities
    by_level = {}
    if levels:
        by_level = measure_levels(Levels(tuple(levels), tuple(classes)), targets, probabilities[own])
    compared = (
        {}
        if targets.ndim == 2
        else {
            name: compare_metrics(
                targets,
                {own: probabilities[own], name: probabilities[name]},
                classes,
                COMPARED,
                baseline=name,
                num_resamples=NUM_RESAMPLES,
            ).runs[0]
            for name in baselines
        }
    )
    return Measured(split, held_out, predictions, probabilities, results, by_level, compared)


def _say_chosen(models: Sequence[Model]) -> str:
    """Say what of models was chosen on the validation records, where they are measured on these."""
    first = models[0]
    chosen = ["the k-mers" if isinstance(first.config.model, KmerConfig) else "the epoch"]
    if first.composition is not None:
        chosen += ["the k-mers beside the network", "what each of both weighs"]
    if any(model.calibration is not None for model in models):
        chosen.append("the temperature of the probabilities")
    return (
        f"chosen on these same records: {', '.join(chosen)}; so all values are a little too good, and differences to "
        "the baselines may be"
    )


def _predict(scorer: AnyScorer, records: LabelledRecords, rows: np.ndarray) -> list[PredictionRow]:
    return list(scorer.predict(StoredRecord(records.store, row) for row in records.indices[rows].tolist()))


def _network_alone(scorer: Scorer, records: LabelledRecords, splits: Splits) -> Scorer:
    """Return what scores with the network of a model only, calibrated if the model is."""
    alone = replace(scorer.model, composition=None, calibration=None)
    if scorer.model.calibration is not None:
        rows = records.indices[splits.val].tolist()
        judged = replace(scorer, model=alone)
        alone.calibration = fit_calibration(judged, records.store, rows, records.truth[splits.val])
    return replace(scorer, model=alone)


def _as_baseline(model: Model, found: Found, records: LabelledRecords, splits: Splits) -> Model:
    """Put what was found in the place of a model, and calibrate it if the model is."""
    config = make_config(KMER)
    config.data, config.model = model.config.data, found.config
    baseline = replace(
        model, classifier=found.classifier, config=config, calibration=None, reference=None, composition=None
    )
    if model.calibration is not None:
        val = splits.val
        baseline.calibration = fit_calibration(
            make_scorer(baseline), records.store, records.indices[val].tolist(), records.truth[val]
        )
    return baseline


def _shares(records: LabelledRecords, splits: Splits) -> np.ndarray:
    """Return the share of the training records that each class has (C,)."""
    learnt = records.truth[splits.train]
    return (
        learnt.mean(axis=0) if learnt.ndim == 2 else np.bincount(learnt, minlength=len(records.classes)) / len(learnt)
    )
