"""What the tests of the commands share: tiny data, and how a command ended."""

import csv
import io
import random
from pathlib import Path
from typing import NamedTuple

REAL = ("--max-length", "64", "--threads", "1", "--device", "cpu")
"""The default network, made small in what it reads only: its k-mers are searched for."""
TINY = (*REAL, "--set", "model.composition={k: 3, inverse_regularisation: 1}")
"""The same beside k-mers that leave nothing to search for but the baseline."""
KMER = ("--model", "kmer", "--set", "model.k=3", "--set", "model.inverse_regularisation=1", "--threads", "1")
"""A k-mer model that leaves nothing to search for."""
NUM_RECORDS = 30
COMPOSITION = {"phage": (4, 1, 1, 4), "plasmid": (1, 4, 4, 1)}


class Outcome(NamedTuple):
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


class Data(NamedTuple):
    """A small labelled data set, in each of the forms it can have."""

    directory: Path
    sequences: dict[str, str]
    labels: dict[str, str]

    @property
    def fasta(self) -> Path:
        return self.directory / "data.fa"

    @property
    def table(self) -> Path:
        return self.directory / "labels.tsv"


def make_sequences(num_records: int = NUM_RECORDS, seed: int = 1) -> tuple[dict[str, str], dict[str, str]]:
    """Return sequences and labels by id; the classes differ in their composition."""
    rng = random.Random(seed)
    sequences, labels = {}, {}
    for number in range(num_records):
        label = list(COMPOSITION)[number % len(COMPOSITION)]
        letters = rng.choices("ACGT", weights=COMPOSITION[label], k=rng.randint(80, 200))
        sequences[f"r{number}"], labels[f"r{number}"] = "".join(letters), label
    return sequences, labels


def to_fasta(sequences: dict[str, str], labels: dict[str, str] | None = None) -> str:
    headers = {name: f"{name} class={labels[name]}" if labels else name for name in sequences}
    return "".join(f">{headers[name]}\n{sequence}\n" for name, sequence in sequences.items())


def to_table(labels: dict[str, str]) -> str:
    return "id\tlabel\n" + "".join(f"{name}\t{label}\n" for name, label in labels.items())


def rows_of(text: str, delimiter: str = "\t") -> list[dict[str, str]]:
    """Return the rows of a table of text by the names of its columns."""
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
