"""Shortcuts where a record may have several labels: each label is judged by itself."""

import numpy as np
import pytest
from made import load, make_clean, random_dna

from genomix.data.checks import choice, run_checks
from genomix.data.checks.examined import Examined
from genomix.data.label_sets import LabelKind

MULTI = LabelKind(is_multi=True)
ADAPTER = "AGATCGGAAGAGCACACGTCTGAACTCCAGTCA"


def make_labelled(names, seed=60, num_records=300):
    """Make records that have each label by chance, one in three; the labels say nothing of the sequence."""
    made, rng = make_clean(seed, num_records=num_records), np.random.default_rng(seed)
    has_label = rng.random((num_records, len(names))) < 1 / 3
    made.labels[:] = [";".join(np.array(list(names))[row].tolist()) or "-" for row in has_label]
    return made


def change(made, label, how):
    for place, cell in enumerate(made.labels):
        if label in cell.split(";"):
            made.sequences[place] = how(made.sequences[place])
    return made


@pytest.fixture
def check(checked):
    return lambda made: checked(made, with_splits=False, kind=MULTI)


def raised(found):
    return {name: one.status for name, one in found.items() if one.status != "PASS"}


def test_labels_that_say_nothing(check):
    assert raised(check(make_labelled("abc"))) == {}


@pytest.mark.parametrize("names", ["abc", "bc", "abcdefghij"])
def test_a_label_of_longer_records(check, names):
    rng = np.random.default_rng(61)
    found = check(change(make_labelled(names), "c", lambda sequence: sequence + random_dna(rng, 250)))
    assert raised(found) == {"length_shortcut": "FAIL"}
    one = found["length_shortcut"]
    assert one.figures["classes"] == list(names)
    assert "Length alone predicts the labels" in one.sentence
    assert '"c" told best with 1.00' in one.sentence
    assert one.figures["by_class"]["c"] > 0.98
    others = [area for name, area in one.figures["by_class"].items() if name != "c"]
    assert max(others) < 0.65
    assert one.figures["roc_auc"] == pytest.approx(np.mean([*others, one.figures["by_class"]["c"]]))


def test_a_label_with_an_adapter(check):
    found = check(change(make_labelled("abc"), "b", lambda sequence: ADAPTER + sequence[len(ADAPTER) :]))
    assert raised(found) == {"start_shortcut": "FAIL"}
    assert 'AGATCGGA stands there in 100 % of "b" and in 0 % of the others' in found["start_shortcut"].sentence


def choose(made, directory):
    return choice.choose(Examined(load(made, directory, MULTI), None, fast=True, similarity=0.9, seed=0))


def test_the_most_frequent_labels_are_looked_at(tmp_path, monkeypatch, check):
    monkeypatch.setattr(choice, "MOST_LABELS", 2)
    made = make_clean(62, num_records=60)
    made.labels[:] = [
        "a;b;c" if place < 20 else "b;c" if place < 25 else "b" if place < 50 else "-" for place in range(60)
    ]
    chosen = choose(made, tmp_path)
    assert (chosen.classes, chosen.is_cut, chosen.is_multi) == (["b", "c"], True, True)
    assert (chosen.with_class.tolist(), chosen.without.tolist()) == ([50, 25], [10, 35])
    assert chosen.truth.sum(axis=0).tolist() == [50, 25]
    assert "looked for in the 2 most frequent of 3 labels" in check(made)["length_shortcut"].sentence


def test_labels_that_nearly_all_or_nearly_none_have_are_left_out(tmp_path):
    made = make_clean(63, num_records=40)
    made.labels[:] = [
        "all;" * (place >= 4) + "rare;" * (place < 4) + "half" * (place % 2) or "-" for place in range(40)
    ]
    assert choose(made, tmp_path).classes == ["half"]


def test_a_sample_keeps_rare_labels(tmp_path, monkeypatch):
    made = make_clean(64, num_records=1000, lengths=(40, 60))
    made.labels[:] = ["rare;half" if place < 25 else "half" if place % 2 else "-" for place in range(1000)]
    monkeypatch.setattr(choice, "MOST_RECORDS", {True: 200})
    chosen = choose(made, tmp_path)
    assert chosen.classes == ["half", "rare"]
    assert chosen.truth[:, 1].sum() >= 20
    assert 200 <= len(chosen.places) <= 220
    assert (np.diff(chosen.places) > 0).all()


def test_too_few_of_any_label(check):
    made = make_clean(65, num_records=40)
    made.labels[:] = ["a" if place < 3 else "b" if place < 6 else "-" for place in range(40)]
    assert check(made)["length_shortcut"].sentence.startswith("Too few records to tell")


def test_summary_of_labels(tmp_path):
    made = make_labelled("ab", num_records=40)
    summary = run_checks(load(made, tmp_path, MULTI), fast=True).summary
    for name in "ab":
        having = [place for place, cell in enumerate(made.labels) if name in cell]
        assert summary["classes"][name]["records"] == len(having)
        assert summary["classes"][name]["bases"] == sum(len(made.sequences[place]) for place in having)
