"""What the search for the best k-mer baseline has tried, which of it is the best, and how it is written down.

V validation records.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from genomix.config import KmerConfig
from genomix.metrics import HIGHER_IS_BETTER
from genomix.train.kmer.places import Placed

CLEARLY, CLEARLY_NATS = 0.02, 5.0
"""By how much one way to count must be better than the other for the strand to matter: share of the log loss, and nats
over all validation records."""
LOG_LOSS_DIGITS = 4
COLUMNS = ("k", "strands", "classifier", "features", "inverse_regularisation", "mismatch", "num_parameters")
NAMES = {"logistic": "logistic regression", "naive-bayes": "naive Bayes"}


class Candidate(NamedTuple):
    """A settled configuration and what came of it.

    Attributes:
        config: What was fitted to the training records.
        value: The metric on the validation records; NaN where they leave it undefined.
        log_loss: On the validation records, after the temperature that fits them best.
        num_parameters: Weights and biases.
    """

    config: KmerConfig
    value: float
    log_loss: float
    num_parameters: int

    def worth(self, metric: str) -> float:
        """Return what candidates are compared by, the more the better; of a loss, that behind the temperature."""
        if metric == "log_loss":
            return -self.log_loss
        value = self.value if HIGHER_IS_BETTER[metric] else -self.value
        return float("-inf") if math.isnan(value) else value


def choose(candidates: Sequence[Candidate], metric: str, num_records: int) -> Candidate:
    """Return the best candidate.

    Those less than the standard error of a share of V records below the highest metric are equals, as they would
    change places on other records; of these, the lowest log loss wins, which tells more of a record than whether it is
    right, and then the smaller model. A log loss is no share of records: the lowest wins.

    Args:
        candidates: At least one.
        metric: What `value` is.
        num_records: V.
    """
    most = max(one.worth(metric) for one in candidates)
    margin = 0 if metric == "log_loss" else _standard_error(most, num_records)
    equals = [one for one in candidates if one.worth(metric) == most or one.worth(metric) > most - margin]
    return min(equals, key=lambda one: (round(one.log_loss, LOG_LOSS_DIGITS), one.num_parameters))


def _standard_error(share: float, num_records: int) -> float:
    """Return the binomial standard error of a share of records, but what one record makes at least."""
    within = min(max(share, 0.0), 1.0)
    return max(1 / num_records, math.sqrt(within * (1 - within) / num_records))


def reads_one_strand(candidates: Sequence[Candidate], num_records: int, placed: Placed | None = None) -> bool | None:
    """Say whether k-mers of the strand that is given tell the classes apart better than those of both strands.

    They do where the least log loss on the V validation records is lower by `CLEARLY` and, summed over them,
    `CLEARLY_NATS` at least: promoters, transcripts and other records that are all given in the direction they are read.
    K-mers each with a weight of its own are compared (all, where no such were tried), and those in their places. None
    where only one of the two was tried.

    Args:
        candidates: What was tried.
        num_records: V.
        placed: The least log losses of k-mers in their places; None where that was not tried.
    """
    apart = [one for one in candidates if not one.config.mismatch] or candidates
    losses = {
        strands: [one.log_loss for one in apart if one.config.strands == strands]
        for strands in ("forward", "canonical")
    }
    if not all(losses.values()):
        return None
    forward, canonical = (min(own) for own in losses.values())
    if placed is not None:
        forward, canonical = min(forward, placed.forward), min(canonical, placed.canonical)
    return forward < (1 - CLEARLY) * canonical and (canonical - forward) * num_records > CLEARLY_NATS


def describe(config: KmerConfig) -> str:
    """Say which k-mers and which model: `canonical 6-mers, logistic regression, C 0.1`."""
    penalty = "" if config.inverse_regularisation is None else f", C {config.inverse_regularisation:g}"
    kmers = f"{config.strands} {config.k}-mers"
    alike = f", alike by {config.mismatch:g} a mismatch" if config.mismatch else ""
    roots = " (roots of frequencies)" * (config.features == "roots")
    return f"{kmers}{roots}, {NAMES[config.classifier]}{penalty}{alike}"


def format_candidates(candidates: Sequence[Candidate], chosen: KmerConfig, metric: str) -> str:
    """Return a table of all candidates, a line each, in the order they were tried."""
    lines = ["\t".join([*COLUMNS, f"val_{metric}", "val_log_loss_calibrated", "chosen"])]
    for one in candidates:
        stated = one.config.model_dump() | {"num_parameters": one.num_parameters}
        cells = ["" if stated[name] is None else f"{stated[name]}" for name in COLUMNS]
        lines.append(
            "\t".join([*cells, f"{one.value:.6f}", f"{one.log_loss:.6f}", "yes" if one.config == chosen else "no"])
        )
    return "\n".join(lines) + "\n"
