"""How good predictions are, and how sure one can be of that: metrics with bootstrap intervals over records."""

from genomix.metrics.bootstrap import Interval
from genomix.metrics.measure import ClassMetrics, Metrics, compute_metrics, score
from genomix.metrics.spread import Spread, spread_of
from genomix.metrics.weighted import HIGHER_IS_BETTER, METRIC_NAMES, USUAL_METRICS

__all__ = [
    "HIGHER_IS_BETTER",
    "METRIC_NAMES",
    "USUAL_METRICS",
    "ClassMetrics",
    "Interval",
    "Metrics",
    "Spread",
    "compute_metrics",
    "score",
    "spread_of",
]
