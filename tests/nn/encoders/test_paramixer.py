"""A whole layer, a whole stack and the published network equal their formulas, factor by factor."""

import pytest
import torch
from checks import assert_dropout_acts_in_training_only, assert_encodes, draw, make_batch, randomise, watch_kept
from dense import linear, normalise, two_layers

from genomix.config import make_config
from genomix.nn.build import build_classifier
from genomix.nn.encoders.paramixer import ChannelLayer, Paramixer, ParamixerLayer
from genomix.nn.mlp import Mlp
from genomix.nn.protocols import count_factors, link_offsets

PAD = 5


def apply_factor(weights, links, values):
    """Row i of the factor has weights[i, k] at column i + links[k], around the ends."""
    return sum(weights[:, [k]] * values.roll(-link, 0) for k, link in enumerate(links))


def encode(network, x, offsets, residual, link_scale=1.0):
    """One record (N, D), by the paper's equations and the ones that the options add to them."""
    normed = network.norm is not None
    inputs = normalise(network.norm, x) if normed else x
    values = x
    for outer in network.layers:
        layer = outer.mixing if isinstance(outer, ChannelLayer) else outer
        start = two_layers(layer.value_mlp, normalise(layer.norm, values) if normed else values)
        mixed = start
        for link_mlp, links in zip(layer.link_mlps, offsets, strict=True):
            weights = link_scale * two_layers(link_mlp, inputs)
            mixed = apply_factor(weights, links, mixed) + (mixed if residual == "step" else start)
        values = values + mixed if normed else mixed
        if isinstance(outer, ChannelLayer):
            values = values + two_layers(outer.channel_mlp, normalise(outer.norm, values) if normed else values)
    if normed:
        values = normalise(network.output_norm, values)
    return values


@pytest.mark.parametrize("protocol", ["chord", "cdil"])
@pytest.mark.parametrize("residual", ["step", "input"])
@pytest.mark.parametrize("normed", [False, True], ids=["paper", "normalised"])
@pytest.mark.parametrize(("num_layers", "link_scale"), [(1, 1.0), (2, 0.3)])
def test_stack_equals_the_dense_formulas(protocol, residual, normed, num_layers, link_scale):
    network = Paramixer(4, 6, num_layers, protocol, 20, residual=residual, normalise=normed, link_scale=link_scale)
    offsets = link_offsets(protocol, count_factors(20))
    randomise(network, scale=0.3)
    assert_encodes(network, lambda x: encode(network, x, offsets, residual, link_scale), [1, 2, 7, 16, 20, 23], 4)


@pytest.mark.parametrize("residual", ["step", "input"])
@pytest.mark.parametrize("normed", [False, True], ids=["paper", "normalised"])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_stack_with_networks_over_the_channels_equals_the_dense_formulas(residual, normed, num_layers):
    options = {"residual": residual, "normalise": normed, "link_scale": 0.3}
    network = Paramixer(4, 6, num_layers, "chord", 20, channel_dim=7, **options)
    offsets = link_offsets("chord", count_factors(20))
    randomise(network, scale=0.3)
    assert [layer.channel_mlp[0].out_features for layer in network.layers] == [7] * num_layers
    assert_encodes(network, lambda x: encode(network, x, offsets, residual, 0.3), [1, 2, 7, 16, 20, 23], 4)


def make_channel_layer(*, normed=True, dropout=0.0):
    mixing = ParamixerLayer(
        4, 6, link_offsets("chord", 4), residual="step", link_scale=0.3, normalise=normed, dropout=0.0, recompute=False
    )
    return randomise(ChannelLayer(mixing, 4, 7, normalise=normed, dropout=dropout))


@pytest.mark.parametrize("normed", [False, True], ids=["paper", "normalised"])
def test_network_over_the_channels_leaves_zeros_behind_a_record(normed):
    lengths = [16, 1, 9]
    x, counts = make_batch(lengths, 4)
    for row, length in zip(make_channel_layer(normed=normed)(x, x, counts), lengths, strict=True):
        assert row[:length].all()
        assert not row[length:].any()


def test_dropout_takes_from_what_the_network_over_the_channels_adds_and_from_nothing_else():
    x, counts = make_batch([16, 9], 4)
    layer = make_channel_layer(dropout=1.0)
    assert torch.equal(layer(x, x, counts), layer.mixing(x, x, counts))
    assert not torch.equal(layer.eval()(x, x, counts), layer.mixing(x, x, counts))
    stack = Paramixer(4, 6, 1, "chord", 16, dropout=0.3, channel_dim=7)
    assert [module.p for module in stack.modules() if isinstance(module, torch.nn.Dropout)] == [0.0, 0.3, 0.3]


@pytest.mark.parametrize("normed", [False, True], ids=["paper", "normalised"])
def test_weights_of_a_stack_without_them_are_drawn_one_after_another(normed):
    torch.manual_seed(1)
    network = Paramixer(4, 6, 2, "chord", 4, normalise=normed, channel_dim=0)
    torch.manual_seed(1)
    drawn = {}
    for layer in (f"layers.{i}." for i in range(2)):
        drawn |= {
            layer + name: Mlp(4, 6, size) for name, size in (("value_mlp", 4), ("link_mlps.0", 3), ("link_mlps.1", 3))
        }
        if normed:
            torch.nn.init.zeros_(drawn[layer + "value_mlp"][2].weight)
            torch.nn.init.zeros_(drawn[layer + "value_mlp"][2].bias)
            drawn[layer + "norm"] = torch.nn.LayerNorm(4)
    if normed:
        drawn |= {"norm": torch.nn.LayerNorm(4), "output_norm": torch.nn.LayerNorm(4)}
    expected = {f"{name}.{key}": one for name, part in drawn.items() for key, one in part.state_dict().items()}
    found = network.state_dict()
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("protocol", ["chord", "cdil"])
def test_factors_and_links_follow_from_the_longest_length(protocol):
    layer = Paramixer(4, 6, 1, protocol, 1000).layers[0]
    assert layer.offsets.tolist() == link_offsets(protocol, 10)
    assert [link_mlp[2].out_features for link_mlp in layer.link_mlps] == [11 if protocol == "chord" else 9] * 10


