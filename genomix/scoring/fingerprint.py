"""What decides the rows that a scorer gives: its models, and how they are applied."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator

import numpy as np
import torch

import genomix
from genomix.nn.simd import LANES
from genomix.scoring.answers import Answers
from genomix.scoring.ensemble import AnyScorer
from genomix.scoring.scorer import Scorer


def fingerprint(scorer: AnyScorer) -> str:
    """Return the sha256 of all that a scorer knows: weights, configuration, classes, calibration, training records."""
    digest = hashlib.sha256()
    for member in scorer.members:
        for name, array in _arrays(member):
            digest.update(f"{name} {array.dtype} {array.shape};".encode())
            digest.update(np.ascontiguousarray(array).data)
        calibration = member.calibration
        stated = {
            "config": member.model.config.model.model_dump(mode="json"),
            "classes": member.classes,
            "multi_label": member.model.is_multi_label,
            "levels": member.model.config.data.levels,
            "shortest": member.model.meta.train_lengths.min,
            "temperature": None if calibration is None else calibration.temperature,
        }
        digest.update(json.dumps(stated, sort_keys=True).encode())
    return digest.hexdigest()


def describe_settings(scorer: AnyScorer, answers: Answers) -> dict[str, str]:
    """Return what was asked of a scorer, each by the name of its option."""
    members = scorer.members

    def of_all(values: list[object]) -> str:
        return ", ".join(dict.fromkeys(map(str, values)))

    return {
        "--long": of_all([member.long for member in members]),
        "--strands": of_all([member.strands for member in members]),
        "--stride": of_all([member.stride for member in members]),
        "--batch-bases": of_all([member.batch_bases for member in members]),
        "--no-calibration": of_all([not member.calibrated for member in members]),
        "--min-confidence": str(answers.min_confidence),
        "--coverage": "None" if answers.highest_score is None else f"scores up to {answers.highest_score!r}",
        "version of genomix": genomix.__version__,
    }


def describe_machine(scorer: AnyScorer) -> str:
    """Return on what is computed, as far as the last digits depend on it."""
    device = scorer.members[0].device
    if device == "cuda":
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    return f"{device} {platform.machine()}, vectors of {LANES} floats, torch {torch.__version__}"


def _arrays(member: Scorer) -> Iterator[tuple[str, np.ndarray]]:
    for name, tensor in sorted(member.model.classifier.state_dict().items()):
        yield name, tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    if member.model.composition is not None:
        for name, tensor in sorted(member.model.composition.state_dict().items()):
            yield f"composition.{name}", tensor.contiguous().reshape(-1).view(torch.uint8).numpy()
    reference = member.model.reference
    if reference is not None:
        yield from reference.composition._asdict().items()
        yield "lengths", reference.lengths
        yield "limits", reference.limits
