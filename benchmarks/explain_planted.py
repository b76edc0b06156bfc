"""Is a planted motif found? ROC AUC of the size of attributions at its bases against all others, for each method.

    python benchmarks/explain_planted.py

Records of random DNA hold a motif or do not, at any place; a network learns which. The records that are explained are
new ones, with the motif. The AUC is taken in each record and averaged; the interval is that of 2,000 resamples of them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from genomix.checkpoint import Lengths, Meta, Model
from genomix.config import make_config
from genomix.data.simulate import draw_motifs
from genomix.explain import Explainer, Saliency
from genomix.explain.reading import Reading
from genomix.nn.build import build_classifier
from genomix.runtime import set_threads

CLASSES = ["without", "with"]
MOTIF_BP = 12
METHODS: list[dict[str, Any]] = [
    {"method": "mutagenesis"},
    *({"method": "gradient", "baseline": baseline} for baseline in ("shuffled", "uniform", "unknown")),
    {"method": "mixing"},
]


class Planted(NamedTuple):
    """Random DNA, half of it with a motif.

    Attributes:
        tokens: (R, N) uint8.
        targets: 1 where there is a motif (R,).
        places: Where it begins (R,), or would.
    """

    tokens: np.ndarray
    targets: np.ndarray
    places: np.ndarray


def plant(num_records: int, length: int, motif: np.ndarray, rng: np.random.Generator) -> Planted:
    """Draw records of `length` bp."""
    tokens = rng.integers(0, 4, (num_records, length), dtype=np.uint8)
    targets = np.arange(num_records) % 2
    places = rng.integers(0, length - len(motif), num_records, endpoint=True)
    for i in np.flatnonzero(targets):
        tokens[i, places[i] : places[i] + len(motif)] = motif
    return Planted(tokens, targets, places)


def untrained(preset: str, length: int, **overrides: Any) -> Model:
    """Return a preset at a small size, with random weights."""
    small = {"model.max_length": length, "model.encoder.dim": 32, "model.encoder.hidden_dim": 32}
    config = make_config(preset, overrides=small | overrides)
    meta = Meta(
        classes=CLASSES,
        train_lengths=Lengths(min=length, median=length, max=length),
        num_parameters=0,
        created="",
        versions={},
        inputs={},
        command=[],
        training={},
    )
    return Model(build_classifier(config.model, len(CLASSES)), config, meta, Path(preset))


def train(model: Model, length: int, motif: np.ndarray, *, steps: int, seed: int, batch: int = 32) -> float:
    """Train on records drawn anew in each step; return the accuracy on 400 others."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = model.classifier.train()
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.1)
    for _ in range(steps):
        drawn = plant(batch, length, motif, rng)
        loss = nn.functional.cross_entropy(network(*_inputs(drawn)), torch.from_numpy(drawn.targets))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    network.eval()
    drawn = plant(400, length, motif, rng)
    with torch.inference_mode():
        return float((network(*_inputs(drawn)).argmax(1).numpy() == drawn.targets).mean())


def tracks(explainer: Explainer, planted: Planted, motif_bp: int) -> Iterator[tuple[np.ndarray, Saliency]]:
    """Yield, of each record with the motif, which bases are its own (N,) bool, and what was found."""
    for i in np.flatnonzero(planted.targets):
        tokens, place = planted.tokens[i], planted.places[i]
        own = np.zeros(len(tokens), bool)
        own[place : place + motif_bp] = True
        yield own, explainer.explain(Reading(f"r{i}", len(tokens), tokens, 0, 0, len(tokens)))[2]


def areas(explainer: Explainer, planted: Planted, motif_bp: int) -> dict[str, np.ndarray]:
    """Return the AUC of the size of each track in each record with the motif, by the name of the track."""
    found: dict[str, list[float]] = {}
    for own, saliency in tracks(explainer, planted, motif_bp):
        for name, values in saliency.tracks.items():
            found.setdefault(name, []).append(float(roc_auc_score(own, np.abs(values))))
    return {name: np.array(each) for name, each in found.items()}


def _inputs(drawn: Planted) -> tuple[torch.Tensor, torch.Tensor]:
    num_records, length = drawn.tokens.shape
    return torch.from_numpy(drawn.tokens), torch.full((num_records,), length)


def _interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    means = rng.choice(values, (2000, len(values))).mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def main() -> None:
    """Train, explain, and print a row for each network, method and track."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length", type=int, default=256, help="bp of a record")
    parser.add_argument("--steps", type=int, default=600, help="of the training")
    parser.add_argument("--explained", type=int, default=30, help="records with the motif that are explained")
    parser.add_argument("--presets", nargs="+", default=["paramixer", "paramixer-cdil"])
    parser.add_argument("--stems", nargs="+", type=int, default=[4, 1], help="strides of the stem")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    set_threads(1)
    motif = draw_motifs(MOTIF_BP, np.random.default_rng([options.seed, 1]))[0]
    planted = plant(2 * options.explained, options.length, motif, np.random.default_rng([options.seed, 2]))
    print("| network | accuracy | method | track | AUC (95 % interval) | seconds a record |\n|---|---|---|---|---|---|")
    for preset in options.presets:
        for stride in options.stems:
            model = untrained(preset, options.length, **{"model.stem.stride": stride})
            accuracy = train(model, options.length, motif, steps=options.steps, seed=options.seed)
            for ways in METHODS:
                began = time.monotonic()
                found = areas(Explainer(model, label="with", **ways), planted, MOTIF_BP)
                seconds = (time.monotonic() - began) / options.explained
                name = ", ".join(ways.values())
                for track, values in found.items():
                    low, high = _interval(values, options.seed)
                    row = f"{name} | {track} | {values.mean():.3f} ({low:.3f} to {high:.3f}) | {seconds:.2f}"
                    print(f"| {preset}, {stride} bp a position | {accuracy:.3f} | {row} |", flush=True)


if __name__ == "__main__":
    main()