@pytest.mark.parametrize("residual", ["step", "input"])
@pytest.mark.parametrize("normed", [False, True], ids=["paper", "normalised"])
def test_with_a_link_scale_of_zero_every_factor_is_the_identity(residual, normed):
    network = Paramixer(4, 6, 1, "chord", 16, residual=residual, normalise=normed, link_scale=0.0)
    randomise(network).float()
    x = draw(1, 16, 4).float()
    layer = network.layers[0]
    start = layer.value_mlp(layer.norm(x) if normed else x)
    torch.testing.assert_close(network(x, torch.tensor([16])), network.output_norm(x + start) if normed else start)


@pytest.mark.parametrize("channel_dim", [0, 7])
def test_untrained_normalised_stack_passes_its_input_on(channel_dim):
    x, network = torch.randn(2, 16, 4), Paramixer(4, 6, 3, "chord", 16, normalise=True, channel_dim=channel_dim)
    torch.testing.assert_close(network(x, torch.tensor([16, 16])), network.output_norm(x))


def test_dropout_acts_in_training_only():
    def make(dropout=0.0):
        return Paramixer(8, 8, 1, "chord", 16, input_dropout=dropout, dropout=dropout).double()

    assert_dropout_acts_in_training_only(make, 8)


@pytest.mark.parametrize("dim", [5, 64], ids=["plain", "kernel"])
@pytest.mark.parametrize("residual", ["step", "input"])
@pytest.mark.parametrize("normed", [False, True], ids=["paper", "normalised"])
def test_link_weights_made_again_change_nothing(dim, residual, normed):
    lengths = torch.tensor([200, 1, 63])
    x = draw(3, 200, dim).float()
    outcomes = []
    for recompute in (False, True):
        network = Paramixer(
            dim, 6, 2, "chord", 200, residual=residual, normalise=normed, link_scale=0.3, recompute=recompute
        )
        randomise(network, scale=0.1).float()
        inputs = x.clone().requires_grad_()
        with watch_kept() as sizes:
            out = network(inputs, lengths)
        gradients = torch.autograd.grad(out, [inputs, *network.parameters()], torch.cos(out.detach()))
        outcomes.append((out, gradients, sum(sizes)))
    (kept, kept_gradients, kept_size), (made, made_gradients, made_size) = outcomes
    torch.testing.assert_close(made, kept)
    torch.testing.assert_close(made_gradients, kept_gradients)
    assert kept_size - made_size == 2 * 3 * 200 * 8 * 9  # layers, records, positions, factors, links


@pytest.mark.parametrize("recompute", [None, False, True])
def test_the_configuration_says_whether_link_weights_are_made_again(recompute):
    config = make_config(overrides={"model.max_length": 16, "model.encoder.recompute": recompute}).model
    (layer,) = build_classifier(config, 2).encoder.layers
    assert layer.recompute is bool(recompute)


def paper(max_length=None, num_classes=2):
    overrides = {} if max_length is None else {"model.max_length": max_length}
    return build_classifier(make_config("paramixer-paper", overrides=overrides).model, num_classes).eval()


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_paper_preset_has_the_published_number_of_parameters():
    network = paper()
    g = 32 * 128 + 128 + 128 * 32 + 32
    f = 32 * 128 + 128 + 128 * 15 + 15
    assert count(network.encoder) == g + 14 * f == 94_578
    assert count(network) == 6 * 32 + 16384 * 32 + 94_578 + 16384 * 32 * 2 + 2 == 1_667_636


@pytest.mark.parametrize("max_length", [17, 64])
def test_paper_preset_equals_the_published_network_on_padded_input(max_length):
    torch.manual_seed(max_length)
    network = paper(max_length, num_classes=3)
    lengths = [1, 5, max_length - 1, max_length]
    tokens = torch.randint(0, 5, (len(lengths), max_length))
    found = network(tokens, torch.tensor(lengths)).double()

    network.double()
    offsets = link_offsets("chord", count_factors(max_length))
    for logits, record, length in zip(found, tokens, lengths, strict=True):
        padded = record.clone()
        padded[length:] = PAD
        x = network.embedding.tokens.weight[padded] + network.embedding.positions.weight
        mixed = encode(network.encoder, x, offsets, "step")
        torch.testing.assert_close(logits, linear(network.head[-1], mixed.flatten()), rtol=1e-4, atol=1e-4)


def test_paper_preset_pads_to_its_length_whatever_the_batch_holds():
    network = paper(64)
    tokens = torch.randint(0, 5, (1, 20))
    alone = network(tokens, torch.tensor([20]))
    padded = network(torch.nn.functional.pad(tokens, (0, 30), value=PAD), torch.tensor([20]))
    torch.testing.assert_close(alone, padded, rtol=1e-5, atol=1e-5)


def test_paper_preset_drops_out_where_the_paper_does():
    config = make_config("paramixer-paper").model
    network = build_classifier(config, 2)
    rates = [module.p for module in network.modules() if isinstance(module, torch.nn.Dropout) and module.p]
    assert rates == [0.2, 0.2, 0.8]  # embedded input, the values once more, and before the head
