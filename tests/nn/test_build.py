"""Every network that a configuration can ask for: gradients, weights on disk, and no say for padding or batches."""

import pytest
import torch
from networks import (
    LENGTHS,
    MOST,
    PARAMIXERS,
    POOLINGS,
    POSITIONS,
    STEMS,
    assert_every_base_matters,
    assert_gradients,
    assert_records_are_alone,
    assert_weights_survive_the_disk,
    make,
    make_batch,
    settings_of,
)
from torch import nn

from genomix.config import PRESETS, make_config
from genomix.errors import UsageError
from genomix.nn import build
from genomix.nn.build import build_classifier


def label(chosen):
    return "-".join(chosen.values())


EVERY_PARAMIXER = pytest.mark.parametrize("encoder", PARAMIXERS, ids=label)


@EVERY_PARAMIXER
@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("length", LENGTHS)
def test_encoder_learns_from_records_of_any_length(encoder, stem, length):
    assert_gradients(make(encoder=encoder, stem=stem), *make_batch([length]))


@EVERY_PARAMIXER
@pytest.mark.parametrize("stem", STEMS)
def test_encoder_gives_a_record_the_same_in_any_company(encoder, stem):
    assert_records_are_alone(make(encoder=encoder, stem=stem), *make_batch())


@EVERY_PARAMIXER
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("position", POSITIONS)
def test_gradients_reach_every_parameter(encoder, pooling, position):
    assert_gradients(make(encoder=encoder, pooling=pooling, position=position), *make_batch())


@EVERY_PARAMIXER
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize(("position", "stem"), list(zip(POSITIONS, STEMS, strict=True)))
def test_weights_survive_the_disk(encoder, pooling, position, stem, tmp_path):
    network = make(encoder=encoder, pooling=pooling, position=position, stem=stem)
    assert_weights_survive_the_disk(network, *make_batch(), tmp_path / "model.safetensors")


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("stem", STEMS)
def test_record_gets_the_same_in_any_company(pooling, position, stem):
    assert_records_are_alone(make(pooling=pooling, position=position, stem=stem), *make_batch())


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("stem", STEMS)
def test_padding_counted_as_tokens_is_the_same_in_any_company(pooling, stem, tmp_path):
    network = make(pooling=pooling, position="learned", stem=stem, **{"model.padding": "token"})
    batch = make_batch()
    assert_records_are_alone(network, *batch)
    assert_weights_survive_the_disk(network, *batch, tmp_path / "model.safetensors")
    assert_gradients(network, *batch)


def test_padding_counted_as_tokens_shows_the_length():
    network = make(**{"model.padding": "token"})
    tokens, _ = make_batch([64])
    filled = network(torch.nn.functional.pad(tokens, (0, MOST - 64), value=5), torch.tensor([MOST]))
    torch.testing.assert_close(network(tokens, torch.tensor([64])), filled, rtol=1e-5, atol=1e-5)
    masked = make()
    masked.load_state_dict(network.state_dict())
    assert not torch.allclose(masked(tokens, torch.tensor([64])), filled, atol=1e-3)


@pytest.mark.parametrize("norm", ["none", "layer", "batch"])
@pytest.mark.parametrize("pooling", ["mean", "flatten"])
def test_head_norms(norm, pooling, tmp_path):
    network = make(pooling=pooling, **{"model.head.norm": norm})
    batch = make_batch()
    assert_records_are_alone(network, *batch)
    assert_weights_survive_the_disk(network, *batch, tmp_path / "model.safetensors")
    assert_gradients(network, *batch)


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("lengths", [[64], LENGTHS], ids=["one record", "batch"])
def test_networks_train_in_bfloat16(normalise, pooling, lengths):
    network = make(pooling=pooling, **{"model.encoder.normalise": normalise})
    batch = make_batch(lengths)
    with torch.inference_mode():
        whole = network(*batch)
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(network(*batch).float(), whole, rtol=0.1, atol=0.2)
    with torch.autocast("cpu", torch.bfloat16):
        assert_gradients(network, *batch)


@EVERY_PARAMIXER
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("stem", STEMS)
def test_every_base_matters(encoder, pooling, stem):
    assert_every_base_matters(make(encoder=encoder, pooling=pooling, stem=stem))


OPTIONS = {
    "convolutions side by side": {"model.stem.beside": [3, 19]},
    "channels": {"encoder": PARAMIXERS[0] | {"channel_dim": 6}},
    "channels, no norms": {"encoder": PARAMIXERS[1] | {"channel_dim": 6, "normalise": False, "num_layers": 2}},
    "both": {"encoder": PARAMIXERS[0] | {"channel_dim": 6}, "stem": "stride 1", "model.stem.beside": [3, 19]},
}
EVERY_OPTION = pytest.mark.parametrize("chosen", OPTIONS.values(), ids=OPTIONS)


