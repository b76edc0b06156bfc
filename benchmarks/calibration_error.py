"""What the temperature does to the calibration error, and how often label sets hold the true class.

    python benchmarks/calibration_error.py data/promoters data/enhancers --models kmer paramixer --budget 60s \
        --results benchmarks/results/calibration.json

Each folder holds data.fa.gz and labels.tsv (id, label, split). First each model is trained by `genomix train`, and the
test records are scored with and without its temperature: expected calibration error and log loss with intervals, and
the paired bootstrap of their differences. Then the records are divided at random `--splits` times (60 % train, 20 %
validation, 20 % test): k-mer frequencies and logistic regression are learnt from the first, temperature and conformity
scores come from the second, and the sets of the third are counted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genomix.config import KmerConfig
from genomix.data.labels import LabelledRecords, load_labelled
from genomix.metrics.calibration import calibrate, soften
from genomix.metrics.comparison import compare_metrics
from genomix.metrics.conformal import label_sets, threshold
from genomix.nn.kmer import KmerClassifier
from genomix.runtime import set_threads
from genomix.scoring import StoredRecord, load_scorer, stack_probabilities
from genomix.train.kmer import fit_kmer

METRICS = ("ece", "log_loss")
BEFORE, AFTER = "before", "after"


def load(folder: Path) -> LabelledRecords:
    """Read a folder's records and labels."""
    table = str(folder / "labels.tsv")
    return load_labelled([str(folder / "data.fa.gz")], table, warn=lambda said: print(said, file=sys.stderr))


def measure_temperature(
    folder: Path, records: LabelledRecords, model: str, options: argparse.Namespace
) -> dict[str, Any]:
    """Train a model and return its metrics on the test records, before and after its temperature is applied."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "genomix", "train", folder / "data.fa.gz", folder / "labels.tsv", "-o", out]
        command += ["--model", model, "--threads", options.threads, "--seed", options.seed, "--force", "--quiet"]
        command += ["--no-baselines", *([] if model == "kmer" else ["--budget", options.budget])]
        subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
        [scorer] = load_scorer(out, calibrated=False).members
    calibration = scorer.model.calibration
    if calibration is None or records.splits is None:
        raise SystemExit(f"{folder}: needs a column split, and a calibrated model")
    held_out = np.flatnonzero(np.array(records.splits) == "test")
    stored = (StoredRecord(records.store, row) for row in records.indices[held_out].tolist())
    before = stack_probabilities(scorer.predict(stored))
    probabilities = {BEFORE: before, AFTER: soften(before, calibration.temperature)}
    found = compare_metrics(records.targets[held_out], probabilities, records.classes, METRICS, baseline=BEFORE)
    row: dict[str, Any] = {"set": folder.name, "model": model, "test_records": len(held_out)}
    row |= {"validation_records": calibration.num_records, "temperature": calibration.temperature}
    for run in found.runs:
        for name, interval in run.intervals.items():
            row[f"{name}_{run.run}"] = [run.values[name], interval.low, interval.high]
    for name, difference in found.runs[1].differences.items():
        low, high = (difference.interval.low, difference.interval.high) if difference.interval else (None, None)
        row[f"{name}_difference"] = [difference.difference, low, high]
    return row


def divide(num_records: int, seed: int) -> Iterator[np.ndarray]:
    """Yield the numbers of the training, the validation and the test records of a random division."""
    order = np.random.default_rng(seed).permutation(num_records)
    yield from np.split(order, [int(0.6 * num_records), int(0.8 * num_records)])


def cover(
    features: torch.Tensor, records: LabelledRecords, config: KmerConfig, stated: float, seed: int
) -> tuple[float, float, float]:
    """Return the accuracy, and the coverage and the mean size of the sets, on one random division.

    Args:
        features: Frequencies of k-mers of all records (R, F).
        records: Their labels.
        config: Of the k-mer model.
        stated: Coverage asked for.
        seed: Of the division.
    """
    learnt, judged, held_out = divide(len(records.targets), seed)
    classifier = fit_kmer(
        config, records.store, records.indices[learnt], records.targets[learnt], len(records.classes), seed
    )
    with torch.inference_mode():
        logits = classifier.head((features - classifier.mean) / classifier.scale).double()
    probabilities = logits.softmax(1).numpy()
    calibration = calibrate(probabilities[judged], records.targets[judged], chose_epoch=False)
    softened, targets = soften(probabilities[held_out], calibration.temperature), records.targets[held_out]
    within = label_sets(softened, threshold(calibration.scores, stated))
    is_covered = within[np.arange(len(targets)), targets]
    accuracy = (softened.argmax(1) == targets).mean()
    return float(accuracy), float(is_covered.mean()), float(within.sum(1).mean())


def measure_coverage(name: str, records: LabelledRecords, options: argparse.Namespace) -> dict[str, Any]:
    """Return accuracy, coverage and size of the sets over random divisions: mean, lowest and highest."""
    config = KmerConfig(k=options.k)
    counter = KmerClassifier(options.k, len(records.classes))
    tokens = (torch.from_numpy(np.array(records.store.tokens(row)))[None] for row in records.indices.tolist())
    features = torch.cat([counter.features(one, torch.tensor([one.shape[1]])) for one in tokens])
    found = np.array([cover(features, records, config, options.coverage, seed) for seed in range(options.splits)])
    row: dict[str, Any] = {"set": name, "records": len(records.targets), "stated": options.coverage}
    row["splits"] = options.splits
    for column, values in zip(("accuracy", "coverage", "size"), found.T, strict=True):
        row[column] = [float(values.mean()), float(values.min()), float(values.max())]
    return row


def to_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Write rows as a table; three numbers are a value and its interval or range."""
    names = list(rows[0])
    lines = ["| " + " | ".join(name.replace("_", " ") for name in names) + " |", "|---" * len(names) + "|"]
    for row in rows:
        cells = []
        for value in row.values():
            if isinstance(value, list):
                cells.append("{:.3f} ({:.3f} to {:.3f})".format(*value))
            else:
                cells.append(f"{value:.2f}" if isinstance(value, float) else f"{value}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--models", nargs="*", default=["kmer", "paramixer"], metavar="PRESET")
    parser.add_argument("--budget", default="60s", help="to train each network")
    parser.add_argument("--coverage", type=float, default=0.9)
    parser.add_argument("--splits", type=int, default=20, help="random divisions")
    parser.add_argument("--k", type=int, default=4, help="length of the k-mers for these")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--results", type=Path, help="JSON file to write")
    options = parser.parse_args()
    set_threads(options.threads)
    temperature, coverage = [], []
    for folder in options.folders:
        records = load(folder)
        temperature += [measure_temperature(folder, records, model, options) for model in options.models]
        if options.splits:
            coverage.append(measure_coverage(folder.name, records, options))
    for rows in filter(None, (temperature, coverage)):
        print(to_markdown(rows), end="\n\n")
    if options.results:
        content = {"budget": options.budget, "seed": options.seed, "k": options.k}
        content |= {"temperature": temperature, "coverage": coverage}
        options.results.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
