"""Similarity, neighbours, pairs and clusters are those of sets of letters and brute force."""

from itertools import pairwise

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_kmers import (
    all_of,
    brute_clusters,
    brute_pairs,
    change,
    draw,
    draw_families,
    listed,
    pairs_of,
    reverse,
    similarity_of,
)

from genomix.data import similarity as module
from genomix.data.similarity import clusters, nearest, pairs

FAMILIES = st.integers(0, 10**6)


@given(seed=FAMILIES, k=st.integers(4, 9), threshold=st.floats(0.3, 1.0), tries=st.sampled_from([0, 1, 8]))
@settings(max_examples=25, deadline=None)
def test_pairs_and_clusters_are_those_of_brute_force(seed, k, threshold, tries):
    texts = draw_families(seed)
    sketches = all_of(texts, k=k)
    expected = brute_pairs(texts, k, threshold)
    found = listed(pairs(sketches, threshold))
    assert list(found) == list(expected)
    assert list(found.values()) == pytest.approx(list(expected.values()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TRIES", tries)
        assert clusters(sketches, threshold).tolist() == brute_clusters(len(texts), expected)


@given(seed=FAMILIES, k=st.integers(4, 9))
@settings(max_examples=25, deadline=None)
def test_neighbours_are_those_of_brute_force(seed, k):
    texts = draw_families(seed)
    queries, references = texts[::2], texts[1::2]
    found = nearest(all_of(queries, k=k), all_of(references, k=k))
    table = np.array([[similarity_of(query, reference, k) for reference in references] for query in queries])
    assert found.similarity == pytest.approx(table.max(axis=1))
    best = np.where(table.max(axis=1) > 0, table.argmax(axis=1), -1)
    assert found.nearest.tolist() == best.tolist()


@given(seed=FAMILIES)
@settings(max_examples=10, deadline=None)
def test_strand_and_order_do_not_matter(seed):
    texts = draw_families(seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(texts))
    turned = [reverse(texts[i]) if rng.random() < 0.5 else texts[i] for i in order]
    for threshold in (0.7, 0.9):
        before, after = clusters(all_of(texts), threshold), clusters(all_of(turned), threshold)
        assert brute_clusters(len(texts), [(order[i], order[j]) for i, j in _within(after)]) == before.tolist()
        moved = {
            tuple(sorted((order[i], order[j]))): value for (i, j), value in pairs_of(all_of(turned), threshold).items()
        }
        assert moved == pairs_of(all_of(texts), threshold)


def _within(numbers):
    """A chain through the members of each cluster."""
    places = [np.flatnonzero(numbers == number).tolist() for number in range(numbers.max() + 1)]
    return [link for members in places for link in pairwise(members)]


def test_planted_relations():
    rng = np.random.default_rng(3)
    text = draw(rng, 5000)
    texts = [
        text,
        text,
        reverse(text),
        change(rng, text, 0.05),
        reverse(text[2000:2600]),
        change(rng, text[1000:4000], 0.05),
        draw(rng, 5000),
        text[:2500] + draw(rng, 2500),
    ]
    found = nearest(all_of(texts[1:], k=21), all_of(texts[:1], k=21))
    assert found.nearest.tolist() == [0, 0, 0, 0, 0, -1, 0]
    expected = [1, 1, 0.95, 1, 0.95, 0, 0.5 ** (1 / 21)]
    assert found.similarity == pytest.approx(expected, abs=0.01)
    assert found.similarity[[0, 1, 3]].tolist() == [1, 1, 1]
    assert clusters(all_of(texts), 0.9).tolist() == [0, 0, 0, 0, 0, 0, 1, 0]
    assert clusters(all_of(texts), 0.99).tolist() == [0, 0, 0, 1, 0, 2, 3, 4]


def test_short_records_that_are_95_percent_identical_are_found():
    rng = np.random.default_rng(4)
    texts = [draw(rng, 250) for _ in range(100)]
    copies = [reverse(change(rng, text, 0.05)) for text in texts]
    sketches = all_of(texts)
    found = nearest(all_of(copies, like=sketches), sketches)
    assert found.nearest.tolist() == list(range(100))
    assert np.mean(found.similarity) == pytest.approx(0.95, abs=0.005)
    assert np.mean(found.similarity >= 0.9) >= 0.97
    assert len(np.unique(clusters(sketches, 0.9))) == 100


def test_a_chain_is_one_cluster():
    rng = np.random.default_rng(5)
    text = draw(rng, 3000)
    texts = [text[start : start + 1000] for start in range(0, 2001, 500)]
    assert similarity_of(texts[0], texts[1], 13) > 0.9 > similarity_of(texts[0], texts[2], 13)
    assert clusters(all_of(texts), 0.9).tolist() == [0] * 5
    assert clusters(all_of(texts), 0.97).tolist() == [0, 1, 2, 3, 4]


def test_the_threshold_itself_is_reached():
    text = draw(np.random.default_rng(6), 59)
    texts = [text, text[:29] + draw(np.random.default_rng(7), 30)]
    threshold = similarity_of(*texts, 10)
    assert 0.9 < threshold < 1
    sketches = all_of(texts, k=10)
    assert clusters(sketches, threshold).tolist() == [0, 0]
    assert clusters(sketches, np.nextafter(threshold, 2)).tolist() == [0, 1]
    assert len(pairs(sketches, threshold).first) == 1
    assert len(pairs(sketches, np.nextafter(threshold, 2)).first) == 0
    assert clusters(all_of([text, text]), 1).tolist() == [0, 0]


def test_records_without_kmers_are_alone():
    sketches = all_of(["ACG", "N" * 30, "ACGT" * 10, "", "ACGT" * 10, "N" * 30])
    assert clusters(sketches, 0.5).tolist() == [0, 1, 2, 3, 2, 4]
    assert listed(pairs(sketches, 0.5)) == {(2, 4): 1}
    found = nearest(sketches, sketches.take(np.array([0, 2])))
    assert found.nearest.tolist() == [-1, -1, 1, -1, 1, -1]
    assert found.similarity.tolist() == [0, 0, 1, 0, 1, 0]


def test_few_or_no_records():
    none, one = all_of([]), all_of(["ACGTTGCATTACGGT"])
    assert clusters(none, 0.9).tolist() == []
    assert clusters(one, 0.9).tolist() == [0]
    assert len(pairs(none, 0.9).first) == len(pairs(one, 0.9).first) == 0
    assert nearest(one, none).nearest.tolist() == [-1]
    assert nearest(none, one).similarity.tolist() == []


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="of k 7 and of k 8"):
        nearest(all_of(["ACGT"], k=7), all_of(["ACGT"], k=8))
    for threshold in (0, 1.1, float("nan")):
        with pytest.raises(ValueError, match="over 0 and at most 1"):
            clusters(all_of(["ACGT"]), threshold)
        with pytest.raises(ValueError, match="over 0 and at most 1"):
            pairs(all_of(["ACGT"]), threshold)


def test_the_smaller_fraction_is_used():
    rng = np.random.default_rng(9)
    texts = [draw(rng, 3000) for _ in range(5)]
    copies = [change(rng, text, 0.03) for text in texts]
    whole, part = all_of(texts), all_of(copies, most_hashes=5000)
    there, back = nearest(part, whole), nearest(whole, part)
    assert there.nearest.tolist() == back.nearest.tolist() == list(range(5))
    assert there.similarity.tolist() == back.similarity.tolist()
    assert there.similarity == pytest.approx([0.97] * 5, abs=0.015)


def test_threads_change_nothing(monkeypatch):
    texts = draw_families(11, 200)
    sketches, queries = all_of(texts[:150], k=8), all_of(texts[150:], k=8)
    expected = (
        clusters(sketches, 0.8).tolist(),
        pairs_of(all_of(texts), 0.8),
        nearest(queries, sketches).nearest.tolist(),
    )
    monkeypatch.setattr(numba, "get_num_threads", lambda: 3)
    assert (
        clusters(sketches, 0.8).tolist(),
        pairs_of(all_of(texts), 0.8),
        nearest(queries, sketches).nearest.tolist(),
    ) == expected
