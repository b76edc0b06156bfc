"""How many records there are, how long, and of what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from genomix.data.checks.base_counts import NUM_BASES, gc_of

if TYPE_CHECKING:
    from genomix.data.checks.examined import Examined


def summarise(examined: Examined) -> dict[str, Any]:
    """Return `all` (one summary), `classes` (one by label), `splits` (one by name, with `classes`: records by label).

    A summary has `records`, `bases`, the lengths `shortest`, `median` and `longest` in bp, `gc` (share of G and C among
    the known bases, None where none is known) and `unknown` (share of N among all).
    """
    records = examined.records
    everything = np.arange(len(examined))
    by_class = {
        label: _summary(examined, places)
        for label, places in zip(records.classes, examined.places_by_class(), strict=True)
    }
    splits = {
        name: _summary(examined, places)
        | {"classes": dict(zip(records.classes, examined.by_class(places).tolist(), strict=True))}
        for name, places in examined.parts.items()
    }
    return {"all": _summary(examined, everything), "classes": by_class, "splits": splits}


def _summary(examined: Examined, places: np.ndarray) -> dict[str, Any]:
    lengths = examined.records.lengths[places]
    counts = examined.base_counts.counts[places].sum(axis=0)
    gc = float(gc_of(counts))
    return {
        "records": len(lengths),
        "bases": int(lengths.sum()),
        "shortest": int(lengths.min()),
        "median": float(np.median(lengths)),
        "longest": int(lengths.max()),
        "gc": None if np.isnan(gc) else gc,
        "unknown": float(counts[NUM_BASES] / counts.sum()),
    }
