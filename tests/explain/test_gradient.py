"""Integrated gradients: they sum to the difference of scores, and are what they are for a linear model."""

import numpy as np
import pytest
import torch
from explained import make_model, random_tokens
from hypothesis import given, settings
from hypothesis import strategies as st

from genomix.data.vocabulary import PAD, UNKNOWN, VOCABULARY_SIZE
from genomix.errors import UsageError
from genomix.explain.gradient import gradient, over_one_hot
from genomix.explain.score import make_score

MODELS = {
    "default": {},
    "mean": {"model.pooling": "mean"},
    "regions": {"model.pooling": "regions"},
    "max": {"model.pooling": "max"},
    "cls": {"model.pooling": "cls"},
    "positions": {"model.embedding.position": "sinusoidal"},
    "convolutions": {"preset": "cdil-cnn", "model.pooling": "mean"},
    "paper": {"preset": "paramixer-paper"},
}


def score_of(model, score, tokens):
    with torch.no_grad():
        return float(score.of(model.classifier(torch.from_numpy(tokens)[None], torch.tensor([len(tokens)]))))


@pytest.mark.parametrize("name", MODELS)
def test_one_hot_vectors_are_read_as_tokens_are(name):
    model = make_model(**MODELS[name])
    tokens = np.full(64, PAD)
    tokens[:33] = random_tokens(33)
    filled = 64 if name == "paper" else 33
    with torch.no_grad():
        one_hot = torch.eye(VOCABULARY_SIZE, dtype=torch.float64)[tokens[:filled]]
        found = over_one_hot(model)(one_hot[None], torch.tensor([filled]))
        expected = model.classifier(torch.from_numpy(tokens[:33])[None], torch.tensor([33]))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("baseline", ["shuffled", "uniform", "unknown"])
def test_completeness(name, baseline):
    model = make_model(**MODELS[name])
    score = make_score(model, "b")
    tokens = random_tokens(41)
    found = gradient(model, tokens, score, baseline=baseline, steps=150)
    difference = found.facts["score_above_baseline"]
    share = (
        0.1 if name in ("default", "regions", "max") else 0.03
    )  # a maximum has edges, which points between them see late
    assert abs(found.facts["gap"]) < share * abs(difference) + 1e-5
    assert found.attribution.sum() + found.facts["gap"] == pytest.approx(difference, rel=1e-9)
    assert abs(difference) > 1e-4
    np.testing.assert_array_equal(found.attribution[tokens == UNKNOWN], 0)
    if baseline == "unknown":
        nothing = np.full_like(tokens, UNKNOWN)
        assert difference == pytest.approx(score_of(model, score, tokens) - score_of(model, score, nothing), rel=1e-6)


@settings(deadline=None, max_examples=10)
@given(length=st.integers(1, 64), seed=st.integers(0, 100))
def test_many_steps_close_the_gap(length, seed):
    model = make_model(seed=seed)
    tokens = random_tokens(length, seed)
    gaps = [
        abs(gradient(model, tokens, make_score(model, "a"), baseline="uniform", steps=steps).facts["gap"])
        for steps in (2, 300)
    ]
    assert gaps[1] <= max(gaps[0], 1e-6)
    assert gaps[1] < 1e-2


def test_of_a_linear_network_each_base_gets_its_own_term():
    """Mean of embedded bases and a linear head: the score is a sum over bases, and the share of each is known."""
    model = make_model(**{"model.stem": None, "model.head.norm": "none", "model.pooling": "mean"})
    network = model.classifier
    network.encoder = Same()
    tokens = random_tokens(50, unknown=0)
    score = make_score(model, "c", "a")
    found = gradient(model, tokens, score, baseline="uniform", steps=3)
    with torch.no_grad():
        effects = score.of(network.embedding.tokens.weight @ network.head[-1].weight.T).numpy() / 50
    np.testing.assert_allclose(
        found.attribution, effects[tokens] - effects[:4].mean(), rtol=1e-6
    )  # captum's weights are float32
    assert found.facts["gap"] == pytest.approx(0, abs=1e-8)


class Same(torch.nn.Module):
    def forward(self, embedded, lengths):
        return embedded


def test_weights_and_mode_stay_what_they_are():
    model = make_model()
    before = {name: tensor.clone() for name, tensor in model.classifier.state_dict().items()}
    gradient(model, random_tokens(30), make_score(model, "a"), steps=2)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.classifier.state_dict().items())
    assert all(parameter.grad is None for parameter in model.classifier.parameters())


def test_kmers_have_none():
    with pytest.raises(UsageError, match="counts k-mers"):
        gradient(make_model("kmer"), random_tokens(30), None)
