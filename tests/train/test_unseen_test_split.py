"""What a training of the default network chooses depends on training and validation records only."""

import pytest
from kmer_records import load, other_strand, random_texts

from genomix.checkpoint import CALIBRATION, CONFIG, REFERENCE, WEIGHTS, load_model
from genomix.config import make_config
from genomix.train.kmer import search
from genomix.train.run import Training

MOTIF = "GATTACA"
SPLITS = ["train", "train", "train", "val", "test"] * 24
CHOSEN = (WEIGHTS, CONFIG, CALIBRATION, REFERENCE)
SMALL = {
    "model.max_length": 48,
    "model.embedding.dim": 8,
    "model.encoder.dim": 8,
    "model.encoder.hidden_dim": 8,
    "training.max_epochs": 2,
    "training.batch_bases": 4000,
}


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    monkeypatch.setattr(search, "KS", range(2, 5))
    monkeypatch.setattr(search, "PENALTIES", (1e-3, 1e-1, 10.0))


def train(directory, replaced=None):
    """Train on records of which those of one split are others, with the other label; return what was chosen."""
    background = random_texts([60] * 120, odds=(0.25, 0.25, 0.25, 0.25, 0), seed=1)
    motifs = [MOTIF] * 60 + [other_strand(MOTIF)] * 60
    texts = [text[:20] + motif + text[20:] for text, motif in zip(background, motifs, strict=True)]
    labels = ["a"] * 60 + ["b"] * 60
    for row in (row for row, split in enumerate(SPLITS) if split == replaced):
        texts[row], labels[row] = "N" * 9 + "ACGT" * (row + 1), "ab"[labels[row] == "a"]
    run = directory / "run"
    Training(make_config(overrides=SMALL), load(directory, texts, labels, SPLITS), run).run()
    return {name: (run / name).read_bytes() for name in CHOSEN}, load_model(run)


def test_test_records_change_nothing_that_is_chosen(tmp_path):
    chosen, model = train(tmp_path / "once")
    assert model.composition is not None
    assert model.config.model.composition.is_settled
    again, _ = train(tmp_path / "again", replaced="test")
    assert [name for name in CHOSEN if again[name] != chosen[name]] == []
    others, _ = train(tmp_path / "others", replaced="val")
    assert {name for name in CHOSEN if others[name] != chosen[name]} >= {WEIGHTS, CONFIG, CALIBRATION}
