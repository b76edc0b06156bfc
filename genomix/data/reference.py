"""What the training records are like, so that a record unlike them can be told; and the file that keeps it.

Shapes: F canonical 4-mers, L lengths at which there is a limit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genomix.data.composition import NUM_KMERS, Composition
from genomix.data.seen import Seen
from genomix.errors import DataError
from genomix.files import atomic_path

FEWEST_KMERS = 32
"""Known 4-mers in a record below which nothing is said of it."""
SCHEMA_VERSION = 1
STATED = "reference"
"""The entry of the file's meta data."""


class Distance(NamedTuple):
    """How far a record's composition lies from the training records (about 1 is usual), and what is far."""

    value: float
    limit: float


@dataclass(frozen=True)
class Reference:
    """The composition of the training records.

    Attributes:
        composition: Distribution of their frequencies of canonical 4-mers.
        lengths: Numbers of 4-mers at which there is a limit, rising (L,).
        limits: Distances that records of the same kind rarely exceed (L,).
        num_records: Training records it was fitted to.
        seen: By which near-duplicates of the training records are told; None where there is too much to remember.
    """

    composition: Composition
    lengths: np.ndarray
    limits: np.ndarray
    num_records: int
    seen: Seen | None = None

    def distance(self, counts: np.ndarray) -> Distance | None:
        """Return how far a record lies by its counts (F,); None where too few of its 4-mers are known."""
        total = counts.sum()
        if total < FEWEST_KMERS:
            return None
        limit = np.interp(np.log(total), np.log(self.lengths), self.limits)
        return Distance(float(self.composition.distances(counts[None])[0]), float(limit))


def save_reference(path: Path, reference: Reference) -> None:
    """Write a reference as safetensors, which hold numbers only.

    Raises:
        CannotWriteError: If it cannot be written.
    """
    from safetensors.numpy import save_file

    tensors = reference.composition._asdict() | {"lengths": reference.lengths, "limits": reference.limits}
    stated: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "num_records": reference.num_records}
    if (seen := reference.seen) is not None:
        tensors |= {"hashes": seen.hashes, "starts": seen.starts}
        stated |= {"k": seen.k, "fraction": seen.fraction}
    arrays = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(arrays, temporary, {STATED: json.dumps(stated)})  # several entries would come in any order


def read_reference(path: Path) -> Reference:
    """Read what `save_reference` wrote.

    Raises:
        DataError: If the file is damaged, or was written by a newer version.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as content:
            stated = json.loads((content.metadata() or {})[STATED])
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 (no mapping)
        if stated["schema_version"] > SCHEMA_VERSION:
            raise DataError(f"{path}: written by a newer genomix (schema {stated['schema_version']}); update genomix")
        seen = None
        if "hashes" in tensors:
            seen = Seen(stated["k"], stated["fraction"], tensors.pop("hashes"), tensors.pop("starts"))
        composition = Composition(*(tensors.pop(name) for name in Composition._fields))
        reference = Reference(composition, num_records=stated["num_records"], seen=seen, **tensors)
        _check(reference)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: damaged, or no reference of training records ({error!r}); copy it again") from error
    return reference


def _check(reference: Reference) -> None:
    mean, directions, between = reference.composition
    num_limits = len(reference.lengths)
    expected = [(NUM_KMERS,), (NUM_KMERS, NUM_KMERS), (NUM_KMERS,), (num_limits,), (num_limits,)]
    arrays = [mean, directions, between, reference.lengths, reference.limits]
    if not num_limits or [array.shape for array in arrays] != expected:
        raise ValueError(f"shapes {[array.shape for array in arrays]}")
    is_rising = reference.lengths[0] >= 1 and (np.diff(reference.lengths) > 0).all()
    if not all(np.isfinite(array).all() for array in arrays) or (between < 0).any() or not is_rising:
        raise ValueError("values that cannot be")
    if (seen := reference.seen) is not None:
        kinds = seen.hashes.dtype, seen.starts.dtype, seen.hashes.ndim, seen.starts.ndim
        if kinds != (np.uint64, np.int64, 1, 1) or len(seen.starts) < 2 or not 0 < seen.fraction <= 1 <= seen.k <= 31:
            raise ValueError("no sketches")
        if (seen.starts[0], seen.starts[-1]) != (0, len(seen.hashes)) or (np.diff(seen.starts) < 0).any():
            raise ValueError("sketches of other lengths")
