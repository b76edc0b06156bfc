"""K-mers are counted as by hand."""

import numpy as np
import pytest
from explained import random_tokens

from genomix.data.vocabulary import decode
from genomix.errors import UsageError
from genomix.explain.kmers import KmerTable


def test_by_hand():
    rng = np.random.default_rng(0)
    table = KmerTable(3)
    means, places = {}, {}
    for number in range(4):
        tokens, values = random_tokens(200, number), rng.normal(size=200)
        values[50] = np.nan
        table.add("x", f"r{number}", 1000, tokens, values)
        text = decode(tokens)
        for i in range(198):
            word, mean = text[i : i + 3], values[i : i + 3].mean()
            if "N" not in word and not np.isnan(mean):
                means.setdefault(word, []).append(mean)
                places.setdefault(word, []).append((mean, f"r{number}", 1000 + i))
    found = list(table.top(1000))
    assert [top.kmer for top in found] == sorted(means, key=lambda word: -np.mean(means[word]))
    for top in found:
        assert top.mean == pytest.approx(np.mean(means[top.kmer]))
        assert top.num_places == len(means[top.kmer])
        assert (top.id, top.start) == max(places[top.kmer])[1:]
    assert list(table.top(5)) == found[:5]


def test_classes_apart_and_short_records():
    table = KmerTable(4)
    table.add("b", "r", 0, np.array([0, 1, 2, 3], np.uint8), np.ones(4))
    table.add("a", "s", 5, np.array([3, 3, 3, 3], np.uint8), np.full(4, -1.0))
    table.add("a", "t", 0, np.array([3, 3, 3], np.uint8), np.ones(3))
    assert list(table.top(3)) == [("a", "TTTT", -1.0, 1, "s", 5), ("b", "ACGT", 1.0, 1, "r", 0)]


@pytest.mark.parametrize("k", [0, 11])
def test_lengths(k):
    with pytest.raises(UsageError, match="use 1 to 10"):
        KmerTable(k)
