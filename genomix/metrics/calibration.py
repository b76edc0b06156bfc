"""Calibration: probabilities that say how often a model is right, by one temperature. Shapes: R records, C classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from genomix.metrics.conformal import conformity_scores, thin
from genomix.metrics.measure import score
from genomix.metrics.multilabel import make_records
from genomix.metrics.weighted import NUM_CALIBRATION_BINS, Records

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

BOUNDS = 0.02, 50.0
"""Temperatures that are looked at; beyond them probabilities are as good as certain, or as good as equal."""
FEW_RECORDS = 100
NEAREST = 1e-12
"""To 0 and 1, where the probabilities of a label and of its absence are set against each other."""
SMALLEST = np.finfo(np.float64).tiny
SCHEMA_VERSION = 1

Kind = Literal["validation", "out-of-fold"]


class BeforeAfter(BaseModel):
    """A metric of the probabilities as the model gives them, and of the calibrated ones."""

    before: FiniteFloat
    after: FiniteFloat


class Calibration(BaseModel):
    """What makes a model's probabilities honest, and what its label sets are made with.

    Attributes:
        schema_version: Of the file.
        temperature: By which the logarithms of the probabilities are divided.
        num_records: Records it was fitted on.
        kind: Which those were.
        chose_epoch: Whether the same records chose the epoch whose weights were kept.
        log_loss, ece: On these records; the values after are a little too good, as they were fitted on the same.
        scores: Conformity scores of the calibrated probabilities, sorted; see `conformal`.
        notes: What one should know before relying on it.
    """

    model_config = ConfigDict(extra="allow")

    schema_version: int = SCHEMA_VERSION
    temperature: FiniteFloat = Field(gt=0)
    num_records: int = Field(ge=1)
    kind: Kind
    chose_epoch: bool
    log_loss: BeforeAfter
    ece: BeforeAfter
    scores: list[Annotated[float, Field(ge=0, le=1)]] = Field(min_length=1)
    notes: list[str] = []

    def model_post_init(self, _: Any) -> None:
        """Check that the scores are sorted.

        Raises:
            ValueError: If they are not.
        """
        if any(one > other for one, other in zip(self.scores, self.scores[1:], strict=False)):
            raise ValueError("scores are not in rising order")

    def describe(self) -> str:
        """Return in a line what was found."""
        caution = f" ({self.notes[0]})" if self.notes else ""
        if self.temperature == 1:
            return f"calibrated: no temperature fits {self.num_records} {self.kind} records better than 1{caution}"
        return (
            f"calibrated by a temperature of {self.temperature:.3g}, from {self.num_records} {self.kind} records: "
            f"log loss {self.log_loss.before:.3f}, then {self.log_loss.after:.3f}; "
            f"ECE {self.ece.before:.3f}, then {self.ece.after:.3f}{caution}"
        )


@dataclass(frozen=True)
class Reliability:
    """How often records are right, by the confidence they were predicted with, in B bins.

    Attributes:
        edges: Of the bins (B + 1,); a bin holds its upper edge.
        confidence: Mean of each bin (B,); NaN where it is empty.
        accuracy: Share of its records that are right (B,); NaN where it is empty.
        counts: Records in it (B,).
    """

    edges: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    counts: np.ndarray


def fit_temperature(log_probabilities: ArrayLike, targets: ArrayLike) -> float:
    """Return the temperature T for which softmax(log p / T) has the least log loss (Guo et al., ICML 2017, eq. 9).

    The targets are smoothed as those of Platt (1999), so that records which are all right give a modest temperature
    instead of none: the true class gets (R + 1) / (R + 2). R counts all records, where Platt counts those of a class,
    as there is one temperature for all classes. What is left is shared among the other classes as the model shares it,
    so that a class it excludes altogether has no say. The loss is convex in 1 / T. Where the temperature found fits the
    records themselves no better than 1 does, as with few of them or where all are right, it is 1.

    Args:
        log_probabilities: (R, C), up to a constant in each row.
        targets: Class indices (R,).

    Raises:
        ValueError: If there are no records, the shapes do not fit, or values are not finite.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax, logsumexp, softmax

    logs, classes = np.asarray(log_probabilities, dtype=np.float64), np.asarray(targets)
    if logs.ndim != 2 or logs.shape[1] < 2 or not len(logs) or classes.shape != logs.shape[:1]:
        raise ValueError(f"needs (R, C) logarithms and (R,) targets, C at least 2; got {logs.shape}, {classes.shape}")
    if not np.isfinite(logs).all():
        raise ValueError("the logarithms of the probabilities must be finite")
    rows = np.arange(len(logs))
    certainty = (len(logs) + 1) / (len(logs) + 2)
    others = logs.copy()
    others[rows, classes] = -np.inf
    wanted = (1 - certainty) * softmax(others, axis=1)
    wanted[rows, classes] = certainty
    agreement = np.einsum("rc,rc->r", wanted, logs)

    def loss(log_temperature: float) -> float:
        inverse = np.exp(-log_temperature)
        return float((logsumexp(inverse * logs, axis=1) - inverse * agreement).mean())

    found = minimize_scalar(loss, bounds=np.log(BOUNDS), method="bounded", options={"xatol": 1e-6})
    temperature = float(np.exp(found.x))
    fits_better = (
        log_softmax(logs / temperature, axis=1)[rows, classes].sum() > log_softmax(logs, axis=1)[rows, classes].sum()
    )
    return temperature if fits_better else 1.0


