"""All encoders on one set of data, at equal numbers of parameters and equal time to train.

    python benchmarks/compare_models.py data.fa.gz labels.tsv --out runs/ --minutes 5 --max-length 16384 \
        --title "insect mitochondria" --results benchmarks/results/mito.json

Every encoder has one layer (Mamba three, whose layers have no network of their own; ChordMixer and CDIL-CNN as many as
the length asks for) and stands between the same stem, pooling and head; the width of its hidden layer (or
what else sets its size, see `KNOBS`) is chosen so that the network has as many parameters as asked for. The
convolutional baseline of the Genomic Benchmarks keeps its own size. No network has k-mers beside it, and all read both
strands. All have the same learning rate, that of the
default preset; it was found with that preset on insect mitochondria and tuned for none of the others. Each run is
`genomix train` on a thread of its own, in a directory of its own; one that is finished is not run again unless it is
now asked for otherwise. The label table must name the splits.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from candidates import Candidate
from runs import Data, Outcome, Run, leave_with, limits, perform_all

from genomix.config import PRESETS, NetworkConfig, make_config
from genomix.nn.build import build_classifier

KNOBS = {"mamba": "state_dim", "cdil-cnn": "dim"}
"""What sets the size of an encoder, where that is not the width of the hidden layer."""
FIXED = {"linformer": {"projected_length": 16}, "mamba": {"num_layers": 3}}
"""Linformer's projection at its default has more parameters than a whole network here; Mamba's layers are small."""
AS_PUBLISHED = ("cnn",)
LEFT_OUT = ("paramixer-paper", "kmer")
METRICS = ("accuracy", "f1_macro", "log_loss")
MOST = 4096
CONDITIONS = ("minutes", "max_length", "seed", "learning_rate")
"""What a run depends on beside its network."""


@dataclass(frozen=True)
class Sized:
    """A preset with the values that make it as large as the others."""

    preset: str
    overrides: dict[str, Any]
    num_parameters: int


def count_parameters(preset: str, overrides: dict[str, Any], num_classes: int) -> int:
    """Count the numbers of a network that are trained."""
    network = build_classifier(make_config(preset, overrides=overrides).model, num_classes)
    return sum(parameter.numel() for parameter in network.parameters())


def size_like(preset: str, wanted: int, max_length: int, num_classes: int) -> Sized:
    """Find the size of an encoder at which the network comes nearest to `wanted` parameters."""
    fixed: dict[str, Any] = {"model.max_length": max_length, "model.composition": None}
    config = make_config(preset).model
    if not isinstance(config, NetworkConfig):
        raise SystemExit(f"{preset} is not a network")
    fields = type(config.encoder).model_fields
    if preset in AS_PUBLISHED:
        return Sized(preset, fixed, count_parameters(preset, fixed, num_classes))
    if "num_layers" in fields and preset != "cdil-cnn":
        fixed["model.encoder.num_layers"] = 1
    fixed |= {f"model.encoder.{key}": value for key, value in FIXED.get(preset, {}).items()}
    knob = f"model.encoder.{KNOBS.get(preset, 'hidden_dim')}"

    def distance(size: int) -> int:
        return count_parameters(preset, fixed | {knob: size}, num_classes) - wanted

    low, high = 1, MOST
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if distance(middle) < 0 else (low, middle)
    best = min((size for size in (low - 1, low) if size > 0), key=lambda size: abs(distance(size)))
    overrides = fixed | {knob: best}
    return Sized(preset, overrides, count_parameters(preset, overrides, num_classes))


def plan(sized: Sized, options: argparse.Namespace, data: Data) -> Run:
    """Return the run that trains one network until the time is up."""
    assignments = tuple(f"{key}={'null' if value is None else value}" for key, value in sized.overrides.items())
    flags = (
        "--strands",
        "both",
        *limits(f"{60 * options.minutes:.0f}s", None),
        "--learning-rate",
        str(options.learning_rate),
    )
    candidate = Candidate(sized.preset, sized.preset, assignments)
    return Run(Path(options.out) / sized.preset, candidate, data, options.seed, flags)


def row_of(sized: Sized, outcome: Outcome) -> dict[str, Any]:
    """Return what came of a run; without metrics if it failed."""
    sizes = {key.removeprefix("model.encoder."): value for key, value in sized.overrides.items() if "encoder" in key}
    row: dict[str, Any] = {"model": sized.preset, "parameters": sized.num_parameters, "sizes": sizes}
    if outcome.failure:
        return row
    measured = outcome.metrics["metrics"]
    values, intervals = measured["values"], measured["intervals"]
    metrics = {name: [values[name], intervals[name]["low"], intervals[name]["high"]] for name in METRICS}
    return row | {"epochs": outcome.meta["training"]["epochs"]} | metrics


def to_markdown(results: dict[str, Any]) -> str:
    """Write the table, best accuracy first."""
    lines = ["| model | sizes | parameters | epochs | " + " | ".join(METRICS) + " |", "|---" * (4 + len(METRICS)) + "|"]
    for row in sorted(results["rows"], key=lambda row: -row.get("accuracy", [-1])[0]):
        cells = ["{:.3f} ({:.3f} to {:.3f})".format(*row[name]) if name in row else "failed" for name in METRICS]
        sizes = ", ".join(f"{key} {value}" for key, value in row["sizes"].items()) or "its own"
        start = f"| `{row['model']}` | {sizes} | {row['parameters']:,} | {row.get('epochs', '')} |"
        lines.append(f"{start} {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Train what is not trained yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequences")
    parser.add_argument("labels")
    parser.add_argument("--out", required=True, help="directory of the runs")
    parser.add_argument("--minutes", type=float, default=5.0, help="time to train each network")
    parser.add_argument("--max-length", type=int, default=2048)
    parser.add_argument("--parameters", type=int, default=150_000, help="of each network")
    parser.add_argument("--models", nargs="+", choices=[*PRESETS], metavar="PRESET", default=None)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time, each on a thread of its own")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--title", default="")
    parser.add_argument("--results", help="JSON file to write, which write_cards.py reads")
    options = parser.parse_args()
    with Path(options.labels).open() as table:
        num_classes = len({line.split("\t")[1] for line in table.read().splitlines()[1:]})
    models = options.models or [name for name in PRESETS if name not in LEFT_OUT]
    networks = [size_like(name, options.parameters, options.max_length, num_classes) for name in models]
    for network in networks:
        print(network.preset, network.num_parameters, network.overrides, file=sys.stderr, flush=True)
    data = Data(Path(options.sequences), Path(options.labels))
    outcomes = perform_all([plan(network, options, data) for network in networks], options.jobs)
    results = {
        "title": options.title,
        **{name: getattr(options, name) for name in (*CONDITIONS, "jobs")},
        "rows": [row_of(network, outcome) for network, outcome in zip(networks, outcomes, strict=True)],
    }
    print(to_markdown(results))
    if options.results:
        Path(options.results).write_text(json.dumps(results, indent=1) + "\n")
    return int(any(outcome.failure for outcome in outcomes))


if __name__ == "__main__":
    leave_with(main)
