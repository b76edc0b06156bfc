"""Labelled records made up for tests, with or without sequences."""

import random

import numpy as np

from genomix.data.label_sets import find_label_sets, split_labels
from genomix.data.labelled import LabelledRecords
from genomix.data.labels import load_labelled

COMPLEMENT = str.maketrans("ACGT", "TGCA")


class NamesOnly:
    """Stands in for a store where nobody looks at bases."""

    def __init__(self, ids):
        self.ids = list(ids)
        self.skipped_ids = frozenset()

    def place(self, row):
        return f"data.fa:{2 * row + 1}"


def records_of(labels, *, ids=None, groups=None, splits=None, folds=None, is_multi=False):
    """Return records without bases."""
    labels = list(labels)
    ids = [f"r{row}" for row in range(len(labels))] if ids is None else ids
    label_sets = None
    if is_multi:
        classes = sorted({name for label in labels for name in split_labels(label)})
        labels, label_sets = find_label_sets(labels, classes)
    else:
        classes = sorted(set(labels))
    rows = np.arange(len(labels))
    return LabelledRecords(NamesOnly(ids), rows, labels, groups, splits, classes, [], folds, label_sets)


def read_records(directory, sequences, labels):
    """Return records of sequences (by id) with labels (by id), read from files."""
    (directory / "data.fa").write_text("".join(f">{name}\n{text}\n" for name, text in sequences.items()))
    (directory / "labels.tsv").write_text(
        "id\tlabel\n" + "".join(f"{name}\t{label}\n" for name, label in labels.items())
    )
    return load_labelled(
        [str(directory / "data.fa")],
        str(directory / "labels.tsv"),
        cache_dir=directory,
        min_per_class=1,
        warn=lambda _: None,
    )


def reverse_complement(text):
    return text.translate(COMPLEMENT)[::-1]


def random_text(length, rng):
    return "".join(rng.choices("ACGT", k=length))


def mutate(text, share, rng):
    """Return the text with another base at a share of the places, spread evenly."""
    letters = list(text)
    step = round(1 / share)
    for place in range(rng.randrange(step), len(letters), step):
        letters[place] = rng.choice([base for base in "ACGT" if base != letters[place]])
    return "".join(letters)


def make_families(num_families, length=600, seed=0):
    """Return sequences and the number of the family of each: an original, copies of either strand, and a piece."""
    rng = random.Random(seed)
    sequences, families = {}, {}
    for family in range(num_families):
        original = random_text(length, rng)
        members = {
            "original": original,
            "reversed": reverse_complement(original),
            "mutated": mutate(original, 0.04, rng),
            "both": reverse_complement(mutate(original, 0.04, rng)),
            "piece": original[length // 3 : 2 * length // 3],
        }
        for kind, text in members.items():
            sequences[f"f{family}-{kind}"] = text
            families[f"f{family}-{kind}"] = family
    return sequences, families
