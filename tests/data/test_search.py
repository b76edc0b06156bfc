"""Where records share so much that comparing all would take long, what is found is still right, or it is said."""

import numpy as np
import pytest
from plain_kmers import Records, all_of, change, draw, pairs_of

from genomix.data import search
from genomix.data import similarity as module
from genomix.data.similarity import clusters, nearest, pairs
from genomix.data.sketches import sketch


@pytest.fixture
def alike():
    """40 records in two families of 4 % and 8 % changes, all with the same 80 bp in the middle."""
    rng = np.random.default_rng(12)
    middle, texts = draw(rng, 80), []
    for share in (0.02, 0.04):
        left, right = draw(rng, 500), draw(rng, 500)
        texts += [change(rng, left, share) + middle + change(rng, right, share) for _ in range(20)]
    return texts


def test_where_counting_takes_long_a_sample_is_counted(monkeypatch, alike):
    sketches, messages = all_of(alike, k=15), []
    exact = pairs_of(sketches, 0.9)
    neighbours = nearest(sketches.take(np.arange(0, 40, 3)), sketches.take(np.arange(1, 40, 3)), log=messages.append)
    assert messages == []
    monkeypatch.setattr(search, "MOST_STEPS", 45_000)
    monkeypatch.setattr(search, "FEWEST_HASHES", 250)
    sampled = pairs_of(sketches, 0.9, log=messages.append)
    assert len(messages) == 1
    assert "compared by a sample, of 2" in messages[0]
    assert sampled != exact
    assert {pair for pair, value in exact.items() if value > 0.92} <= sampled.keys()
    assert {pair for pair, value in sampled.items() if value > 0.92} <= exact.keys()
    both = sorted(exact.keys() & sampled.keys())
    assert len(both) > 300
    assert [sampled[pair] for pair in both] == pytest.approx([exact[pair] for pair in both], abs=0.02)
    assert clusters(sketches, 0.9, log=messages.append).tolist() == [0] * 20 + [1] * 20
    again = nearest(sketches.take(np.arange(0, 40, 3)), sketches.take(np.arange(1, 40, 3)), log=messages.append)
    assert again.similarity == pytest.approx(neighbours.similarity, abs=0.01)
    assert (again.nearest // 7 == neighbours.nearest // 7).all()


def test_a_query_that_the_sample_misses_is_compared_in_full(monkeypatch, alike):
    references = all_of(alike, k=15)
    queries = all_of([*alike[::4], alike[30][3:19], "T" * 30], like=references)
    monkeypatch.setattr(search, "MOST_STEPS", 1000)
    monkeypatch.setattr(search, "FEWEST_HASHES", 100)
    found = nearest(queries, references, log=lambda _: None)
    assert queries.thin(0.1).sizes[-2] == 0
    assert found.similarity[-2:].tolist() == [1, 0]
    assert found.nearest[-2] >= 20
    assert found.nearest[-1] == -1


@pytest.fixture
def few_steps(monkeypatch):
    """Makes the next search take all but 45,000 steps of those it would; says which layouts it used."""
    looked_up = []
    plain_count, plain = search.lay_out, search.set_common_apart

    def lay_out(*given):
        layout = plain_count(*given)
        monkeypatch.setattr(search, "MOST_STEPS", int(layout.steps().sum()) - 45_000)
        return layout

    def set_common_apart(*given):
        looked_up.append(plain(*given))
        assert looked_up[-1].steps().sum() <= given[1]
        return looked_up[-1]

    def begin():
        monkeypatch.setattr(search, "lay_out", lay_out)
        monkeypatch.setattr(search, "set_common_apart", set_common_apart)
        return looked_up

    return begin


def test_kmers_of_very_many_records_are_looked_up_only(monkeypatch, alike, few_steps):
    """The shared middle is a sixteenth of the k-mers: less than any pair needs, so that nothing is lost or said."""
    sketches, messages = all_of(alike, k=15), []
    assert 66 / 1066 < 0.85**15
    exact, numbers = pairs_of(sketches, 0.85), clusters(sketches, 0.85).tolist()
    looked_up = few_steps()
    assert pairs_of(sketches, 0.85, log=messages.append) == exact
    assert (looked_up[0].num_common > 50).all()
    monkeypatch.setattr(module, "TRIES", 0)
    assert clusters(sketches, 0.85, log=messages.append).tolist() == numbers
    assert messages == []


def test_neighbours_are_the_same_where_kmers_are_looked_up_only(monkeypatch, alike, few_steps):
    queries, references = all_of(alike[::2], k=15), all_of(alike[1::2], k=15)
    exact, messages = nearest(queries, references), []
    monkeypatch.setattr(search, "FEWEST_HASHES", 10_000)
    looked_up = few_steps()
    found = nearest(queries, references, log=messages.append)
    assert found.nearest.tolist() == exact.nearest.tolist()
    assert (looked_up[0].num_common[:20] > 50).all()
    assert messages == []


def test_says_so_where_pairs_may_be_missed(monkeypatch, alike):
    messages = []
    monkeypatch.setattr(search, "MOST_STEPS", 0)
    monkeypatch.setattr(search, "FEWEST_HASHES", 10_000)
    assert pairs(all_of(alike), 0.9, log=messages.append).first.tolist() == []
    assert len(messages) == 1
    assert "left out of the search: for 40 of 40 records, others" in messages[0]
    queries, references = all_of(alike[::2], k=13), all_of([alike[0][:100], *alike[1::2]], k=13)
    found = nearest(queries, references, log=messages.append)
    assert found.similarity.min() > 0.9  # a record that meets no other is compared in all it has
    assert len(messages) == 2
    assert "for 19 of 20 records" in messages[1]


def test_many_alike_are_one_cluster_without_their_pairs(monkeypatch):
    """3,000 records that share nearly everything: over 4 million pairs, of which hardly any is looked at."""
    rng = np.random.default_rng(13)
    text = draw(rng, 400)
    texts = [change(rng, text, 0.01) for _ in range(3000)]
    sketches = sketch(Records(texts), range(3000))
    steps = []
    plain = search.lay_out
    monkeypatch.setattr(search, "lay_out", lambda *given: steps.append(plain(*given)) or steps[-1])
    assert clusters(sketches, 0.9).max() == 0
    assert steps[0].steps().sum() < 1000
