"""Which classes are taken for which. Shapes: C classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genomix.metrics import Metrics
from genomix.report.page import Cell, Section, Table, cells
from genomix.report.picture import INK, PAPER, SERIES, Picture, draw
from genomix.report.wording import count_of, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_IN_TABLE, MOST_IN_PICTURE = 8, 40
MOST_WITH_SHARES = 20
MOST_CONFUSIONS = 15
LONGEST = 24
"""Letters of a label beside the picture."""


def describe_confusion(metrics: Metrics) -> Section:
    """Return the confusion matrix: a table of few classes, a picture of more, and the largest confusions of many."""
    counts = np.array(metrics.confusion)
    section = Section("confusion", "Which classes are taken for which")
    section.sentences.append(
        f"{percent(np.trace(counts) / counts.sum())} of {count_of(int(counts.sum()), 'record')} are right."
    )
    num_classes = len(metrics.classes)
    if num_classes <= MOST_IN_TABLE:
        section.tables.append(_matrix(metrics.classes, counts))
        return section
    if num_classes <= MOST_IN_PICTURE:
        section.pictures.append(_draw(metrics.classes, counts))
    else:
        section.sentences.append(
            f"A matrix of {num_classes} classes is too large to be read; metrics.json has all of it."
        )
    largest = _largest(metrics.classes, counts)
    if largest.rows:
        section.tables.append(largest)
    return section


def _matrix(classes: list[str], counts: np.ndarray) -> Table:
    shares = _shares(counts)
    rows = [
        [
            Cell(label),
            *(Cell(f"{count:,}", percent(share), share) for count, share in zip(row, row_shares, strict=True)),
        ]
        for label, row, row_shares in zip(classes, counts.tolist(), shares.tolist(), strict=True)
    ]
    caption = "Records of a true class (row) by the predicted class (column), and their share of the row."
    return Table(["true \\ predicted", *classes], rows, caption)


def _draw(classes: list[str], counts: np.ndarray) -> Picture:
    shares = _shares(counts)
    num_classes = len(classes)
    names = [_shortened(label) for label in classes]

    def paint(axes: Axes) -> None:
        from matplotlib.colors import to_rgb

        image = np.empty((num_classes, num_classes, 4))
        image[..., :3], image[..., 3] = to_rgb(SERIES[0]), shares
        axes.imshow(image, interpolation="none")
        places = np.arange(num_classes)
        axes.set_xticks(places, names, rotation=90)
        axes.set_yticks(places, names)
        axes.set(xlabel="predicted", ylabel="true")
        axes.grid(visible=False)
        axes.tick_params(length=0)
        if num_classes <= MOST_WITH_SHARES:
            for row, column in zip(*np.nonzero(shares.round(2)), strict=True):
                share = shares[row, column]
                colour = PAPER if share > 0.5 else INK
                axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=7, color=colour)

    right = [
        (share, label) for share, label, row in zip(np.diag(shares).tolist(), classes, counts, strict=True) if row.any()
    ]
    right.sort(key=lambda pair: pair[0])
    said = [f"{label} {percent(share)}" for share, label in right]
    side = 4.6 + 0.08 * num_classes
    numbers = ", in percent of the row" if num_classes <= MOST_WITH_SHARES else ", the darker the more of the row"
    return draw(
        "Confusion matrix",
        f"Share of each class's records that is right, lowest: {', '.join(said[:3])}; highest: {said[-1]}.",
        paint,
        note=f"Records of a true class (row) by the predicted class (column){numbers}.",
        size=(side, side),
    )


def _shortened(label: str) -> str:
    """Return a label as there is room for it, and without letters that vector graphics cannot hold."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in label)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"


def _largest(classes: list[str], counts: np.ndarray) -> Table:
    off = counts - np.diag(np.diag(counts))
    order = np.argsort(-off, axis=None, kind="stable")[:MOST_CONFUSIONS]
    pairs = [divmod(int(place), len(classes)) for place in order if off.flat[place]]
    shares = _shares(counts).tolist()
    rows = [
        cells(classes[true], classes[taken], f"{counts[true, taken]:,}", percent(shares[true][taken]))
        for true, taken in pairs
    ]
    return Table(["true class", "predicted as", "records", "of the class"], rows, "The largest confusions", num_texts=2)


def _shares(counts: np.ndarray) -> np.ndarray:
    """Return shares of the rows; 0 for a class without records."""
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
