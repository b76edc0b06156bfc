"""A network and its k-mers are weighed on validation records, and together score as a sum by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax
from scored import make_model, random_records

from genomix.checkpoint import load_model, save_model
from genomix.config import KmerConfig
from genomix.data.store import build_store
from genomix.explain.score import logits, make_score
from genomix.nn.composition import Composition
from genomix.nn.kmer import KmerClassifier
from genomix.scoring import Scorer, fit_composition
from genomix.scoring.stacking import EQUAL, STRENGTH, fit_weights


def random_kmer(k=2, classes=3, **options):
    torch.manual_seed(5)
    return KmerClassifier(k, classes, **options).eval()


@pytest.fixture
def model():
    made = make_model()
    made.composition = Composition(random_kmer(canonical=False), 0.7, 1.3)
    return made


def alone(model, record, **options):
    before, model.composition = model.composition, None
    try:
        return next(Scorer(model, **options).score([record]))
    finally:
        model.composition = before


@pytest.mark.parametrize("strands", ["forward", "both"])
@pytest.mark.parametrize("long", ["window", "whole", "crop"])
def test_scores_are_the_weighted_sum(model, strands, long):
    records = random_records([5, 40, 333])
    for record, found in zip(records, Scorer(model, long=long, strands=strands).score(records), strict=True):
        with torch.inference_mode():
            said = model.composition.kmer(torch.from_numpy(record)[None], torch.tensor([len(record)]))
        kmers = log_softmax(said[0].double().numpy())
        network = np.log(alone(model, record, long=long, strands=strands))
        np.testing.assert_allclose(found, softmax(0.7 * network + 1.3 * kmers), rtol=1e-6)


def test_survives_the_disk(model, tmp_path):
    model.path = tmp_path
    model.config.model.composition = KmerConfig(
        k=2, inverse_regularisation=1.0, strands="forward", features="frequencies", classifier="logistic"
    )
    save_model(model)
    loaded = load_model(tmp_path)
    assert (loaded.composition.network, loaded.composition.kmers) == (0.7, 1.3)
    records = random_records([30, 99])
    np.testing.assert_array_equal(
        np.stack(list(Scorer(loaded).score(records))), np.stack(list(Scorer(model).score(records)))
    )


def test_older_model_is_the_network_alone(model, tmp_path):
    model.path, model.composition = tmp_path, None
    save_model(model)
    loaded = load_model(tmp_path)
    assert loaded.composition is None
    assert loaded.config.model.composition is None


def noisy(truth, noise, seed, classes=3):
    return log_softmax(
        np.eye(classes)[truth] + noise * np.random.default_rng(seed).normal(size=(len(truth), classes)), 1
    )


TRUTH = np.arange(300) % 3


def loss(weights, network, kmers, truth):
    logs = log_softmax(weights[0] * network + weights[1] * kmers, axis=1)
    away = np.asarray(weights) - EQUAL
    return -logs[np.arange(len(truth)), truth].sum() + STRENGTH * away @ away


@given(noise=st.floats(0.1, 5), other=st.floats(0.1, 5), number=st.integers(1, 300), seed=st.integers(0, 99))
def test_no_weights_nearby_are_better(noise, other, number, seed):
    truth = TRUTH[:number]
    network, kmers = noisy(truth, noise, seed), noisy(truth, other, seed + 100)
    weights = fit_weights(network, kmers, truth)
    assert (weights >= 0).all()
    best = loss(weights, network, kmers, truth)
    for step in ((0.05, 0), (-0.05, 0), (0, 0.05), (0, -0.05)):
        near = np.maximum(weights + step, 0)
        assert best <= loss(near, network, kmers, truth) + 1e-6


def test_who_knows_more_weighs_more():
    good, bad = noisy(TRUTH, 0.5, 1), noisy(TRUTH, 20, 2)
    weights = fit_weights(good, bad, TRUTH)
    assert weights[0] > 10 * weights[1]
    np.testing.assert_allclose(fit_weights(bad, good, TRUTH), weights[::-1], rtol=1e-3, atol=1e-4)


def test_labels_each_for_itself():
    truth = np.random.default_rng(0).random((200, 4)) < 0.3
    knows, guesses = 4.0 * truth - 2, np.random.default_rng(1).normal(size=(200, 4))
    weights = fit_weights(knows, guesses, truth)
    assert weights[0] > 1
    assert weights[1] < weights[0] / 3


def test_nothing_to_choose_on_is_the_mean():
    nothing = np.zeros((0, 3))
    np.testing.assert_allclose(fit_weights(nothing, nothing, np.zeros(0, np.int64)), [EQUAL, EQUAL])


def test_weights_are_of_the_network_alone(tmp_path):
    """What a model is stacked with already does not count, and the k-mers' scores are those it will be used with."""
    model = make_model()
    texts = ["".join("ACGT"[base % 4] for base in record) for record in random_records([50] * 12)]
    fasta = tmp_path / "x.fa"
    fasta.write_text("".join(f">{i}\n{text}\n" for i, text in enumerate(texts)))
    targets = np.arange(12) % 3
    store = build_store([str(fasta)], cache_dir=tmp_path / "cache")
    once = fit_composition(Scorer(model), random_kmer(), store, range(12), targets)
    model.composition = Composition(random_kmer(), 9.0, 9.0)
    again = fit_composition(Scorer(model), random_kmer(), store, range(12), targets)
    torch.testing.assert_close(once.weights, again.weights)


def test_mutagenesis_explains_both(model):
    records = random_records([40, 40])
    both, network = (logits(model, records, "cpu", 1 << 12, alone=one) for one in (False, True))
    score = make_score(model, model.classes[0])
    said = np.stack([model.composition.score(torch.from_numpy(one), multi_label=False).numpy() for one in records])
    np.testing.assert_allclose(
        both @ score.weights, 0.7 * network @ score.weights + 1.3 * said @ score.weights, rtol=1e-6
    )
