"""What is searched, as data: the values each setting may take, for each encoder and for all of them.

A key is that of the configuration; those of an encoder are written without `model.encoder.` before them. The default of
a preset always belongs to what is searched, see `genomix.tune.searched`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included: whole ones if both are.

    Attributes:
        low, high: The ends.
        log: Draw evenly in the logarithm.
        step: Between two values; None for any.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the values are whole numbers."""
        return all(isinstance(number, int) for number in (self.low, self.high, self.step or 1))


@dataclass(frozen=True)
class Choices:
    """Values without an order."""

    values: tuple[Any, ...]


Parameter = Range | Choices

SHARED: dict[str, Parameter] = {
    "training.learning_rate": Range(1e-4, 1e-2, log=True),
    "training.weight_decay": Range(1e-4, 0.3, log=True),
    "training.mask_fraction": Range(0.0, 0.3),
    "training.label_smoothing": Range(0.0, 0.2),
    "training.ema_decay": Choices((0.0, 0.99, 0.995, 0.999)),
    "training.batch_records": Range(16, 128, log=True),
    "model.stem.base_dim": Range(16, 64, step=16),
    "model.pooling": Choices(("mean", "max", "mean-max", "regions", "attention")),
    "model.head.dropout": Range(0.0, 0.5),
}

_DIM: dict[str, Parameter] = {"dim": Range(32, 128, step=32), "dropout": Range(0.0, 0.4)}
_LAYERED: dict[str, Parameter] = {**_DIM, "hidden_dim": Range(64, 256, step=64), "num_layers": Range(1, 4)}
_ATTENTION: dict[str, Parameter] = {**_LAYERED, "num_heads": Choices((1, 2, 4, 8))}

ENCODERS: dict[str, dict[str, Parameter]] = {
    "paramixer": {
        **_DIM,
        "hidden_dim": Range(32, 256, step=32),
        "num_layers": Range(1, 4),
        "protocol": Choices(("chord", "cdil")),
        "residual": Choices(("step", "input")),
        "link_scale": Range(0.01, 1.0, log=True),
    },
    "transformer": _ATTENTION,
    "sparse-transformer": {
        **_ATTENTION,
        "pattern": Choices(("strided", "fixed")),
        "stride": Choices((32, 64, 128, 256)),
        "num_summaries": Choices((8, 16, 32)),
    },
    "longformer": {**_ATTENTION, "window": Choices((64, 128, 256, 512)), "num_global": Range(0, 4)},
    "bigbird": {**_ATTENTION, "block": Choices((16, 32, 64, 128)), "num_random": Range(1, 4)},
    "linformer": {**_ATTENTION, "projected_length": Choices((64, 128, 256))},
    "reformer": {**_ATTENTION, "chunk": Choices((32, 64, 128)), "num_hashes": Range(1, 4)},
    "performer": {**_ATTENTION, "num_features": Choices((32, 64, 128))},
    "linear-transformer": _ATTENTION,
    "rfa": {**_ATTENTION, "num_features": Choices((32, 64, 128))},
    "nystromformer": {**_ATTENTION, "num_landmarks": Choices((16, 32, 64)), "width": Choices((0, 17, 33, 65))},
    "transformer-ls": {**_ATTENTION, "window": Choices((64, 128, 256)), "rank": Choices((8, 16, 32))},
    "tfk": {
        **_ATTENTION,
        "feature_map": Choices(("ffn", "linear", "oglu", "a-oglu", "hedgehog")),
        "feature_layers": Range(1, 2),
        "feature_dropout": Range(0.0, 0.3),
        "orthogonality": Range(1e-3, 0.1, log=True),
    },
    "memory-compressed": {**_ATTENTION, "compression": Range(2, 6)},
    "induced": {**_ATTENTION, "num_inducing": Choices((16, 32, 64))},
    "conv-transformer": {**_ATTENTION, "num_convolutions": Range(1, 4), "width": Choices((3, 5, 7, 9))},
    "chordmixer": {**_DIM, "hidden_dim": Range(64, 256, step=64)},
    "cdil-cnn": {**_DIM, "num_layers": Choices((None, 6, 8, 10))},
    "cnn": {
        "channels": Choices(((16, 8, 4), (32, 16, 8), (64, 32, 16))),
        "width": Choices((6, 8, 12, 16)),
        "dropout": Range(0.0, 0.4),
    },
    "hyena": {**_LAYERED, "order": Range(2, 3), "filter_dim": Choices((32, 64, 128))},
    "mamba": {
        **_DIM,
        "num_layers": Range(1, 4),
        "state_dim": Choices((16, 32, 64)),
        "expand": Range(1, 2),
        "head_dim": Choices((16, 32)),
    },
}

KMER: dict[str, Parameter] = {
    "model.k": Range(3, 8),
    "model.inverse_regularisation": Range(1e-3, 1e2, log=True),
    "model.strands": Choices(("canonical", "forward")),
    "model.features": Choices(("frequencies", "roots")),
}
