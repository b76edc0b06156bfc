"""What each part of the default preset is worth: variants of it, trained alike, judged on the validation records.

    python benchmarks/compare_variants.py data.fa.gz labels.tsv --epochs 60 --out /tmp/variants

Each variant is a run of `genomix train` in a directory of its own; one that is finished already is not run again. The
test records are left alone: choices are made on the validation records.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from pathlib import Path

import yaml

VARIANTS: dict[str, list[str]] = {
    "default": [],
    "CDIL links": ["model.encoder.protocol=cdil"],
    "no mixing (link_scale 0)": ["model.encoder.link_scale=0"],
    "pooled features not standardised": ["model.head.norm=none"],
    "LayerNorm instead": ["model.head.norm=layer"],
    "without pre-norm layers": ["model.encoder.normalise=false"],
    "without a stem": ["model.stem=null", "model.embedding.dim=64"],
    "max pooling": ["model.pooling=max"],
    "attention pooling": ["model.pooling=attention"],
    "two layers": ["model.encoder.num_layers=2"],
}
COLUMNS = ("val_f1_macro", "val_accuracy", "val_log_loss", "train_loss")


def run(name: str, options: argparse.Namespace, seed: int) -> Path:
    """Train one variant, unless that is done, and return its run directory."""
    out = Path(options.out) / f"{name.replace(' ', '_').replace('(', '').replace(')', '')}_{seed}"
    if not (out / "metrics.json").exists():
        settings = [part for value in VARIANTS[name] for part in ("--set", value)]
        limits = ["--max-epochs", str(options.epochs), "--set", f"training.patience={options.epochs}"]
        command = [
            sys.executable,
            "-m",
            "genomix",
            "train",
            options.sequences,
            options.labels,
            "-o",
            str(out),
            "--force",
        ]
        command += ["--quiet", "--no-baselines", "--seed", str(seed), *limits, *settings]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return out


def main() -> None:
    """Print a row a variant and seed: the last validation, the parameters and the time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequences")
    parser.add_argument("labels")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", required=True)
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    options = parser.parse_args()
    Path(options.out).mkdir(parents=True, exist_ok=True)
    print("variant\tseed\t" + "\t".join(COLUMNS) + "\tparameters\tseconds")
    for seed in options.seeds:
        for name in options.variants:
            out = run(name, options, seed)
            with (out / "history.csv").open() as history:
                last = list(csv.DictReader(history))[-1]
            meta = yaml.safe_load((out / "meta.json").read_text())
            numbers = "\t".join(f"{float(last[column]):.3f}" for column in COLUMNS)
            print(f"{name}\t{seed}\t{numbers}\t{meta['num_parameters']}\t{meta['training']['seconds']}", flush=True)


if __name__ == "__main__":
    main()
