"""Small models with random weights, and records to score with them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from genomix.checkpoint import Lengths, Meta, Model
from genomix.config import make_config
from genomix.nn.build import build_classifier

MAX_LENGTH = 32
LENGTHS = [1, 2, 31, 32, 33, 5, 64, 65, 100, 32, 7, 200]
SMALL = {
    "model.max_length": MAX_LENGTH,
    "model.embedding.dim": 4,
    "model.encoder.dim": 8,
    "model.encoder.hidden_dim": 8,
}


def make_model(preset="paramixer", path=Path("nowhere"), *, seed=0, classes=("a", "b", "c"), **overrides):
    config = make_config(preset, overrides=({} if preset == "kmer" else SMALL) | overrides)
    classifier = build_classifier(config.model, len(classes)).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in classifier.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.randn(tensor.shape, generator=generator) * 0.3
                tensor.copy_(noise.abs() + 0.5 if name.endswith(("running_var", "scale")) else noise)
    meta = Meta(
        classes=list(classes),
        train_lengths=Lengths(min=20, median=30, max=40),
        num_parameters=1,
        created="2026-01-01T00:00:00+00:00",
        versions={},
        inputs={},
        command=[],
        training={},
    )
    return Model(classifier, config, meta, path)


def random_records(lengths=LENGTHS, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.choice(5, size=length, p=[0.24, 0.24, 0.24, 0.24, 0.04]).astype(np.uint8) for length in lengths]


@dataclass
class Named:
    id: str
    tokens: np.ndarray
    problem: str | None = None