def soften(probabilities: ArrayLike, temperature: float) -> np.ndarray:
    """Return softmax(log p / T) of probabilities (R, C)."""
    from scipy.special import softmax

    return softmax(_logarithms(probabilities) / temperature, axis=1)


def calibrate(
    probabilities: ArrayLike,
    targets: ArrayLike,
    *,
    temperature: float | None = None,
    kind: Kind = "validation",
    chose_epoch: bool = True,
) -> Calibration:
    """Fit a temperature on records that were not learnt from, and take their conformity scores.

    Args:
        probabilities: (R, C), as the model gives them.
        targets: Class indices (R,); or which labels each record has (R, C), each a decision of its own.
        temperature: To use instead of one that is fitted: 1 for probabilities that are calibrated already.
        kind: Which records these are.
        chose_epoch: Whether they chose the epoch too.

    Raises:
        ValueError: If the arguments do not fit together.
    """
    records = make_records(targets, probabilities)
    decisions = _decisions(records)
    if temperature is None:
        temperature = fit_temperature(_logarithms(decisions.probabilities), decisions.targets)
    softened = soften(decisions.probabilities, temperature)
    after = softened if records.targets.ndim == 1 else softened[:, 1].reshape(records.probabilities.shape)

    def compare(name: str) -> BeforeAfter:
        before = score(name, records.targets, records.probabilities)
        return BeforeAfter(before=before, after=score(name, records.targets, after))

    num_records = len(records.targets)
    notes = []
    if temperature == 1 and records.is_right.all():
        notes.append(f"all {num_records} records are right, from which no temperature can be told")
    if num_records < FEW_RECORDS:
        notes.append(f"rests on {num_records} records only, where {FEW_RECORDS} or more are needed for a firm value")
    if kind == "out-of-fold":
        notes.append(
            "the scores are those of single models, each on records it has not seen, and sets are made of the mean of "
            "all: usually larger than they need to be, but without a guarantee"
        )
    if chose_epoch:
        notes.append("the same records chose the epoch, so that it may be a little too sure of itself")
    return Calibration(
        temperature=temperature,
        num_records=num_records,
        kind=kind,
        chose_epoch=chose_epoch,
        log_loss=compare("log_loss"),
        ece=compare("ece"),
        scores=thin(conformity_scores(softened, decisions.targets)).tolist(),
        notes=notes,
    )


def reliability(targets: ArrayLike, probabilities: ArrayLike, num_bins: int = NUM_CALIBRATION_BINS) -> Reliability:
    """Set how sure the predictions (R, C) are against how often they are right, in bins of equal width.

    The mean of |accuracy - confidence| over the bins, weighted by their counts, is the expected calibration error.

    Raises:
        ValueError: As `compute_metrics`; or if there is no bin.
    """
    if num_bins < 1:
        raise ValueError("there must be at least one bin")
    records = make_records(targets, probabilities)
    if records.targets.ndim == 1:
        confidence, is_right = records.probabilities.max(axis=1), records.is_right
    else:
        confidence, is_right = records.probabilities.ravel(), records.targets.ravel()
    bins = np.clip(np.ceil(confidence * num_bins).astype(int), 1, num_bins) - 1
    counts = np.bincount(bins, minlength=num_bins)

    def means(values: np.ndarray) -> np.ndarray:
        sums = np.bincount(bins, values, num_bins)
        return np.divide(sums, counts, out=np.full(num_bins, np.nan), where=counts > 0)

    return Reliability(np.linspace(0, 1, num_bins + 1), means(confidence), means(is_right), counts)


class _Decisions(NamedTuple):
    """What one temperature is fitted on: probabilities (D, C) and targets (D,)."""

    probabilities: np.ndarray
    targets: np.ndarray


def _decisions(records: Records) -> _Decisions:
    """Return the records; or each label of each record as a choice between two classes, where it may have several."""
    if records.targets.ndim == 1:
        return _Decisions(records.probabilities, records.targets)
    flat = records.probabilities.ravel().clip(NEAREST, 1 - NEAREST)  # 1 - p has no digits left beyond
    return _Decisions(np.stack([1 - flat, flat], axis=1), records.targets.ravel().astype(np.int64))


def _logarithms(probabilities: ArrayLike) -> np.ndarray:
    return np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), SMALLEST))
