"""Tiny sets from the example data, and a stand-in for `genomix train` that writes down what it is given."""

import gzip
import json
import subprocess
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parent.parent.parent / "example_data"
NUM_BASES = 400
COUNTS = {"train": 8, "val": 3, "test": 3}
STOPPED = 75


def read_example():
    """Return the first bases of each record by id, and rows of id, label and split."""
    table = (EXAMPLE / "primate_mitochondria.tsv").read_text().splitlines()[1:]
    text = gzip.decompress((EXAMPLE / "primate_mitochondria.fa.gz").read_bytes()).decode()
    entries = (entry.partition("\n") for entry in text.split(">")[1:])
    sequences = {header.split()[0]: bases.replace("\n", "")[:NUM_BASES] for header, _, bases in entries}
    return sequences, [line.split("\t") for line in table]


@pytest.fixture
def make_set(tmp_path):
    """Write a set of a few records of each class and split into a folder, and return the folder.

    `skip` leaves out so many of each class and split of the test, so that the test records are others.
    """
    sequences, table = read_example()

    def make(name, splits=("train", "val", "test"), skip=0):
        folder = tmp_path / "sets" / name
        folder.mkdir(parents=True)
        rows = []
        for label in ("Haplorrhini", "Strepsirrhini"):
            for split in splits:
                own = [row for row in table if row[1:] == [label, split]]
                first = skip if split == "test" else 0
                rows += own[first : first + COUNTS[split]]
        with gzip.open(folder / "data.fa.gz", "wt") as written:
            for name, _, _ in rows:
                half = NUM_BASES // 2
                print(f">{name} a primate\n{sequences[name][:half]}\n{sequences[name][half:]}", file=written)
        (folder / "labels.tsv").write_text("id\tlabel\tsplit\n" + "".join("\t".join(row) + "\n" for row in rows))
        return folder

    return make


class Trainer:
    """Stands in for `genomix train`: leaves what a training leaves, with made-up figures.

    Attributes:
        calls: The arguments of each call.
        refused: A word; runs whose arguments have it fail.
        stops: How many calls from now on stop before they are done.
        accuracies: By a word of the arguments, what comes out; 0.5 of others.
    """

    def __init__(self):
        self.calls, self.refused, self.stops, self.accuracies = [], None, 0, {}

    def __call__(self, arguments, threads):
        self.calls.append(list(arguments))
        path = Path(arguments[arguments.index("--resume") + 1])
        line = " ".join(arguments)
        if self.refused and self.refused in line:
            return subprocess.CompletedProcess(arguments, 2, "", "warning: something\nerror: it cannot be\n")
        path.mkdir(exist_ok=True)
        (path / "begun.json").write_text(json.dumps({"complete": not self.stops}))
        if self.stops:
            self.stops -= 1
            return subprocess.CompletedProcess(arguments, STOPPED, "", "error: stopped\n")
        value = next((value for word, value in self.accuracies.items() if word in line), 0.5)
        seed = int(arguments[arguments.index("--seed") + 1])
        values = dict.fromkeys(("mcc", "accuracy", "balanced_accuracy", "f1_macro", "log_loss"), value + seed / 100)
        intervals = {name: {"low": found - 0.1, "high": found + 0.1} for name, found in values.items()}
        measured = {"values": values | {"roc_auc": None}, "intervals": intervals, "num_records": 6}
        split = "val" if "/val/" in arguments[1] else "test"
        (path / "metrics.json").write_text(json.dumps({"split": split, "metrics": measured}))
        training = {"device": "cpu", "threads": threads, "seconds": 1.5, "epochs": 4}
        meta = {"num_parameters": 10, "training": training, "versions": {"torch": "2"}, "created": "2026-01-02T03"}
        (path / "meta.json").write_text(json.dumps(meta))
        (path / "model.safetensors").touch()
        return subprocess.CompletedProcess(arguments, 0, "", "")

    def files(self):
        """Return the files that were given to trainings."""
        return {Path(one) for call in self.calls for one in call[1:3]}


@pytest.fixture
def trainer(monkeypatch, _benchmark_scripts):
    import runs

    stand_in = Trainer()
    monkeypatch.setattr(runs, "call", stand_in)
    return stand_in


@pytest.fixture
def call_script(monkeypatch, tmp_path, _benchmark_scripts):
    """Call the `main` of a script with arguments and an --out, and return its exit code."""

    def call(script, *arguments, out="runs"):
        words = [script.__name__, *map(str, arguments), "--out", str(tmp_path / out)]
        monkeypatch.setattr("sys.argv", words)
        return script.main()

    return call
