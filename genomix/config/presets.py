"""The presets: what differs from the defaults of the schema, by name."""

from __future__ import annotations

from typing import Any

from genomix.config.encoders import ENCODER_SECTIONS


def _peer(name: str) -> dict[str, Any]:
    """Return an encoder between the stem and the pooling of the default preset, at the usual rate of Adam."""
    return {"model": {"encoder": {"name": name}}, "training": {"learning_rate": 1e-3}}


PRESETS: dict[str, dict[str, Any]] = {
    "paramixer": {},
    "paramixer-cdil": {"model": {"encoder": {"protocol": "cdil"}}},
    "paramixer-paper": {
        "model": {
            "max_length": 16384,
            "padding": "token",
            "embedding": {"dim": 32, "position": "learned", "dropout": 0.2},
            "stem": None,
            "encoder": {
                "dim": 32,
                "hidden_dim": 128,
                "num_layers": 1,
                "protocol": "chord",
                "residual": "step",
                "link_scale": 1.0,
                "normalise": False,
                "input_dropout": 0.2,
                "dropout": 0.8,
            },
            "pooling": "flatten",
            "head": {"norm": "none"},
            "composition": None,
        },
        "training": {
            "learning_rate": 1e-4,
            "weight_decay": 0.0,
            "warmup_fraction": 0.0,
            "schedule": "constant",
            "batch_records": 16,
            "reverse_complement": False,
            "mask_fraction": 0.0,
        },
        "prediction": {"long": "crop", "strands": "forward"},
    },
    "psf": {"model": {"encoder": {"residual": "input"}}},
    **{name: _peer(name) for name in ENCODER_SECTIONS if name not in ("paramixer", "cnn")},
    "cnn": {
        "model": {
            "embedding": {"dim": 100},
            "stem": None,
            "encoder": {"name": "cnn", "dim": 100},
            "pooling": "flatten",
            "head": {"norm": "none"},
            "composition": None,
        },
        "training": {"learning_rate": 1e-3, "weight_decay": 0.0, "mask_fraction": 0.0},
    },
    "kmer": {"model": {"kind": "kmer"}, "prediction": {"long": "whole", "strands": "forward"}},
}
