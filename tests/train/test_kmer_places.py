"""K-mers in their places: counted as by a plain loop, and they find out what is read in one direction."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kmer_records import load, other_strand, random_texts

from genomix.config import KmerConfig, make_config
from genomix.data.splits import divide_records
from genomix.data.vocabulary import ENCODING
from genomix.train.kmer import choose_kmer, places, reads_one_strand, search
from genomix.train.kmer.places import count_placed, join_placed, try_places

TEXTS = st.lists(st.text("ACGTN", min_size=1, max_size=40), min_size=1, max_size=5)
EVEN = (0.25, 0.25, 0.25, 0.25, 0)


class Texts:
    """Stands for a store of these texts."""

    def __init__(self, texts):
        self._tokens = [np.frombuffer(text.encode().translate(ENCODING), dtype=np.uint8) for text in texts]

    def tokens(self, row):
        return self._tokens[row]


def placed(texts, k, num_parts):
    return count_placed(Texts(texts), np.arange(len(texts)), k, num_parts)


@given(texts=TEXTS, k=st.integers(1, 3), num_parts=st.integers(1, 6))
def test_counts_equal_those_of_a_plain_loop(texts, k, num_parts):
    expected = np.zeros((len(texts), num_parts, 4**k))
    for row, text in enumerate(texts):
        number = len(text) - k + 1
        for start in range(number):
            word = text[start : start + k]
            if "N" not in word:
                code = sum("ACGT".index(letter) * 4 ** (k - 1 - i) for i, letter in enumerate(word))
                part, rest = divmod((2 * start + 1) * num_parts, 2 * number)
                expected[row, part, code] += rest > 0 or part == 0
    np.testing.assert_array_equal(placed(texts, k, num_parts).toarray(), expected.reshape(len(texts), -1))


@given(texts=TEXTS, k=st.integers(1, 3), num_parts=st.integers(1, 6))
def test_joined_they_are_those_of_the_other_strand(texts, k, num_parts):
    one, other = (
        join_placed(placed(some, k, num_parts), k, num_parts).toarray()
        for some in (texts, [other_strand(text) for text in texts])
    )
    np.testing.assert_array_equal(one, other)


def with_motif(number, seed):
    """Random records with a motif in front and its reverse complement in the middle."""
    texts = random_texts([80] * number, odds=EVEN, seed=seed)
    return [text[:10] + "GATTACA" + text[10:30] + "TGTAATC" + text[30:] for text in texts]


@pytest.fixture
def by_place(tmp_path):
    """Class `b` is what class `a` is on the other strand, and both have the motif and its reverse complement once."""
    texts = [*with_motif(150, 1), *(other_strand(text) for text in with_motif(150, 2))]
    return load(tmp_path, texts, ["a"] * 150 + ["b"] * 150, ["train", "train", "val"] * 100)


def found_for(records):
    asked = make_config("kmer")
    splits = divide_records(records, asked.data, 0)
    return choose_kmer(KmerConfig(mismatch=0.0), records, splits, asked.training)


class TestStrand:
    @pytest.fixture(autouse=True)
    def _few(self, monkeypatch):
        monkeypatch.setattr(search, "KS", range(2, 4))
        monkeypatch.setattr(search, "PENALTIES", (1e-3, 1e-1))

    def test_what_stands_elsewhere_on_the_other_strand_is_read_in_one_direction(self, by_place):
        found = found_for(by_place)
        assert found.placed.forward < 0.2 < 0.6 < found.placed.canonical
        assert reads_one_strand(found.candidates, found.num_judged) is False
        assert reads_one_strand(found.candidates, found.num_judged, found.placed) is True

    def test_what_may_stand_on_either_strand_is_not(self, tmp_path):
        texts = with_motif(150, 1)
        texts = [other_strand(text) if row % 2 else text for row, text in enumerate(texts)]
        records = load(
            tmp_path,
            [*texts, *random_texts([94] * 150, odds=EVEN, seed=3)],
            ["a"] * 150 + ["b"] * 150,
            ["train", "train", "val"] * 100,
        )
        found = found_for(records)
        assert reads_one_strand(found.candidates, found.num_judged, found.placed) is False

    def test_of_long_records_and_where_it_could_not_matter_nothing_is_tried(self, by_place, monkeypatch):
        splits = divide_records(by_place, make_config("kmer").data, 0)
        assert try_places(by_place, splits.train, splits.val, 0, balanced=False) is not None
        monkeypatch.setattr(search, "CLEARLY_NATS", 1e6)
        assert found_for(by_place).placed is None
        monkeypatch.undo()
        monkeypatch.setattr(places, "LONGEST_BP", 90)
        assert try_places(by_place, splits.train, splits.val, 0, balanced=False) is None

    def test_of_many_records_a_sample_is_looked_at(self, by_place, monkeypatch):
        splits = divide_records(by_place, make_config("kmer").data, 0)
        counted, count = [], places.count_placed
        monkeypatch.setattr(
            places, "count_placed", lambda store, rows, *how: counted.append(len(rows)) or count(store, rows, *how)
        )
        monkeypatch.setattr(places, "MOST_RECORDS", 100)
        try_places(by_place, splits.train, splits.val, 0, balanced=True)
        assert max(counted[::2]) < 180
        assert {*counted[1::2]} == {100}
