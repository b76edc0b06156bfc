"""Numbers and names as the report says them."""

from __future__ import annotations

from collections.abc import Sequence

from genomix.metrics import Interval, Metrics

METRIC_WORDS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "f1_macro": "macro F1",
    "f1_weighted": "weighted F1",
    "mcc": "Matthews correlation",
    "roc_auc": "ROC AUC",
    "pr_auc": "average precision",
    "log_loss": "log loss",
    "brier": "Brier score",
    "ece": "calibration error",
}
BASELINE_WORDS = {"network": "network alone", "kmer": "k-mer baseline", "majority": "majority baseline"}
SPLIT_WORDS = {"test": "test records", "val": "validation records", "folds": "records, each left out of one fold"}
NOTHING = "-"


def metric_word(name: str) -> str:
    """Return what a metric is called."""
    return METRIC_WORDS.get(name, name.replace("_", " "))


def baseline_word(name: str) -> str:
    """Return what a baseline is called."""
    return BASELINE_WORDS.get(name, f"baseline {name}")


def number(value: float | None) -> str:
    """Return a value with three decimals."""
    return NOTHING if value is None or value != value else f"{value:.3f}"


def span(interval: Interval | None) -> str:
    """Return an interval; nothing where there is none, or one without width, which says nothing of chance."""
    return f"{interval.low:.3f} to {interval.high:.3f}" if interval and interval.low < interval.high else ""


def with_interval(metrics: Metrics, name: str) -> str:
    """Return `0.793 (0.778 to 0.808)`."""
    interval = span(metrics.intervals.get(name))
    return number(metrics.values.get(name)) + (f" ({interval})" if interval else "")


def percent(share: float) -> str:
    """Return a share with two digits that count, and never 100 % for less than all of it."""
    value = 100 * share
    digits = 0 if value in (0, 100) else 2 if value < 1 or value > 99 else 1
    return f"{value:.{digits}f} %"


def count_of(count: int, noun: str, plural: str = "") -> str:
    """Return `1 record` or `2,529 records`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def capital(text: str) -> str:
    """Return a text with its first letter large."""
    return text[:1].upper() + text[1:]


def listed(words: Sequence[str]) -> str:
    """Return `a`, `a and b` or `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def duration(seconds: float) -> str:
    """Return `34 s`, `2 min 5 s` or `3 h 20 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.0f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
