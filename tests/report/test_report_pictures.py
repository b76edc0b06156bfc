"""Pictures: what their texts say is what is in the records, and what they are drawn with fits any page."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import write_run
from scipy.stats import binomtest

from genomix.report.confusion import describe_confusion
from genomix.report.curves import draw_curves
from genomix.report.files import read_run
from genomix.report.picture import INK, SERIES, VARIABLES, draw
from genomix.report.scored import join
from genomix.report.strata import MOST_BINS, bins_of


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=200), st.integers(0, 5))
def test_groups_hold_every_known_record_once_and_equal_values_together(records, num_unknown):
    values = np.array([value for value, _ in records] + [np.nan] * num_unknown)
    is_right = np.array([right for _, right in records] + [True] * num_unknown)
    bins = bins_of(values, is_right)
    assert 1 <= len(bins) <= MOST_BINS
    assert sum(one.num_records for one in bins) == len(records)
    for one, following in itertools.pairwise(bins):
        assert one.high < following.low
    for one in bins:
        inside = [right for value, right in records if one.low <= value <= one.high]
        found = binomtest(sum(inside), len(inside)).proportion_ci(method="wilson")
        assert one.num_records == len(inside)
        assert one[4:] == pytest.approx((np.mean(inside), found.low, found.high))


def test_records_of_unknown_value_are_in_no_group():
    assert bins_of(np.full(3, np.nan), np.ones(3, dtype=bool)) == []


def test_colours_are_left_to_the_page_and_texts_are_escaped():
    def paint(axes):
        axes.plot([0, 1], color=SERIES[0])
        axes.set_xlabel("<b> & $x_1$", color=INK)

    picture = draw("a", "b", paint)
    assert "&lt;b&gt; &amp; $x_1$" in picture.drawing
    assert not any(colour in picture.drawing for colour in VARIABLES)
    assert {"var(--ink)", "var(--series-1)"} <= set(re.findall(r"var\([^)]*\)", picture.drawing))
    for left_out in ("font-family", "<style", "<metadata", "xlink", "xmlns", '<g id="'):
        assert left_out not in picture.drawing
    assert draw("a", "b", paint) == picture


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return read_run(write_run(tmp_path_factory.mktemp("many") / "run", [f"c{n}" for n in range(12)], skill=3.0))


def test_confusions_of_a_dozen_classes_are_a_picture_and_a_list(many):
    section = describe_confusion(many.results.metrics)
    (picture,), (largest,) = section.pictures, section.tables
    counts = np.array(many.results.metrics.confusion)
    recalls = np.diag(counts) / counts.sum(axis=1)
    lowest = np.argsort(recalls, kind="stable")[0]
    assert picture.alt.startswith(f"Share of each class's records that is right, lowest: c{lowest} ")
    assert "data:image/png;base64" in picture.drawing
    listed = sum(int(row[2].text) for row in largest.rows)
    wrong = counts.sum() - np.trace(counts)
    assert listed == wrong if len(largest.rows) < 15 else listed <= wrong


def test_curves_name_the_worst_classes_and_the_mean(many):
    roc, precision_recall = draw_curves(join(many), many.results.metrics)
    for picture, name in ((roc, "roc_auc"), (precision_recall, "pr_auc")):
        worst = sorted(many.results.metrics.per_class, key=lambda entry: getattr(entry, name))[:5]
        stated = [f"{entry.label}: {getattr(entry, name):.3f}" for entry in worst]
        assert [key.text for key in picture.legend[:5]] == stated
        assert picture.legend[5].text == "the 7 other classes, none with a smaller area"
        assert picture.legend[6].text == f"mean of the classes: {many.results.metrics.values[name]:.3f}"


def test_there_are_no_curves_of_records_of_one_class(many):
    scored = join(many)
    one = type(scored)(**{**vars(scored), "targets": np.zeros_like(scored.targets)})
    assert draw_curves(one, many.results.metrics) == []
