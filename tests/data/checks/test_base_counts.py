"""Counts and ends of records, against Python's strings."""

import numpy as np
import pytest
from made import Made, load

from genomix.data.checks.base_counts import count_bases, count_pairs
from genomix.data.checks.examined import Examined
from genomix.data.checks.features import cut_end, one_hot
from genomix.data.vocabulary import decode

SEQUENCES = ["ACGTN" * 40, "NNNN", "G", "GGCCA", "ACGTTGCA" * 9, "T" * 300 + "ACGTACGTACGTACGTACGTACGTAC", "ACGTG" * 9]


@pytest.fixture
def examined(tmp_path):
    made = Made(SEQUENCES, list("abcabca"), ["train"] * 7, [None] * 7)
    return Examined(load(made, tmp_path), None, fast=True, similarity=0.9, seed=0)


def test_bases(examined):
    counted = count_bases(examined.records.store, examined.records.indices)
    assert counted.counts.tolist() == [[sequence.count(base) for base in "ACGTN"] for sequence in SEQUENCES]
    assert counted.unknown.tolist() == [sequence.count("N") / len(sequence) for sequence in SEQUENCES]
    known = [len(sequence) - sequence.count("N") for sequence in SEQUENCES]
    gc = [sequence.count("G") + sequence.count("C") for sequence in SEQUENCES]
    expected = [np.nan if not number else share / number for share, number in zip(gc, known, strict=True)]
    np.testing.assert_allclose(counted.gc, expected)


def test_pairs(examined):
    pairs = [first + second for first in "ACGT" for second in "ACGT"]
    frequencies = count_pairs(examined.records.store, examined.records.indices)
    for sequence, found in zip(SEQUENCES, frequencies, strict=True):
        counts = np.array([sum(sequence[i : i + 2] == pair for i in range(len(sequence))) for pair in pairs])
        np.testing.assert_allclose(found, counts / max(1, counts.sum()))


@pytest.mark.parametrize("is_start", [True, False])
def test_ends(examined, is_start):
    tokens = cut_end(examined, np.arange(7), is_start=is_start, further=False)
    for sequence, found in zip(SEQUENCES, tokens, strict=True):
        assert decode(found) == (sequence[:20].ljust(20, ".") if is_start else sequence[-20:].rjust(20, "."))


def test_bases_further_in(examined):
    """100 bp, or half of what is beyond the end, but not into the end where there is room."""
    first = [decode(found) for found in cut_end(examined, np.arange(7), is_start=True, further=True)]
    last = [decode(found) for found in cut_end(examined, np.arange(7), is_start=False, further=True)]
    assert first[0] == SEQUENCES[0][90:110]
    assert first[4] == SEQUENCES[4][26:46]
    assert last[4] == SEQUENCES[4][26:46]
    assert (first[6], last[6]) == (SEQUENCES[6][20:40], SEQUENCES[6][5:25])
    assert (first[5], last[5]) == ("T" * 20, "T" * 20)
    assert first[3] == "GGCCA".ljust(20, ".")


def test_one_hot():
    rows = one_hot(np.array([[0, 3, 4], [2, 1, 5]], dtype=np.uint8))
    assert rows.tolist() == [[1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]]
