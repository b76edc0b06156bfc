"""The mixing influence is the row of the dense product, and takes the score apart without remainder."""

import numpy as np
import pytest
import torch
from explained import make_model, random_tokens
from hypothesis import given, settings
from hypothesis import strategies as st

from genomix.errors import UsageError
from genomix.explain.mixing import check_mixing, mix, mixing, pooling_weights
from genomix.explain.score import make_score
from genomix.explain.transposed import transpose_layer, transpose_mix
from genomix.nn.encoders.paramixer import ParamixerLayer
from genomix.nn.mixing import dense_factor
from genomix.nn.protocols import count_factors, link_offsets

LENGTHS = [1, 2, 3, 5, 16, 17, 31, 64, 101]


def dense_product(layer, inputs):
    """Multiply the dense factors of a layer in, from the first to the last, as the paper writes them."""
    size = len(inputs)
    product = identity = torch.eye(size, dtype=inputs.dtype)
    for mlp, offsets in zip(layer.link_mlps, layer.offsets, strict=True):
        factor = dense_factor(layer.link_scale * mlp(inputs), offsets, size)
        product = factor @ product + (identity if layer.residual == "input" else product)
    return product


@settings(deadline=None, max_examples=40)
@given(
    length=st.integers(1, 40),
    offsets=st.lists(st.integers(-100, 100), min_size=1, max_size=9),
    seed=st.integers(0, 1000),
)
def test_one_factor_transposed(length, offsets, seed):
    generator = torch.Generator().manual_seed(seed)
    link_weights = torch.randn(length, len(offsets), dtype=torch.float64, generator=generator)
    weights = torch.randn(length, 3, dtype=torch.float64, generator=generator)
    factor = dense_factor(link_weights, torch.tensor(offsets), length)
    found = transpose_mix(link_weights, torch.tensor(offsets), weights)
    torch.testing.assert_close(found, factor.T @ weights, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("protocol", ["chord", "cdil"])
@pytest.mark.parametrize("residual", ["step", "input"])
@pytest.mark.parametrize("length", LENGTHS)
def test_all_factors_transposed_are_rows_of_the_dense_product(protocol, residual, length):
    torch.manual_seed(length)
    options = {"residual": residual, "link_scale": 0.7, "normalise": False, "dropout": 0.0, "recompute": False}
    layer = ParamixerLayer(6, 8, link_offsets(protocol, count_factors(length)), **options).double()
    inputs = torch.randn(length, 6, dtype=torch.float64)
    with torch.no_grad():
        product = dense_product(layer, inputs)
    found = transpose_layer(layer, inputs, torch.eye(length, dtype=torch.float64))
    torch.testing.assert_close(found.T, product, rtol=1e-10, atol=1e-10)
    values = torch.randn(length, 6, dtype=torch.float64)
    with torch.no_grad():
        layer.value_mlp = torch.nn.Identity()
        mixed = layer(values[None], inputs[None], torch.tensor([length]))[0]
    torch.testing.assert_close(mixed, product @ values, rtol=1e-10, atol=1e-10)


NETWORKS = {
    "default": {},
    "cdil": {"model.encoder.protocol": "cdil"},
    "psf": {"model.encoder.residual": "input"},
    "no stem": {"model.stem": None},
    "not normalised": {"model.encoder.normalise": False},
    "max": {"model.pooling": "max"},
    "mean-max": {"model.pooling": "mean-max"},
    "regions": {"model.pooling": "regions"},
    "attention": {"model.pooling": "attention"},
    "cls": {"model.pooling": "cls"},
    "flatten": {"model.pooling": "flatten"},
    "layer norm": {"model.head.norm": "layer"},
    "no norm": {"model.head.norm": "none"},
    "paper": {"preset": "paramixer-paper"},
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("length", [1, 6, 33, 64])
def test_influence_is_the_pooling_weights_times_the_dense_product(name, length):
    model = make_model(**NETWORKS[name])
    network, layer = check_mixing(model)
    tokens = random_tokens(length)
    found = mixing(model, tokens, make_score(model, "b"))
    with torch.no_grad():
        mixed = mix(network, layer, torch.from_numpy(tokens).long())
        pooled = network.pool(torch.from_numpy(tokens)[None], torch.tensor([length]))[0]
        weights = pooling_weights(network.pooling, mixed.encoded)
        if name not in ("flatten", "paper"):
            torch.testing.assert_close((weights * mixed.encoded).sum(1).flatten(), pooled)
        expected = (weights.mean((0, 2)) / mixed.deviations[:, 0]) @ dense_product(layer, mixed.inputs)
    expected = expected[int(name == "cls") :].repeat_interleave(found.facts["bases_a_position"])[:length]
    np.testing.assert_allclose(found.tracks["influence"], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("length", [1, 6, 33, 64])
def test_attributions_are_all_of_the_score_but_a_constant(name, length):
    model = make_model(**NETWORKS[name])
    score = make_score(model, "b", "c")
    tokens = random_tokens(length)
    found = mixing(model, tokens, score)
    with torch.no_grad():
        whole = score.of(model.classifier(torch.from_numpy(tokens)[None], torch.tensor([length])))
        constant = constant_of(model, score, tokens)
    assert found.facts["sum"] == pytest.approx(float(whole) - constant, rel=1e-8, abs=1e-8)
    inside = found.facts["sum"] - found.facts["sum_elsewhere"]
    typical = found.facts["typical"]
    attributed = found.attribution.sum() + typical * found.facts["positions"]
    assert attributed == pytest.approx(inside, rel=1e-8, abs=1e-8)
    stretches = np.arange(length) // found.facts["bases_a_position"]
    assert np.median(np.bincount(stretches, found.attribution)) == pytest.approx(0, abs=1e-8)
    assert (found.facts["sum_elsewhere"] != 0) == (name in ("cls", "paper") and (name, length) != ("paper", 64))


def constant_of(model, score, tokens):
    """The score that is left when what the layer gives is zero, the deviations staying what they are for the record."""
    network = model.classifier
    _, layer = check_mixing(model)
    mixed = mix(network, layer, torch.from_numpy(tokens).long())
    bias = torch.zeros_like(mixed.encoded)
    if network.encoder.output_norm is not None:
        bias = bias + network.encoder.output_norm.bias
    everywhere = torch.ones(1, len(bias), dtype=torch.bool)
    pooled = network.pooling(mixed.encoded[None], everywhere)
    weights = pooling_weights(network.pooling, mixed.encoded)
    rest = (
        network.pooling(bias[None], everywhere)
        if pooled.shape[1] != len(weights) * bias.shape[1]
        else (weights * bias).sum(1).flatten()[None]
    )
    for module in network.head:
        if isinstance(module, torch.nn.LayerNorm):
            rest = (rest - rest.mean()) / (pooled.var(unbiased=False) + module.eps).sqrt() * module.weight + module.bias
        else:
            rest = module(rest)
    return float(score.of(rest))


def test_memory_and_time_are_those_of_n_log_n():
    """16 kbp have 2.7e8 pairs of positions: a table of them would take 1 GB, and does not come to be."""
    model = make_model(**{"model.max_length": 1 << 14, "model.stem": None})
    found = mixing(model, random_tokens(1 << 14), make_score(model, "a"))
    assert found.tracks["influence"].shape == (1 << 14,)
    assert np.isfinite(found.tracks["influence"]).all()


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"preset": "kmer"}, "counts k-mers"),
        ({"preset": "cdil-cnn"}, "CdilCnn, not a Paramixer"),
        ({"model.encoder.num_layers": 2}, "has 2 layers"),
        ({"model.encoder.channel_dim": 8}, "a network over the channels"),
    ],
)
def test_other_models(made, message):
    with pytest.raises(UsageError, match=message):
        mixing(make_model(**made), random_tokens(30), None)
