"""Trainable feature maps: each equals its formula, starts as it should, and asks for orthogonal weights."""

import math

import pytest
import torch
from checks import randomise
from dense import assert_stack_equals
from pydantic import ValidationError

from genomix.config.encoders import TfkConfig
from genomix.nn.dropout import Dropout
from genomix.nn.encoders.feature_maps import OrthogonalLinear, make_feature_map
from genomix.nn.encoders.tfk import Tfk

SMALLEST = 1e-6
TRAINABLE = ["ffn", "linear", "oglu", "a-oglu", "relu", "hedgehog"]
NAMES_AND_LAYERS = [("elu", 1), *((name, layers) for name in TRAINABLE for layers in (1, 3))]


def plain_features(name, layers, head, x):
    """One head's x (n, P) through the layers, each by its formula."""
    if name == "elu":
        return torch.where(x > 0, x + 1, x.exp())
    for number, layer in enumerate(layers, start=1):
        given, x = x, x @ layer.linear.weight[head].T
        if number == len(layers):
            x = last_activation(name, x)
        if name == "oglu":
            x = x / (1 + torch.exp(-(given @ layer.gate.weight[head].T)))
        if name == "a-oglu":
            inner, outer = (part.weight[head] for part in layer.gate)
            assert inner.shape == outer.T.shape == (max(1, given.shape[1] // 4), given.shape[1])
            x = x / (1 + torch.exp(-(given @ inner.T @ outer.T)))
    return x


def last_activation(name, x):
    if name == "relu":
        return x * (x > 0)
    if name == "hedgehog":
        exponentials = torch.exp(torch.cat([2 * x, -2 * x], 1))
        return exponentials / exponentials.sum(1, keepdim=True)
    return torch.log(1 + torch.exp(x))


def kernel_weights(name):
    def weigh(mixer, head, queries, keys):
        query_features, key_features = (plain_features(name, mixer.features, head, x) for x in (queries, keys))
        products = query_features @ key_features.T
        return products / (products.sum(1, keepdim=True) + SMALLEST)

    return weigh


def make_map(name, num_layers=1, num_heads=64, head_dim=16, dropout=0.0, orthogonality=0.01):
    return make_feature_map(
        name, num_heads, head_dim, num_layers=num_layers, dropout=dropout, orthogonality=orthogonality
    )


@pytest.mark.parametrize(("name", "num_layers"), NAMES_AND_LAYERS)
@pytest.mark.parametrize(("dim", "num_heads"), [(16, 2), (6, 2)])
def test_stack_equals_the_dense_formulas(name, num_layers, dim, num_heads):
    network = Tfk(dim, 6, 2, num_heads, feature_map=name, feature_layers=num_layers, position="none")
    assert_stack_equals(randomise(network.eval(), scale=0.7), kernel_weights(name))


@pytest.mark.parametrize("name", ["elu", *TRAINABLE])
@pytest.mark.parametrize("length", [1, 2, 257])
def test_every_weight_gets_a_finite_gradient_at_any_length(name, length):
    torch.manual_seed(0)
    network = Tfk(8, 6, 2, 2, feature_map=name, feature_layers=1 if name == "elu" else 2)
    network(torch.randn(2, length, 8), torch.tensor([length, 1])).sum().backward()
    for part, parameter in network.named_parameters():
        assert parameter.grad is not None, part
        assert parameter.grad.isfinite().all(), part


@pytest.mark.parametrize("name", ["elu", *TRAINABLE])
def test_no_feature_is_negative_and_only_those_of_relu_may_be_zero(name):
    features = make_map(name)(torch.randn(2, 64, 50, 16, generator=torch.Generator().manual_seed(0)))
    assert features.shape == (2, 64, 50, 32 if name == "hedgehog" else 16)
    assert (features >= 0).all()
    assert (features == 0).any() == (name == "relu")


@pytest.mark.parametrize("name", ["linear", "oglu", "a-oglu"])
def test_weights_start_orthogonal_and_cost_nothing(name):
    torch.manual_seed(0)
    for layer in make_map(name, num_layers=2):
        torch.testing.assert_close(
            layer.linear.weight @ layer.linear.weight.mT, torch.eye(16).expand(64, 16, 16), rtol=0, atol=1e-5
        )
        assert not torch.equal(layer.linear.weight[0], layer.linear.weight[1])
        assert layer.linear.penalty() < 1e-10


def test_gates_and_free_weights_start_gaussian_with_variance_2_over_inputs():
    torch.manual_seed(0)
    (oglu,), (narrow,), (ffn,) = (make_map(name) for name in ("oglu", "a-oglu", "ffn"))
    inner, outer = narrow.gate
    assert inner.weight.shape == (64, 4, 16)
    assert outer.weight.shape == (64, 16, 4)
    for weight in (oglu.gate.weight, inner.weight, outer.weight, ffn.linear.weight):
        assert weight.var().item() == pytest.approx(2 / weight.shape[2], rel=0.1)
        assert abs(weight.mean()) < 0.05


def test_hedgehog_starts_as_the_identity():
    x = torch.randn(2, 64, 5, 16, generator=torch.Generator().manual_seed(0))
    exponentials = torch.cat([2 * x, -2 * x], -1).exp()
    torch.testing.assert_close(make_map("hedgehog")(x), exponentials / exponentials.sum(-1, keepdim=True))


@pytest.mark.parametrize("name", ["ffn", "linear", "oglu", "a-oglu"])
def test_the_penalty_is_the_mean_squared_distance_to_orthogonality(name):
    torch.manual_seed(0)
    (layer,) = make_map(name, num_heads=3, head_dim=5, orthogonality=0.7)
    randomise(layer)
    total = 0.0
    for weight in layer.linear.weight.detach().numpy():
        for i in range(5):
            for j in range(5):
                total += (math.fsum(weight[i] * weight[j]) - (i == j)) ** 2
    assert layer.linear.penalty().item() == pytest.approx(0.7 * total / (3 * 5 * 5))


@pytest.mark.parametrize(("name", "per_layer"), [*((name, 1) for name in TRAINABLE[:4]), ("relu", 0), ("hedgehog", 0)])
def test_every_layer_of_every_block_is_penalised_once(name, per_layer):
    network = Tfk(8, 6, 3, 2, feature_map=name, feature_layers=2)
    assert sum(isinstance(module, OrthogonalLinear) for module in network.modules()) == 3 * 2 * per_layer


@pytest.mark.parametrize("name", ["ffn", "oglu"])
def test_dropout_is_on_the_input_of_each_layer(name):
    """With all of the last layer's input dropped, every feature is that of zero."""
    features = make_map(name, num_layers=2, dropout=0.25)
    x = torch.randn(2, 64, 50, 16, generator=torch.Generator().manual_seed(0))
    assert [part.p for part in features.modules() if isinstance(part, Dropout)] == [0.25, 0.25]
    assert torch.equal(features.eval()(x), features(x))
    assert not torch.equal(features.train()(x), features(x))
    features[1].dropout.p = 1.0
    of_zero = math.log(2) * (0.5 if name == "oglu" else 1.0)
    torch.testing.assert_close(features(x), torch.full_like(x, of_zero))


def test_elu_has_no_layers_to_stack():
    with pytest.raises(ValidationError, match="feature_layers: 2, but feature_map elu has no layers; use 1"):
        TfkConfig(feature_map="elu", feature_layers=2)
    assert TfkConfig(feature_map="elu").feature_layers == 1
