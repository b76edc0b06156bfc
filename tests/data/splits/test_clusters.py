"""Clusters of similar records: planted families are found and stay on one side."""

import numpy as np
import pytest
from made_records import make_families, random_text, read_records, reverse_complement

from genomix.config import DataConfig
from genomix.data.similarity import Sketches
from genomix.data.splits import divide_into_folds, divide_records, measure_nearness
from genomix.data.splits.clusters import by_similarity, lower_threshold

NUM_FAMILIES = 12


@pytest.fixture(scope="module")
def families():
    return make_families(NUM_FAMILIES)


@pytest.fixture(scope="module")
def records(families, tmp_path_factory):
    sequences, family = families
    labels = {name: "ab"[number % 2] for name, number in family.items()}
    return read_records(tmp_path_factory.mktemp("families"), sequences, labels)


def test_a_cluster_is_a_family(records, families):
    """A record, its reverse complement, copies with 4 % other bases on either strand, and a piece of it."""
    units = by_similarity(records, 0.9)
    assert units.names == [f"f{families[1][name]}-original" for name in records.ids]
    assert (units.word, units.notes) == ("cluster", [])


def test_a_higher_threshold_parts_the_mutated_copies(records):
    names = by_similarity(records, 0.99).names
    kinds = [record_id.split("-")[1] for record_id in records.ids]
    by_kind = dict(zip(kinds[:5], names[:5], strict=True))
    assert by_kind["original"] == by_kind["reversed"] == by_kind["piece"]
    assert len({by_kind["original"], by_kind["mutated"], by_kind["both"]}) == 3


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_family_is_on_two_sides(records, families, seed):
    splits = divide_records(records, DataConfig(split="similarity"), seed)
    parts = [{families[1][records.ids[row]] for row in rows} for rows in (splits.train, splits.val, splits.test)]
    assert sum(map(len, parts)) == NUM_FAMILIES
    assert all(parts)
    assert splits.kind == "similarity"
    assert set(splits.groups) == {f"f{number}-original" for number in range(NUM_FAMILIES)}
    assert measure_nearness(records, [splits]).max() < 0.9
    at_random = divide_records(records, DataConfig(split="random"), seed)
    assert measure_nearness(records, [at_random]).max() == 1


def test_no_family_is_on_two_sides_of_a_fold(records, families):
    folds = divide_into_folds(records, DataConfig(split="similarity"), 0, 4)
    for one in folds:
        parts = [{families[1][records.ids[row]] for row in rows} for rows in (one.train, one.val, one.test)]
        assert sum(map(len, parts)) == NUM_FAMILIES
        assert all(parts)
    nearest = measure_nearness(records, folds)
    assert len(nearest) == len(records.labels)
    assert nearest.max() < 0.9


def test_clusters_and_groups_are_joined(families, tmp_path):
    """Families 0 and 1 share a group, so they must be on one side together."""
    sequences, family = families
    labels = {name: "ab"[number % 2] for name, number in family.items()}
    records = read_records(tmp_path, sequences, labels)
    records.groups = ["shared" if name in ("f0-piece", "f1-mutated") else name for name in records.ids]
    units = by_similarity(records, 0.9)
    assert len(set(units.names)) == NUM_FAMILIES - 1
    assert {
        name for record_id, name in zip(records.ids, units.names, strict=True) if record_id[:3] in ("f0-", "f1-")
    } == {"f0-original"}
    assert "became 11 of both" in units.notes[0]


def test_records_too_short_for_a_k_mer_are_similar_to_the_same(tmp_path):
    import random

    rng = random.Random(3)
    short = "ACCTG"
    sequences = {f"long{i}": random_text(300, rng) for i in range(4)}
    sequences |= {"short": short, "other": "GATTC", "turned": reverse_complement(short), "again": short}
    records = read_records(tmp_path, sequences, dict.fromkeys(sequences, "a") | {"long0": "b"})
    units = by_similarity(records, 0.9)
    assert units.names == ["long0", "long1", "long2", "long3", "short", "other", "short", "short"]


def test_the_nearest_of_val_where_there_is_no_test(records):
    splits = divide_records(records, DataConfig(split="random", test_fraction=0.0), 0)
    assert len(measure_nearness(records, [splits])) == len(splits.val)


@pytest.mark.parametrize(("num_kmers", "fraction", "threshold"), [(500, 0.3, 0.9), (2000, 0.1, 0.95), (400, 0.9, 0.8)])
def test_a_pair_at_the_threshold_is_seldom_missed_in_a_sample(num_kmers, fraction, threshold):
    """Draw the k-mers of the smaller record that are kept, and of these the ones that it shares."""
    k = 15
    rng = np.random.default_rng(5)
    kept = rng.binomial(num_kmers, fraction, size=5000)
    num_shared = round(num_kmers * threshold**k)
    shared = rng.hypergeometric(num_shared, num_kmers - num_shared, kept)
    sketches = Sketches(k, fraction, np.zeros(kept.sum(), np.uint64), np.concatenate(([0], np.cumsum(kept))))
    lowest = lower_threshold(sketches, threshold)
    assert lowest < threshold
    missed = np.mean((shared / kept) ** (1 / k) < lowest)
    assert missed < 0.01
    assert np.mean((shared / kept) ** (1 / k) < threshold) > 0.4


def test_nothing_is_lowered_where_all_is_counted():
    sketches = Sketches(15, 1.0, np.zeros(3, np.uint64), np.array([0, 3]))
    assert lower_threshold(sketches, 0.9) == 0.9
    assert lower_threshold(Sketches(15, 0.5, np.zeros(0, np.uint64), np.array([0, 0])), 0.9) == 0.9


def test_a_sample_is_noted(records, monkeypatch):
    from genomix.data.splits import clusters

    monkeypatch.setattr(clusters, "MOST_HASHES", 8000)
    units = by_similarity(records, 0.9)
    assert "similarities are estimated from" in units.notes[0]
    assert len(set(units.names)) == NUM_FAMILIES
