"""Which records shortcuts are looked for in."""

import numpy as np
import pytest
from made import load, make_clean, reverse_complement, splits_of

from genomix.data.checks import choice
from genomix.data.checks.examined import Examined


@pytest.fixture
def choose(tmp_path):
    def choose(made):
        examined = Examined(load(made, tmp_path), None, fast=True, similarity=0.9, seed=0)
        return choice.choose(examined).places.tolist()

    return choose


def test_copies_are_taken_once(choose):
    made = make_clean(1, num_records=40)
    made.sequences[10], made.sequences[12] = made.sequences[4], reverse_complement(made.sequences[4])
    assert choose(made) == [place for place in range(40) if place not in (10, 12)]


def test_small_classes_are_left_out(choose):
    made = make_clean(1, num_records=40)
    made.labels[:4], made.labels[4:9] = ["c"] * 4, ["d"] * 5
    assert choose(made) == list(range(4, 40))


def test_classes_of_few_groups_are_left_out(choose):
    made = make_clean(1, num_records=60, classes=tuple("abc"))
    made.groups[:] = [f"{label}{place // 3 % (4 if label == 'b' else 9)}" for place, label in enumerate(made.labels)]
    assert {made.labels[place] for place in choose(made)} == {"a", "c"}


def test_what_the_splits_kept_together_is_a_group(tmp_path):
    made = make_clean(1, num_records=20)
    records = load(made, tmp_path)
    splits = splits_of(records)
    assert Examined(records, splits, fast=True, similarity=0.9, seed=0).units.tolist() == list(range(20))
    splits.groups = [f"c{place // 4}" for place in range(20)]
    examined = Examined(records, splits, fast=True, similarity=0.9, seed=0)
    assert examined.units.tolist() == [place // 4 for place in range(20)]
    records.groups = [""] * 20
    assert Examined(records, splits, fast=True, similarity=0.9, seed=0).units.tolist() == list(range(20))


def test_a_sample_keeps_the_shares_and_rare_classes(choose, monkeypatch):
    made = make_clean(1, num_records=1000, lengths=(40, 60))
    made.labels[:] = ["rare" if place < 25 else "abb"[place % 3] for place in range(1000)]
    monkeypatch.setattr(choice, "MOST_RECORDS", {True: 200})
    places = choose(made)
    labels, counts = np.unique([made.labels[place] for place in places], return_counts=True)
    assert dict(zip(labels.tolist(), counts.tolist(), strict=True)) == {"a": 65, "b": 130, "rare": 20}
    assert places == sorted(set(places))
    assert places != list(range(len(places)))


def test_of_many_classes_the_most_frequent_are_looked_at(tmp_path, monkeypatch, checked):
    made = make_clean(1, num_records=200, lengths=(40, 60))
    made.labels[:] = ["a"] * 30 + ["b"] * 60 + ["c"] * 20 + ["d"] * 50 + ["e"] * 40
    monkeypatch.setattr(choice, "MOST_PROBABILITIES", {True: 200})
    chosen = choice.choose(Examined(load(made, tmp_path), None, fast=True, similarity=0.9, seed=0))
    assert (chosen.classes, chosen.is_cut) == (["b", "d", "e"], True)
    assert {made.labels[place] for place in chosen.places.tolist()} == {"b", "d", "e"}
    assert chosen.truth.tolist() == ["bde".index(made.labels[place]) for place in chosen.places.tolist()]
    assert chosen.with_class.tolist() == np.bincount(chosen.truth).tolist()
    assert (chosen.without == len(chosen.places) - chosen.with_class).all()
    assert len(chosen.places) <= 20 * 3 + 10
    check = checked(made, with_splits=False)["length_shortcut"]
    assert "looked for in the 3 most frequent of 5 classes" in check.sentence
    assert (check.figures["classes"], check.figures["num_classes_of"]) == (["b", "d", "e"], 5)


def test_probabilities_stay_few_whatever_the_number_of_classes(tmp_path):
    made = make_clean(1, num_records=2000, lengths=(40, 60), classes=tuple(f"c{number}" for number in range(100)))
    chosen = choice.choose(Examined(load(made, tmp_path), None, fast=True, similarity=0.9, seed=0))
    assert 50 <= len(chosen.classes) <= 54
    assert len(chosen.places) * len(chosen.classes) <= choice.MOST_PROBABILITIES[True]


def test_nothing_is_said_of_a_single_class(checked):
    made = make_clean(1, num_records=40)
    made.labels[:] = ["b" if place < 3 else "a" for place in range(40)]
    found = checked(made, with_splits=False)
    assert found["length_shortcut"].status == "PASS"
    assert found["length_shortcut"].sentence.startswith("Too few records to tell")
