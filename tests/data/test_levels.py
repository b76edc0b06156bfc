import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genomix.data.levels import Levels, check_paths, measure_levels, parse_levels, split_path
from genomix.errors import DataError, UsageError

CLASSES = ("A;x;1", "A;x;2", "A;y;1", "B;x;1")
LEVELS = Levels(("top", "middle", "leaf"), CLASSES)


def test_nodes_are_the_paths_down_to_a_level():
    assert LEVELS.nodes(0) == ["A", "B"]
    assert LEVELS.nodes(1) == ["A;x", "A;y", "B;x"]
    assert LEVELS.nodes(2) == list(CLASSES)


def test_a_node_is_as_probable_as_the_classes_below_it():
    probabilities = np.array([[0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 0.0, 1.0]])
    np.testing.assert_allclose(LEVELS.probabilities(probabilities, 0), [[0.6, 0.4], [0, 1]])
    np.testing.assert_allclose(LEVELS.probabilities(probabilities, 1), [[0.3, 0.3, 0.4], [0, 0, 1]])
    np.testing.assert_allclose(LEVELS.probabilities(probabilities, 2), probabilities)


def test_the_best_path_is_sought_from_the_top_down():
    best = LEVELS.best(np.array([0.2, 0.15, 0.25, 0.4]))  # the likeliest leaf, B;x;1, lies below the less likely top
    assert [node.path for node in best] == ["A", "A;x", "A;x;1"]
    assert [node.level for node in best] == [1, 2, 3]
    assert best[0].probability == pytest.approx(0.6)


def test_what_is_not_sure_is_cut_off():
    probabilities = np.array([0.5, 0.3, 0.1, 0.1])
    assert LEVELS.truncate(probabilities, 0.95) == ("", 0, 1.0)
    assert LEVELS.truncate(probabilities, 0.85).path == "A"
    assert LEVELS.truncate(probabilities, 0.75).path == "A;x"
    assert LEVELS.truncate(probabilities, 0.45).path == "A;x;1"


@given(st.lists(st.floats(0.01, 1), min_size=4, max_size=4), st.floats(0, 1))
def test_a_truncated_path_is_sure_enough_and_as_deep_as_can_be(weights, min_confidence):
    probabilities = np.array(weights) / np.sum(weights)
    best = LEVELS.best(probabilities)
    for above, below in itertools.pairwise(best):
        assert below.path.startswith(above.path + ";")
        assert below.probability <= above.probability + 1e-12
    for node in best:  # a plain sum over the classes whose label begins so
        plain = sum(
            p for p, label in zip(probabilities, CLASSES, strict=True) if (label + ";").startswith(node.path + ";")
        )
        assert node.probability == pytest.approx(plain)
    cut = LEVELS.truncate(probabilities, min_confidence)
    assert cut.probability >= min_confidence
    assert all(node.probability < min_confidence for node in best[cut.level :])


def test_levels_need_names():
    assert parse_levels("kingdom, phylum") == ("kingdom", "phylum")
    for text in ("kingdom", "kingdom,", "a,a", ""):
        with pytest.raises(UsageError, match="--levels"):
            parse_levels(text)


def test_every_label_names_something_on_each_level():
    check_paths(["a;b", "a; c"], ["l:1", "l:2"], ["p", "q"])
    with pytest.raises(DataError) as caught:
        check_paths(["a;b", "a", "a;;b", "a;"], ["l:1", "l:2", "l:3", "l:4"], ["p", "q"])
    message = str(caught.value)
    assert "l:1" not in message
    assert "l:2: the label 'a' has 1 names" in message
    assert "l:4: the label 'a;' has an empty name" in message


def test_blanks_around_names_do_not_count():
    assert split_path("a ; b") == ("a", "b")


def test_a_level_is_right_where_its_node_is():
    targets = np.array([0, 1, 2, 3])
    predicted = np.array([1, 1, 0, 3])  # wrong in the leaf, right, wrong in the middle, right
    found = measure_levels(LEVELS, targets, 0.9 * np.eye(4)[predicted] + 0.025)
    assert {name: metrics.values["accuracy"] for name, metrics in found.items()} == {
        "top": 1.0,
        "middle": 0.75,
        "leaf": 0.5,
    }
    assert found["middle"].classes == ["A;x", "A;y", "B;x"]


def test_a_level_of_one_node_has_no_metrics():
    levels = Levels(("top", "leaf"), ("A;x", "A;y"))
    assert list(measure_levels(levels, np.array([0, 1]), np.eye(2))) == ["leaf"]
