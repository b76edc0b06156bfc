"""The k-mer baseline at its best on a folder of sets: what is chosen on the validation records, and what it is worth.

    python benchmarks/kmer_baselines.py data --output kmer.tsv
    python benchmarks/kmer_baselines.py data --test --output kmer.tsv

Each set is a folder with `data.fa.gz` and `labels.tsv` (id, label, and split where there is an official one; else the
records are divided as `genomix train` divides them). The rows are those of `genomix train --model kmer` with the same
seed. The test records, where a set has some, are read with `--test` only: then accuracy, macro F1 and the Matthews
correlation are given with 95 % bootstrap intervals.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genomix.config import Config, make_config
from genomix.data.labelled import LabelledRecords
from genomix.data.labels import load_labelled
from genomix.data.splits import divide_records
from genomix.files import write_text
from genomix.metrics import compute_metrics
from genomix.nn.kmer import KmerClassifier
from genomix.runtime import set_threads
from genomix.train.kmer import choose_kmer

TEST_METRICS = ("accuracy", "f1_macro", "mcc")


def find_sets(folder: Path) -> list[Path]:
    """Return the folders of sets in a folder, or itself where it is one, in the order of their names."""
    return sorted(path.parent for path in [folder / "data.fa.gz", *folder.glob("*/data.fa.gz")] if path.is_file())


def predict(classifier: KmerClassifier, records: LabelledRecords, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the probabilities (C,) of records."""
    for row in records.indices[rows].tolist():
        tokens = torch.from_numpy(np.array(records.store.tokens(row))).unsqueeze(0)
        with torch.inference_mode():
            yield classifier(tokens, torch.tensor([tokens.shape[1]]))[0].double().softmax(0).numpy()


def measure(folder: Path, config: Config, *, test: bool) -> dict[str, Any]:
    """Choose the baseline of a set, and return the row of the table."""
    files = [str(folder / "data.fa.gz")]
    records = load_labelled(files, str(folder / "labels.tsv"), warn=lambda _: None)
    splits = divide_records(records, config.data, config.training.seed)
    began = time.monotonic()
    found = choose_kmer(config.model, records, splits, config.training)  # pyright: ignore[reportArgumentType]
    seconds = time.monotonic() - began
    best = next((one for one in found.candidates if one.config == found.config), None)
    metric = config.training.metric
    row = {
        "set": folder.name,
        "train": len(splits.train),
        "val": len(splits.val),
        "k": found.config.k,
        "C": found.config.inverse_regularisation,
        "mismatch": found.config.mismatch,
        "classifier": found.config.classifier,
        "strands": found.config.strands,
        "candidates": len(found.candidates),
        f"val_{metric}": best.value if best else None,
        "seconds": round(seconds),
        "test": len(splits.test),
    }
    if test and len(splits.test):
        probabilities = np.stack(list(predict(found.classifier, records, splits.test)))
        metrics = compute_metrics(records.truth[splits.test], probabilities, records.classes)
        for name in TEST_METRICS:
            interval = metrics.intervals.get(name)
            row[f"test_{name}"] = metrics.values[name]
            row[f"test_{name}_low"], row[f"test_{name}_high"] = (
                (interval.low, interval.high) if interval else (None, None)
            )
    return row


def to_tsv(rows: Sequence[dict[str, Any]]) -> str:
    """Write rows as a table for programs; what a row has not is empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["\t".join(names)]
    for row in rows:
        cells = (row.get(name) for name in names)
        lines.append(
            "\t".join("" if one is None else f"{one:.6g}" if isinstance(one, float) else str(one) for one in cells)
        )
    return "\n".join(lines) + "\n"


def to_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Write rows as a table for people: a metric and its interval are one cell."""
    names = [
        name for name in dict.fromkeys(name for row in rows for name in row) if not name.endswith(("_low", "_high"))
    ]
    lines = ["| " + " | ".join(name.replace("_", " ") for name in names) + " |", "|---" * len(names) + "|"]
    for row in rows:
        cells = []
        for name in names:
            value, low, high = (row.get(one) for one in (name, f"{name}_low", f"{name}_high"))
            cell = "" if value is None else str(value)
            if isinstance(value, float):
                cell = f"{value:g}" if name == "C" else f"{value:.3f}"
            cells.append(cell if low is None or high is None else f"{cell} ({low:.3f} to {high:.3f})")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure set by set, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="of sets, or sets")
    parser.add_argument("--test", action="store_true", help="score the test records as well")
    parser.add_argument("--metric", default="f1_macro", help="to choose by")
    parser.add_argument("--features", default="auto", help="frequencies or roots, instead of what is usual")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, help="TSV file, written anew after each set")
    options = parser.parse_args()
    set_threads(options.threads)
    stated = {"training.metric": options.metric, "training.seed": options.seed, "model.features": options.features}
    config = make_config("kmer", overrides=stated)
    rows: list[dict[str, Any]] = []
    for folder in [one for place in options.folders for one in find_sets(place)]:
        rows.append(measure(folder, config, test=options.test))
        print(f"{folder.name}: {rows[-1]['seconds']} s", file=sys.stderr, flush=True)
        if options.output:
            write_text(options.output, to_tsv(rows))
    if not rows:
        raise SystemExit("no set there: a set is a folder with data.fa.gz and labels.tsv")
    print(to_tsv(rows), to_markdown(rows), sep="\n", end="")


if __name__ == "__main__":
    main()
