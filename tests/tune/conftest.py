"""Small records with a given split, and studies of them."""

import random
from collections.abc import Callable

import pytest

from genomix.config import make_config
from genomix.data.labels import load_labelled
from genomix.train.begun import Begun
from genomix.tune.asked import Asked
from genomix.tune.tuning import Tuning

COMPOSITION = {"a": (5, 2, 2, 4), "b": (3, 4, 3, 3)}
SMALL = {
    "model.max_length": 48,
    "model.stem.base_dim": 8,
    "model.encoder.dim": 8,
    "model.encoder.hidden_dim": 8,
    "training.max_epochs": 2,
    "training.batch_bases": 4096,
    "training.batch_records": 16,
}
SPACE = {
    "training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "training.label_smoothing": {"low": 0.0, "high": 0.2},
    "model.encoder.protocol": {"choices": ["chord", "cdil"]},
    "model.encoder.hidden_dim": {"low": 4, "high": 12, "step": 4},
    "model.stem.widths": {"choices": [[9, 5, 5], [5, 3]]},
}
KMER = {"model.inverse_regularisation": {"low": 0.01, "high": 100.0, "log": True}}


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """No test here cuts the power, and a study syncs often."""
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture
def write_data(tmp_path) -> Callable[..., list[str]]:
    """Write sequences and labels of 48 records, 12 of them for the test; return the two files."""

    def write(name: str = "data", test_seed: int = 1) -> list[str]:
        rng, other = random.Random(0), random.Random(test_seed)
        fasta, table = "", "id\tlabel\tsplit\n"
        for number in range(48):
            split = ("train", "train", "val", "test")[number // 2 % 4]
            chosen = other if split == "test" else rng
            label = chosen.choice("ab") if split == "test" else "ab"[number % 2]
            sequence = "".join(chosen.choices("ACGT", COMPOSITION[label], k=chosen.randint(40, 80)))
            fasta += f">r{number}\n{sequence}\n"
            table += f"r{number}\t{label}\t{split}\n"
        files = [tmp_path / f"{name}.fa", tmp_path / f"{name}.tsv"]
        for path, text in zip(files, (fasta, table), strict=True):
            path.write_text(text)
        return [str(path) for path in files]

    return write


@pytest.fixture
def make_tuning(tmp_path, write_data) -> Callable[..., Tuning]:
    """Return what makes a study, with ranges of its own where they are given."""

    def make(name="study", data=None, space=None, trials=4, settings=(), model=None, **more) -> Tuning:
        sequences, labels = data or write_data()
        config = make_config(model, overrides=(SMALL if model != "kmer" else {}) | dict(settings))
        records = load_labelled([sequences], labels, warn=print)
        begun = Begun(config=config, inputs=[sequences], labels=labels, sequences=records.store.sha256)
        tree = space or (KMER if model == "kmer" else SPACE)
        asked = Asked(training=begun, space=tree, trials=trials, **more.pop("asked", {}))
        return Tuning(asked, records, tmp_path / name, **more)

    return make