@EVERY_OPTION
def test_options_make_networks_like_the_others(chosen, tmp_path):
    network = make(**chosen)
    batch = make_batch()
    assert_records_are_alone(network, *batch)
    assert_every_base_matters(network)
    assert_weights_survive_the_disk(network, *batch, tmp_path / "model.safetensors")
    assert_gradients(network, *batch)
    with torch.autocast("cpu", torch.bfloat16):
        assert_gradients(network, *batch)


@EVERY_OPTION
def test_options_go_with_both_strands(chosen):
    network = make(**chosen, **{"model.both_strands": True})
    tokens = torch.randint(0, 4, (1, 100), dtype=torch.uint8)
    lengths = torch.tensor([100])
    with torch.inference_mode():
        torch.testing.assert_close(network(3 - tokens.flip(1), lengths), network(tokens, lengths), rtol=1e-4, atol=1e-5)


def test_options_are_off_in_every_preset_and_have_the_sizes_asked_for():
    for preset in PRESETS:
        model = make_config(preset).model
        assert preset == "kmer" or model.stem is None or model.stem.beside == ()
        assert preset == "kmer" or getattr(model.encoder, "channel_dim", 0) == 0
    network = make(**OPTIONS["both"])
    assert [convolution.kernel_size for convolution in network.stem.beside] == [(3,), (19,)]
    (layer,) = network.encoder.layers
    assert [tuple(layer.channel_mlp[i].weight.shape) for i in (0, 2)] == [(6, 8), (8, 6)]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [("stem.beside", [5, 18], "must be odd"), ("encoder.channel_dim", -1, "greater than or equal to 0")],
)
def test_options_that_make_no_network_are_refused(key, value, message):
    with pytest.raises(UsageError, match=rf"model\.{key}: .*{message}"):
        make_config(overrides={f"model.{key}": value})


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"position": "learned", "stem": "none"}, "learned positions"),
        ({"pooling": "flatten", "stem": "none"}, "flatten pooling"),
        ({"pooling": "flatten", "stem": "stride 4"}, "flatten pooling"),
        ({"model.padding": "token"}, f"holds {MOST} bases"),
    ],
)
def test_too_long_a_record_is_an_error_where_there_is_no_room(chosen, message):
    network = make(**chosen)
    with pytest.raises(ValueError, match=message):
        network(*make_batch([MOST + 4]))


def test_records_longer_than_trained_on_are_read_where_nothing_is_bound_to_a_place():
    assert make(position="sinusoidal")(*make_batch([3 * MOST])).isfinite().all()


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("padding", ["mask", "token"])
def test_position_bound_is_what_refuses_longer_records(position, pooling, padding):
    config = make_config(overrides=settings_of(PARAMIXERS[0], pooling, position, "none") | {"model.padding": padding})
    network = build_classifier(config.model, 2).eval()
    try:
        network(*make_batch([MOST + 1]))
        refused = False
    except ValueError:
        refused = True
    assert config.model.is_position_bound == refused


def test_kmer_counts_are_not_position_bound():
    assert not make_config("kmer").model.is_position_bound


def test_undecided_length_is_an_error():
    with pytest.raises(UsageError, match=r"model\.max_length"):
        build_classifier(make_config(overrides={"model.max_length": None}).model, 2)


def test_embedding_and_encoder_must_fit_where_no_stem_stands_between():
    overrides = {"model.max_length": 8, "model.stem": None, "model.embedding.dim": 4, "model.encoder.dim": 8}
    with pytest.raises(UsageError, match="must be equal"):
        build_classifier(make_config(overrides=overrides).model, 2)


@pytest.mark.parametrize("name", ["paramixer", "psf", "transformer"])
@pytest.mark.parametrize("padding", ["mask", "token"])
@pytest.mark.parametrize(
    ("length", "limit"),
    [(65, "the inputs have 64"), (10**9, "the inputs have 64"), (0, "a record has 1"), (-1, "a record has 1")],
)
def test_lengths_outside_the_inputs_are_refused(name, padding, length, limit):
    overrides = {"model.max_length": 128, "model.padding": padding}
    network = build_classifier(make_config(name, overrides=overrides).model, 4).eval()
    tokens = torch.zeros(3, 64, dtype=torch.uint8)
    assert network(tokens, torch.tensor([64, 1, 64])).isfinite().all()
    message = rf"^lengths\[2\] is {length}, but {limit} position"
    for refused in (network, lambda *batch: network.forward_groups([batch])):
        with pytest.raises(ValueError, match=message):
            refused(tokens, torch.tensor([64, 1, length]))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_network(preset):
    overrides = {} if preset == "kmer" else {"model.max_length": 64}
    network = build_classifier(make_config(preset, overrides=overrides).model, 4).eval()
    assert isinstance(network, nn.Module)
    assert network(*make_batch([64, 10])).shape == (2, 4)


def test_tokens_mean_the_same_to_the_readers_and_to_the_networks():
    from genomix.data import vocabulary
    from genomix.nn import classifier, kmer

    assert build.VOCABULARY_SIZE == vocabulary.VOCABULARY_SIZE
    assert classifier.PAD == vocabulary.PAD
    assert vocabulary.UNKNOWN == kmer.NUM_BASES
