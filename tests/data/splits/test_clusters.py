"""Clusters of similar records: planted families are found and stay on one side."""

import re

import numpy as np
import pytest
from made_records import COMPLEMENT, make_families, random_text, read_records, reverse_complement

from genomix.config import DataConfig
from genomix.data.similarity import Sketches
from genomix.data.similarity import clusters as find_clusters
from genomix.data.splits import Splits, divide_into_folds, divide_records, measure_nearness
from genomix.data.splits.clusters import by_similarity, lower_threshold
from genomix.data.splits.parts import no_rows

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


def at_one(records):
    """The names of the clusters of similarity 1, by the kind of the record, of each family."""
    units = by_similarity(records, DataConfig(similarity=1).similarity)
    names = {}
    for record_id, name in zip(records.ids, units.names, strict=True):
        family, kind = record_id.split("-")
        names.setdefault(family, {})[kind] = name
    return names, units.notes


def assert_exact(names):
    for family, by_kind in names.items():
        original = f"{family}-original"
        assert by_kind["original"] == by_kind["reversed"] == by_kind["piece"] == original
        assert by_kind["mutated"] != original != by_kind["both"] != by_kind["mutated"]


def test_at_similarity_1_what_differs_is_apart(records):
    names, notes = at_one(records)
    assert_exact(names)
    assert notes == []


def near_copies(directory, num_families=8):
    """Families with a copy that differs in one base near an end of the piece, which a sample may not see."""
    sequences, _ = make_families(num_families)
    for family in range(num_families):
        text = sequences[f"f{family}-original"]
        sequences[f"f{family}-near"] = text[:201] + text[201].translate(COMPLEMENT) + text[202:]
    return read_records(directory, sequences, {name: "ab"[n % 2] for n, name in enumerate(sequences)})


@pytest.mark.parametrize("room", [2600, 5000])
def test_at_similarity_1_what_looks_the_same_in_a_sample_is_counted_anew(tmp_path, monkeypatch, room):
    """Each family fits in the room with its near copy: several batches."""
    from genomix.data.splits import clusters

    records = near_copies(tmp_path)
    monkeypatch.setattr(clusters, "MOST_HASHES", room)
    sketches = clusters.sketch_all(records)
    assert sketches.fraction < 1
    estimated = find_clusters(sketches, 1.0)
    row = records.ids.index
    assert any(estimated[row(f"f{n}-original")] == estimated[row(f"f{n}-near")] for n in range(8))
    names, notes = at_one(records)
    assert_exact(names)
    assert all(by_kind["near"] != by_kind["original"] for by_kind in names.values())
    assert notes == []


def test_at_similarity_1_what_is_too_large_to_count_is_noted(tmp_path, monkeypatch):
    from genomix.data.splits import clusters

    records = near_copies(tmp_path)
    monkeypatch.setattr(clusters, "MOST_HASHES", 1000)
    names, notes = at_one(records)
    for family, by_kind in names.items():
        assert by_kind["original"] == by_kind["reversed"] == f"{family}-original"
    assert re.match(
        r"\d+ records are in clusters too large to count all their k-mers; .* estimated from \d+ %", notes[0]
    )


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


def test_the_nearest_of_parts_without_records(records):
    rows = np.arange(len(records.labels))
    nothing_held_out, nothing_learnt = Splits(rows, no_rows(), no_rows()), Splits(no_rows(), no_rows(), rows)
    assert measure_nearness(records, [nothing_held_out]).shape == (0,)
    assert measure_nearness(records, [nothing_learnt]).tolist() == [0.0] * len(rows)


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
