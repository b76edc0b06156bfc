"""What the report says of single records: the worst mistakes, and how like the training records they are.

Shapes: H held-out records.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from genomix.data.checks import HeldOut
from genomix.report.files import Labelled
from genomix.report.page import Cell, Section, Table
from genomix.report.scored import Scored
from genomix.report.wording import NOTHING, count_of, number, percent

MOST_MISTAKES = 15
ALIKE = 0.9
"""Similarity from which on two records are called alike."""


def describe_mistakes(scored: Scored, labelled: Labelled) -> Section:
    """Return the wrong predictions that were made with most confidence.

    Args:
        scored: The held-out records.
        labelled: All records of the run.
    """
    section = Section("mistakes", "The worst mistakes")
    wrong = np.flatnonzero(~scored.is_right)
    if not len(wrong):
        section.sentences.append(f"None: all {count_of(len(scored.ids), 'record')} are right.")
        return section
    worst = wrong[np.argsort(-scored.confidence[wrong], kind="stable")][:MOST_MISTAKES]
    shown = "all of them" if len(worst) == len(wrong) else f"the {len(worst)} made with most confidence"
    section.sentences.append(
        f"{len(wrong):,} of {count_of(len(scored.ids), 'record')} are wrong; below are {shown}. A wrong label, or a "
        "training record of the same bases and another label, often hides here."
    )
    similarity = scored.known("similarity")
    label_of = dict(zip(labelled.ids, labelled.labels, strict=True))
    rows = [
        [
            Cell(scored.ids[row]),
            Cell(scored.classes[scored.targets[row]]),
            Cell(scored.classes[scored.predicted[row]]),
            _nearest(scored, row, label_of),
            Cell(number(float(similarity[row]))),
            Cell(number(float(scored.confidence[row]))),
            Cell(f"{scored.lengths[row]:,} bp" if scored.lengths[row] >= 0 else NOTHING),
        ]
        for row in worst.tolist()
    ]
    header = [
        "record",
        "true class",
        "predicted as",
        "nearest in training, its class",
        "similarity",
        "confidence",
        "length",
    ]
    section.tables.append(Table(header, rows, num_texts=4, is_stacked=True))
    return section


def describe_similarity(held_out: HeldOut | None, split: str | None) -> str | None:
    """Say how similar the held-out records are to the training records; None where that is not known.

    Args:
        held_out: The records of all splits that are described.
        split: The split that results are of.
    """
    if held_out is None:
        return None
    chosen = np.array([split in (None, "folds", name) for name in held_out.split], dtype=bool)
    if not chosen.any():
        return None
    similarity = held_out.similarity[chosen]
    num_alike = int(np.count_nonzero(similarity >= ALIKE))
    return (
        f"{percent(num_alike / len(similarity))} of {count_of(len(similarity), 'held-out record')} ({num_alike:,}) are "
        f"at least {100 * ALIKE:.0f} % like a training record; the similarity to the nearest training record is "
        f"{np.median(similarity):.3f} in the median and {similarity.max():.3f} at most."
    )


def _nearest(scored: Scored, row: int, label_of: Mapping[str, str]) -> Cell:
    """Return the id of the training record that a record resembles most, and its class."""
    if scored.held_out is None or scored.places[row] < 0:
        return Cell(NOTHING)
    nearest = scored.held_out.nearest[scored.places[row]]
    return Cell(nearest, label_of.get(nearest, "")) if nearest else Cell("none alike")
