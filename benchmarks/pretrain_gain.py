"""Does pretraining help, and from how many labelled records on: one training from random and from pretrained weights.

    python benchmarks/pretrain_gain.py SETS_DIR/gue_tf_3 --out gain --budget 10m --pretrain-budget 30m --seeds 0 1 2

Pretrained is on the set's own training sequences, all of them whatever the fraction, or on `--pretrain-on FASTA`,
once a seed. Both trainings have the same settings, seed and records. All is judged on the validation records, which
choose the epoch as well; no record of the test split is read by any of it. A run that is complete is not repeated,
and one that was stopped goes on. Writes RESULTS.tsv, a row a run, and RESULTS.md, a row a fraction.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from learning_curve import draw_records, parse_fraction
from sets import open_sets, read_split, write_table

from genomix.checkpoint import BEGUN, META, METRICS, is_complete
from genomix.data.store import build_store
from genomix.data.vocabulary import decode
from genomix.files import atomic_path, write_text

STARTS = ("scratch", "pretrained")
METRIC_NAMES = ("accuracy", "mcc", "f1_macro", "log_loss")


def run(words: Sequence[str], path: Path) -> None:
    """Run a command of genomix that leaves a run directory, or go on with it, unless it is complete.

    Raises:
        SystemExit: If it fails, or what is there was begun otherwise.
    """
    asked = path.with_name(f"{path.name}.json")
    stated = json.dumps(list(words))
    if path.is_dir() and (not asked.is_file() or asked.read_text(encoding="utf-8") != stated):
        sys.exit(f"{path}: was asked for with other words; name another --out, or remove it")
    if (path / BEGUN).is_file() and is_complete(path):
        return
    write_text(asked, stated)
    where = ["--resume", str(path)] if (path / BEGUN).is_file() else ["-o", str(path)]
    again = [words[0]] if where[0] == "--resume" else list(words)
    done = subprocess.run(
        [sys.executable, "-m", "genomix", *again, *where, "--quiet"], stdout=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        sys.exit(done.returncode)


def write_training_sequences(sequences: Path, train_ids: set[str], path: Path) -> None:
    """Write the records of a set that are for training as FASTA, without labels."""
    store = build_store([str(sequences)], on_invalid="mask")
    with atomic_path(path) as temporary, temporary.open("w", encoding="ascii") as file:
        for row, name in enumerate(store.ids):
            if name in train_ids:
                file.write(f">{name}\n{decode(store.tokens(row))}\n")


def perform(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Pretrain and train whatever is not done yet, and return a row a run."""
    folder = options.set_dir.resolve()
    (one,) = open_sets(folder.parent, [folder.name], "val", options.out)
    rows = read_split(one.data.labels)
    place = one.folder / "pretrain_gain"
    place.mkdir(parents=True, exist_ok=True)
    corpus = options.pretrain_on
    if corpus is None:
        corpus = place / "train.fa"
        if not corpus.is_file():
            write_training_sequences(one.data.sequences, {row.id for row in rows if row.split == "train"}, corpus)
    settings = [word for text in options.set for word in ("--set", text)]
    model = ["--model", options.model, *settings]
    machine = ["--threads", str(options.threads), "--device", options.device]
    found = []
    for seed in options.seeds:
        common = ["--seed", str(seed), *machine]
        first = place / f"pretrained-{seed}"
        words = ["pretrain", str(corpus), "--on-invalid", "mask", *model, *common]
        run([*words, "--budget", options.pretrain_budget, "--max-epochs", str(options.pretrain_epochs)], first)
        length = json.loads((first / BEGUN).read_text(encoding="utf-8"))["config"]["model"]["max_length"]
        for fraction in sorted(options.fractions):
            labels = place / f"labels-{fraction:g}-{seed}.tsv"
            drawn = draw_records(rows, fraction, seed)
            write_table(labels, drawn)
            for start in STARTS:
                path = place / f"{start}-{fraction:g}-{seed}"
                # the length that pretraining has decided holds for both
                same = ["--set", f"model.max_length={length or _length(first)}"]
                begin = ["--init-from", str(first), *settings, *same] if start == "pretrained" else [*model, *same]
                given = [str(one.data.sequences), str(labels), "--on-missing", "skip", "--on-invalid", "mask"]
                kept = ["--no-baselines", "--no-checks", "--budget", options.budget, *common]
                run(["train", *given, *begin, *kept], path)
                num_records = sum(row.split == "train" for row in drawn)
                found.append(read_row(path, start, fraction, seed, num_records) | {"set": one.name})
    return found


