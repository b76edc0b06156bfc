"""Identical records are those of the same letters on either strand."""

import hypothesis.strategies as st
from hypothesis import given, settings
from plain_kmers import Records, reverse

from genomix.data.identical import identical


@given(st.lists(st.text("ACGN", min_size=1, max_size=4) | st.text("AT", max_size=6), max_size=20))
@settings(max_examples=80, deadline=None)
def test_identical_records_are_those_of_the_same_letters(texts):
    found = identical(Records(texts), range(len(texts)))
    names = [min(text, reverse(text)) for text in texts]
    firsts = [names.index(name) for name in names]
    assert found.groups.tolist() == [sorted(set(firsts)).index(first) for first in firsts]
    assert found.is_reversed.tolist() == [text != texts[first] for text, first in zip(texts, firsts, strict=True)]


def test_identical_takes_rows():
    texts = ["ACGTT", "GGG", "AACGT", "CCC", "ACGTA"]
    found = identical(Records(texts), [3, 2, 1, 0])
    assert found.groups.tolist() == [0, 1, 0, 1]
    assert found.is_reversed.tolist() == [False, False, True, True]
