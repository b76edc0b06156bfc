"""Made-up sets: random DNA in two classes that differ in nothing, to plant a fault in."""

from typing import NamedTuple

import numpy as np

from genomix.data.label_sets import PLAIN
from genomix.data.labels import load_labelled
from genomix.data.splits import from_column

NUM_RECORDS = 240
LENGTHS = (300, 500)
COMPLEMENT = str.maketrans("ACGT", "TGCA")


class Made(NamedTuple):
    """A set, record for record."""

    sequences: list[str]
    labels: list[str]
    splits: list[str]
    groups: list[str | None]

    def places(self, split, label=None):
        """The records of a split, perhaps of one class."""
        return [
            place for place, name in enumerate(self.splits) if name == split and label in (None, self.labels[place])
        ]


def random_dna(rng, length):
    return "".join(rng.choice(list("ACGT"), size=length))


def mutated(rng, sequence, identity):
    """Return a sequence with so many of its bases kept, the others changed to another base each."""
    changed = set(rng.choice(len(sequence), size=round((1 - identity) * len(sequence)), replace=False).tolist())
    return "".join(
        rng.choice([other for other in "ACGT" if other != base]) if place in changed else base
        for place, base in enumerate(sequence)
    )


def reverse_complement(sequence):
    return sequence.translate(COMPLEMENT)[::-1]


def make_clean(seed=0, num_records=NUM_RECORDS, lengths=LENGTHS, classes=("a", "b")):
    """Make records whose class is in nothing, of which 60 % are for training and 20 % each for val and test."""
    rng = np.random.default_rng(seed)
    sequences = [random_dna(rng, int(rng.integers(*lengths))) for _ in range(num_records)]
    labels = [classes[place % len(classes)] for place in range(num_records)]
    splits = ["train", "train", "train", "val", "test"]
    return Made(
        sequences,
        labels,
        [splits[(place // len(classes)) % len(splits)] for place in range(num_records)],
        [None] * num_records,
    )


def load(made, directory, kind=PLAIN):
    """Return the labelled records of a set, as a user's files give them."""
    fasta, table = directory / "data.fa", directory / "labels.tsv"
    fasta.write_text("".join(f">r{place}\n{sequence}\n" for place, sequence in enumerate(made.sequences)))
    columns = ["id", "label", "split"] + ["group"] * any(made.groups)
    rows = [
        [f"r{place}", made.labels[place], made.splits[place]] + [made.groups[place] or ""] * any(made.groups)
        for place in range(len(made.labels))
    ]
    table.write_text("".join("\t".join(row) + "\n" for row in [columns, *rows]))
    return load_labelled(
        [str(fasta)], str(table), cache_dir=directory / "cache", min_per_class=1, kind=kind, warn=lambda _: None
    )


def splits_of(records):
    return from_column(records.splits, records.targets, val_fraction=0.0)
