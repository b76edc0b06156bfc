"""Small models with random weights in float64, and records to explain with them."""

from pathlib import Path

import numpy as np
import torch

from genomix.checkpoint import Lengths, Meta, Model
from genomix.config import make_config
from genomix.nn.build import build_classifier

MAX_LENGTH = 64
SMALL = {
    "model.max_length": MAX_LENGTH,
    "model.embedding.dim": 8,
    "model.encoder.dim": 8,
    "model.encoder.hidden_dim": 8,
}


def make_meta(classes=("a", "b", "c")):
    return Meta(
        classes=list(classes),
        train_lengths=Lengths(min=20, median=30, max=40),
        num_parameters=1,
        created="2026-01-01T00:00:00+00:00",
        versions={},
        inputs={},
        command=[],
        training={},
    )


def make_model(preset="paramixer", *, seed=0, classes=("a", "b", "c"), **overrides):
    """Return a model of random weights: those of its links large enough for every factor to matter."""
    allowed = {} if preset == "kmer" else dict(SMALL)
    if preset == "cdil-cnn":
        del allowed["model.encoder.hidden_dim"]
    config = make_config(preset, overrides=allowed | overrides)
    classifier = build_classifier(config.model, len(classes)).double().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in classifier.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.randn(tensor.shape, generator=generator) * 0.3
                tensor.copy_(noise.abs() + 0.5 if name.endswith(("running_var", "scale")) else noise)
    return Model(classifier, config, make_meta(classes), Path("nowhere"))


def random_tokens(length, seed=0, unknown=0.04):
    rng = np.random.default_rng(seed)
    return rng.choice(5, size=length, p=[*[(1 - unknown) / 4] * 4, unknown]).astype(np.uint8)
