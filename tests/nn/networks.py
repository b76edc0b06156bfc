"""Small networks of every kind, batches for them, and what must hold of each."""

import copy

import torch
from torch.nn.functional import cross_entropy

from genomix.checkpoint import load_weights, save_weights
from genomix.config import ENCODER_SECTIONS, make_config
from genomix.nn import build
from genomix.nn.build import build_classifier

LENGTHS = [1, 2, 3, 7, 17, 64, 100, 257]
MOST = max(LENGTHS)
NUM_CLASSES = 3
POOLINGS = ["mean", "max", "mean-max", "regions", "attention", "cls", "flatten"]
POSITIONS = ["none", "learned", "sinusoidal"]
STEMS = ["none", "stride 1", "stride 4"]
PARAMIXERS = [{"name": "paramixer", "protocol": protocol} for protocol in ("chord", "cdil")]
DEFAULTS = {"encoder": PARAMIXERS[0], "pooling": "mean", "position": "none", "stem": "stride 4"}
SMALL = {
    "sparse-transformer": {"stride": 8, "num_summaries": 2},
    "longformer": {"window": 8},
    "bigbird": {"block": 4},
    "linformer": {"projected_length": 16},
    "reformer": {"chunk": 8},
    "performer": {"num_features": 16},
    "rfa": {"num_features": 16},
    "nystromformer": {"num_landmarks": 8, "width": 5},
    "transformer-ls": {"window": 8, "rank": 4},
    "tfk": {"feature_layers": 2},
    "induced": {"num_inducing": 4},
    "conv-transformer": {"num_convolutions": 2},
    "chordmixer": {"dim": 24},
    "cnn": {"channels": [8, 4], "width": 6},
    "hyena": {"filter_dim": 8},
    "mamba": {"state_dim": 4, "head_dim": 4, "chunk": 8},
}
"""Sizes at which the parts of an encoder are smaller than the longest of `LENGTHS`, so that all of it is at work."""


def small_values(name):
    """Small values for the section of an encoder."""
    small = {"dim": 8, "hidden_dim": 8, "num_heads": 2}
    return {key: value for key, value in small.items() if key in ENCODER_SECTIONS[name].model_fields} | SMALL.get(
        name, {}
    )


def settings_of(encoder, pooling, position, stem, **more):
    small = {"model.max_length": MOST}
    small |= {f"model.encoder.{key}": value for key, value in (small_values(encoder["name"]) | encoder).items()}
    small |= {"model.pooling": pooling, "model.embedding.position": position}
    small["model.embedding.dim"] = small["model.encoder.dim"] if stem == "none" else 4
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


def assert_every_base_matters(network):
    tokens, lengths = make_batch([MOST])
    with torch.inference_mode():
        before = network(tokens, lengths)
        for place in (0, 1, 100, MOST - 2, MOST - 1):
            changed = tokens.clone()
            changed[0, place] = (changed[0, place] + 1) % 4
            assert not torch.equal(network(changed, lengths), before)


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
