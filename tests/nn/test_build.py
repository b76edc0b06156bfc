"""Every network that a configuration can ask for: gradients, weights on disk, and no say for padding or batches."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from genomix.checkpoint import load_weights, save_weights
from genomix.config import make_config
from genomix.errors import UsageError
from genomix.nn import build
from genomix.nn.build import build_classifier, is_position_bound

LENGTHS = [1, 2, 3, 7, 17, 64, 100, 257]
MOST = max(LENGTHS)
NUM_CLASSES = 3
POOLINGS = ["mean", "max", "attention", "cls", "flatten"]
POSITIONS = ["none", "learned", "sinusoidal"]
STEMS = ["none", "stride 1", "stride 4"]
ENCODERS = [{"name": name} for name in build.ENCODERS if name != "paramixer"] + [
    {"name": "paramixer", "protocol": protocol} for protocol in ("chord", "cdil")
]
DEFAULTS = {"encoder": ENCODERS[-2], "pooling": "mean", "position": "none", "stem": "stride 4"}


def settings_of(encoder, pooling, position, stem, **more):
    small = {"model.max_length": MOST, "model.encoder.dim": 8, "model.encoder.hidden_dim": 8}
    small |= {f"model.encoder.{key}": value for key, value in encoder.items()}
    small |= {"model.pooling": pooling, "model.embedding.position": position}
    small["model.embedding.dim"] = 8 if stem == "none" else 4
    small |= {"model.stem": None} if stem == "none" else {"model.stem.stride": int(stem[-1])}
    return small | more


def make(**chosen):
    """A small network with no weight at a special value, such as the zeros that some layers start from."""
    network = build_classifier(make_config(overrides=settings_of(**(DEFAULTS | chosen))).model, NUM_CLASSES)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.randn(tensor.shape, generator=generator) * 0.3
                tensor.copy_(noise.abs() + 0.5 if name.endswith("running_var") else noise)
        network.embedding.tokens.weight[build.VOCABULARY_SIZE - 1] = 0
    return network.eval()


def make_batch(lengths=LENGTHS, seed=0):
    tokens = torch.randint(0, 5, (len(lengths), max(lengths)), generator=torch.Generator().manual_seed(seed))
    outside = torch.arange(max(lengths)) >= torch.tensor(lengths)[:, None]
    return tokens.masked_fill(outside, 5).to(torch.uint8), torch.tensor(lengths)


def assert_gradients(network, tokens, lengths):
    network.train()
    targets = torch.arange(len(tokens)) % NUM_CLASSES
    cross_entropy(network(tokens, lengths), targets).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def assert_weights_survive_the_disk(network, tokens, lengths, path):
    other = copy.deepcopy(network)
    with torch.no_grad():
        for tensor in other.state_dict().values():
            tensor.add_(1)
    save_weights(network, path)
    load_weights(other, path)
    with torch.inference_mode():
        assert torch.equal(other(tokens, lengths), network(tokens, lengths))


def assert_records_are_alone(network, tokens, lengths):
    with torch.inference_mode():
        together = network(tokens, lengths)
        assert together.isfinite().all()
        garbage = torch.randint_like(tokens, 0, 6)
        inside = torch.arange(tokens.shape[1]) < lengths[:, None]
        garbled = network(torch.where(inside, tokens, garbage), lengths)
        alone = torch.cat(
            [network(row[None, :length], torch.tensor([length])) for row, length in zip(tokens, lengths, strict=True)]
        )
        pairs = torch.cat([network(*pair) for pair in zip(tokens.split(2), lengths.split(2), strict=True)])
    for other in (garbled, alone, pairs):
        torch.testing.assert_close(other, together, rtol=1e-5, atol=1e-5)


def label(chosen):
    return "-".join(chosen.values())


EVERY_ENCODER = pytest.mark.parametrize("encoder", ENCODERS, ids=label)


@EVERY_ENCODER
@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("length", LENGTHS)
def test_encoder_learns_from_records_of_any_length(encoder, stem, length):
    assert_gradients(make(encoder=encoder, stem=stem), *make_batch([length]))


@EVERY_ENCODER
@pytest.mark.parametrize("stem", STEMS)
def test_encoder_gives_a_record_the_same_in_any_company(encoder, stem):
    assert_records_are_alone(make(encoder=encoder, stem=stem), *make_batch())


@EVERY_ENCODER
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("position", POSITIONS)
def test_gradients_reach_every_parameter(encoder, pooling, position):
    assert_gradients(make(encoder=encoder, pooling=pooling, position=position), *make_batch())


@EVERY_ENCODER
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


@EVERY_ENCODER
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("stem", STEMS)
def test_every_base_matters(encoder, pooling, stem):
    network = make(encoder=encoder, pooling=pooling, stem=stem)
    tokens, lengths = make_batch([MOST])
    with torch.inference_mode():
        before = network(tokens, lengths)
        for place in (0, 1, 100, MOST - 2, MOST - 1):
            changed = tokens.clone()
            changed[0, place] = (changed[0, place] + 1) % 4
            assert not torch.equal(network(changed, lengths), before)


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
    config = make_config(overrides=settings_of(ENCODERS[0], pooling, position, "none") | {"model.padding": padding})
    network = build_classifier(config.model, 2).eval()
    try:
        network(*make_batch([MOST + 1]))
        refused = False
    except ValueError:
        refused = True
    assert is_position_bound(config.model) == refused


def test_kmer_counts_are_not_position_bound():
    assert not is_position_bound(make_config("kmer").model)


def test_undecided_length_is_an_error():
    with pytest.raises(UsageError, match=r"model\.max_length"):
        build_classifier(make_config(overrides={"model.max_length": None}).model, 2)


def test_embedding_and_encoder_must_fit_where_no_stem_stands_between():
    overrides = {"model.max_length": 8, "model.stem": None, "model.embedding.dim": 4, "model.encoder.dim": 8}
    with pytest.raises(UsageError, match="must be equal"):
        build_classifier(make_config(overrides=overrides).model, 2)


@pytest.mark.parametrize("preset", ["paramixer", "paramixer-cdil", "paramixer-paper", "kmer"])
def test_every_preset_is_a_network(preset):
    overrides = {} if preset == "kmer" else {"model.max_length": 64}
    network = build_classifier(make_config(preset, overrides=overrides).model, 4).eval()
    assert isinstance(network, nn.Module)
    assert network(*make_batch([64, 10])).shape == (2, 4)


def test_tokens_mean_the_same_to_the_readers_and_to_the_networks():
    from genomix.data import vocabulary
    from genomix.nn import build, classifier, kmer

    assert build.VOCABULARY_SIZE == vocabulary.VOCABULARY_SIZE
    assert classifier.PAD == vocabulary.PAD
    assert vocabulary.UNKNOWN == kmer.NUM_BASES