def _length(path: Path) -> int:
    from genomix.config import NetworkConfig, make_config

    model = make_config(path=path / "config.yaml").model
    if not isinstance(model, NetworkConfig) or model.max_length is None:
        sys.exit(f"{path}: has no length; pretrain again")
    return model.max_length


def read_row(path: Path, start: str, fraction: float, seed: int, num_records: int) -> dict[str, Any]:
    """Return what a run left, judged on its validation records.

    Raises:
        SystemExit: If it was judged on others.
    """
    stated = json.loads((path / METRICS).read_text(encoding="utf-8"))
    if stated["split"] != "val":
        sys.exit(f"{path}: was judged on {stated['split']}; only val is for choosing")
    training = json.loads((path / META).read_text(encoding="utf-8"))["training"]
    values = {name: stated["metrics"]["values"][name] for name in METRIC_NAMES if name in stated["metrics"]["values"]}
    told = {"start": start, "fraction": fraction, "seed": seed, "train_records": num_records}
    return told | values | {"seconds": training["seconds"], "epochs": training["epochs"]}


def summarise(rows: Sequence[dict[str, Any]], metric: str) -> str:
    """Return a Markdown table: the mean of a metric from either start, and the gain by seed, its mean and extremes."""
    lines = [
        f"| set | train records | {metric}, scratch | {metric}, pretrained | gain (least to most of the seeds) |",
        "|---|---|---|---|---|",
    ]
    for fraction in sorted({row["fraction"] for row in rows}):
        by_start = {
            start: {row["seed"]: row for row in rows if (row["start"], row["fraction"]) == (start, fraction)}
            for start in STARTS
        }
        values = {start: {seed: row[metric] for seed, row in own.items()} for start, own in by_start.items()}
        gains = [values["pretrained"][seed] - values["scratch"][seed] for seed in values["scratch"]]
        means = [f"{statistics.mean(values[start].values()):.4f}" for start in STARTS]
        one = next(iter(by_start["scratch"].values()))
        gain = f"{statistics.mean(gains):+.4f} ({min(gains):+.4f} to {max(gains):+.4f})"
        lines.append(f"| {one['set']} | {one['train_records']} | {means[0]} | {means[1]} | {gain} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Pretrain, train and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set_dir", type=Path, help="folder with data.fa.gz and labels.tsv")
    parser.add_argument("--fractions", type=parse_fraction, nargs="+", default=[1.0, 0.25, 0.0625])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--model", default="paramixer")
    parser.add_argument("--set", nargs="*", default=[], help="key=value for pretraining and for training")
    parser.add_argument("--pretrain-on", type=Path, help="sequences in place of the set's own for training")
    parser.add_argument("--budget", default="10m")
    parser.add_argument("--pretrain-budget", default="30m")
    parser.add_argument("--pretrain-epochs", type=int, default=100_000)
    parser.add_argument("--metric", choices=METRIC_NAMES, default="mcc")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("pretrain_gain"), help="directory of all runs")
    parser.add_argument("--results", type=Path, default=Path("pretrain_gain"), help="of the tables, without suffix")
    options = parser.parse_args()
    rows = perform(options)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(options.results.with_suffix(".tsv"), text.getvalue())
    write_text(options.results.with_suffix(".md"), summarise(rows, options.metric))


if __name__ == "__main__":
    main()
