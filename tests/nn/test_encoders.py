"""What must hold of every encoder, whatever its formula."""

import pytest
import torch
from networks import (
    DEFAULTS,
    LENGTHS,
    MOST,
    assert_every_base_matters,
    assert_gradients,
    assert_records_are_alone,
    assert_weights_survive_the_disk,
    make,
    make_batch,
    settings_of,
    small_values,
)
from torch.nn.functional import cross_entropy

from genomix.config import ENCODER_SECTIONS, make_config
from genomix.nn.build import ENCODERS, build_classifier

EVERY_ENCODER = pytest.mark.parametrize("name", ENCODERS)
LOCAL = {"cnn"}
"""What sees a neighbourhood only, so that the first position does not stand for the record."""


def make_alone(name, **more):
    """An encoder between embedding and pooling, without a stem, its weights anything."""
    return make(encoder={"name": name}, stem="none", **more)


def test_every_section_has_its_encoder():
    assert set(ENCODERS) == set(ENCODER_SECTIONS)


@EVERY_ENCODER
def test_every_encoder_says_where_it_comes_from_and_what_it_costs(name):
    assert ENCODER_SECTIONS[name].SOURCE
    assert "N" in ENCODER_SECTIONS[name].COST


@EVERY_ENCODER
@pytest.mark.parametrize("length", LENGTHS)
def test_learns_from_records_of_any_length(name, length):
    assert_gradients(make_alone(name), *make_batch([length]))


@EVERY_ENCODER
@pytest.mark.parametrize("stem", ["none", "stride 4"])
@pytest.mark.parametrize("pooling", ["mean", "cls", "flatten"])
def test_gives_a_record_the_same_in_any_company(name, stem, pooling, tmp_path):
    network = make(encoder={"name": name}, stem=stem, pooling=pooling)
    assert_records_are_alone(network, *make_batch())
    assert_weights_survive_the_disk(network, *make_batch(), tmp_path / "model.safetensors")


@EVERY_ENCODER
@pytest.mark.parametrize("pooling", ["mean", "max", "attention", "cls", "flatten"])
def test_gradients_reach_every_parameter(name, pooling):
    assert_gradients(make_alone(name, pooling=pooling), *make_batch())


@EVERY_ENCODER
@pytest.mark.parametrize("pooling", ["mean", "flatten"])
def test_every_base_matters(name, pooling):
    assert_every_base_matters(make_alone(name, pooling=pooling))


@EVERY_ENCODER
def test_sees_both_directions(name):
    """The first position feels the last base, and the last position the first, where the encoder reaches that far."""
    length = 8 if name in LOCAL else 32
    network = make_alone(name, pooling="flatten")
    tokens, lengths = make_batch([length])

    def encode(tokens):
        encoded = []
        handle = network.encoder.register_forward_hook(lambda _, __, output: encoded.append(output[0]))
        with torch.inference_mode():
            network(tokens, lengths)
        handle.remove()
        return encoded[0]

    before = encode(tokens)
    for changed_place, felt_place in ((0, -1), (length - 1, 0)):
        changed = tokens.clone()
        changed[0, changed_place] = (changed[0, changed_place] + 1) % 4
        assert not torch.equal(encode(changed)[felt_place], before[felt_place])


@EVERY_ENCODER
def test_position_bound_is_what_refuses_longer_records(name):
    config = make_config(overrides=settings_of(**(DEFAULTS | {"encoder": {"name": name}, "stem": "none"})))
    network = build_classifier(config.model, 2).eval()
    try:
        network(*make_batch([MOST + 8]))
        refused = False
    except ValueError:
        refused = True
    assert config.model.is_position_bound == refused == ENCODER_SECTIONS[name].POSITION_BOUND


@EVERY_ENCODER
def test_trains_in_bfloat16(name):
    network = make_alone(name)
    batch = make_batch()
    with torch.inference_mode():
        whole = network(*batch)
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(network(*batch).float(), whole, rtol=0.1, atol=0.3)
    with torch.autocast("cpu", torch.bfloat16):
        assert_gradients(network, *batch)


def build_small(name, max_length, **more):
    """As a user gets it: initialised by its own rules, small."""
    overrides = {"model.max_length": max_length} | {
        f"model.encoder.{key}": value for key, value in small_values(name).items()
    }
    config = make_config(name, overrides=overrides | more)
    if config.model.stem is None:
        config.model.encoder.dim = config.model.embedding.dim
    return build_classifier(config.model, 2)


@EVERY_ENCODER
def test_learns_thirty_two_random_records_by_heart(name):
    torch.manual_seed(0)
    network = build_small(name, 64, **{"model.encoder.dim": 32})
    tokens, lengths = torch.randint(0, 4, (32, 64)), torch.randint(40, 65, (32,))
    targets = torch.arange(32) % 2
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=0.0)
    for _ in range(300):
        loss = cross_entropy(network(tokens, lengths), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 1e-3:
            break
    assert loss.item() < 0.01
    with torch.inference_mode():
        assert torch.equal(network.eval()(tokens, lengths).argmax(1), targets)


@EVERY_ENCODER
def test_same_seed_gives_the_same_weights(name):
    def train():
        torch.manual_seed(7)
        network = build_small(name, 64, **{"model.encoder.dropout": 0.1})
        tokens, lengths = torch.randint(0, 4, (4, 64)), torch.tensor([64, 40, 33, 9])
        optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
        for _ in range(3):
            cross_entropy(network(tokens, lengths), torch.arange(4) % 2).backward()
            optimizer.step()
        return network.state_dict()

    torch.use_deterministic_algorithms(True)
    try:
        first, second = train(), train()
    finally:
        torch.use_deterministic_algorithms(False)
    for key in first:
        assert torch.equal(first[key], second[key]), key
