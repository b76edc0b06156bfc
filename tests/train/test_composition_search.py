"""The k-mers found beside a network, and as its baseline; and a training that stopped behind its last epoch."""

import numpy as np
import pytest
from kmer_records import load, random_texts

from genomix.checkpoint import CONFIG, METRICS, PREDICTIONS, WEIGHTS
from genomix.config import make_config
from genomix.train import run as training_run
from genomix.train.kmer import search
from genomix.train.run import Training

SMALL = {
    "model.max_length": 48,
    "model.embedding.dim": 8,
    "model.encoder.dim": 8,
    "model.encoder.hidden_dim": 8,
    "training.max_epochs": 2,
    "training.batch_bases": 4000,
}
MOTIF = "GATTAC"


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    monkeypatch.setattr(search, "KS", range(2, 7))
    monkeypatch.setattr(search, "PENALTIES", (1e-1, 10.0))


@pytest.fixture(scope="module")
def with_motif(tmp_path_factory):
    texts = random_texts([60] * 120, odds=(0.25, 0.25, 0.25, 0.25, 0), seed=2)
    texts = [text[:20] + MOTIF + text[20:] if row % 2 else text for row, text in enumerate(texts)]
    splits = ["train", "train", "train", "val", "val", "test", "test"] * 18
    return load(tmp_path_factory.mktemp("motif"), texts, ["a", "b"] * 60, splits[:120])


def train(records, path, changes=(), **ways):
    return Training(make_config(overrides=SMALL | dict(changes)), records, path, checks=False, **ways)


@pytest.mark.parametrize(
    "changes", [{}, {"training.reverse_complement": True}, {"model.composition.strands": "forward"}]
)
def test_a_training_stopped_behind_its_last_epoch_goes_on(with_motif, tmp_path, monkeypatch, changes):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(with_motif, whole, changes).run()

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training_run, "measure", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(with_motif, stopped, changes).run()
    train(with_motif, stopped, changes, resume=True).run()
    for name in (WEIGHTS, CONFIG, METRICS, PREDICTIONS):
        assert (stopped / name).read_bytes() == (whole / name).read_bytes()


def test_what_is_stated_beside_the_network_leaves_the_baseline_as_it_is(with_motif, tmp_path):
    free = train(with_motif, tmp_path / "free").run()
    stated = train(with_motif, tmp_path / "stated", {"model.composition.k": 2}).run()
    assert stated.model.config.model.composition.k == 2
    assert stated.measured.baseline.config == free.measured.baseline.config
    assert stated.measured.baseline.config.k > 2
    np.testing.assert_array_equal(stated.measured.probabilities["kmer"], free.measured.probabilities["kmer"])


def test_the_baseline_of_another_run_s_configuration_is_searched_for(with_motif, tmp_path):
    train(with_motif, tmp_path / "poor", {"model.composition.k": 2}).run()
    config = make_config(path=tmp_path / "poor" / CONFIG)
    assert config.model.composition.is_settled
    again = Training(config, with_motif, tmp_path / "again", checks=False).run()
    assert again.measured.baseline.config.k > 2
    assert again.model.config.model.composition == config.model.composition


def test_what_was_chosen_on_the_measured_records_is_said(with_motif, tmp_path):
    division = load(
        tmp_path / "no-test",
        ["ACGTTGCA" * 6, "TTGACCAG" * 6] * 30,
        ["a", "b"] * 30,
        ["train", "train", "val", "val"] * 15,
    )
    [note] = [note for note in train(division, tmp_path / "run").run().measured.own.notes if "chosen on" in note]
    assert "the epoch, the k-mers beside the network, what each of both weighs, the temperature" in note
    plain = {"model.composition": None, "training.calibrate": False}
    [note] = [
        note for note in train(division, tmp_path / "plain", plain).run().measured.own.notes if "chosen on" in note
    ]
    assert note.startswith("chosen on these same records: the epoch; so all values are")
    assert not any("chosen on" in note for note in train(with_motif, tmp_path / "tested").run().measured.own.notes)
