"""The presets: what differs from the defaults of the schema, by name."""

from __future__ import annotations

from typing import Any

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
        },
        "training": {
            "learning_rate": 1e-4,
            "weight_decay": 0.0,
            "warmup_fraction": 0.0,
            "schedule": "constant",
            "batch_records": 16,
            "reverse_complement": False,
        },
        "prediction": {"long": "crop", "strands": "forward"},
    },
    "kmer": {"model": {"kind": "kmer"}, "prediction": {"long": "whole", "strands": "forward"}},
}
