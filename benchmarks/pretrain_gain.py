"""Does pretraining help, and from how many labelled records on: one training from random and from pretrained weights.

    python benchmarks/pretrain_gain.py SETS_DIR/gue_tf_3 --out gain --budget 10m --pretrain-budget 30m --seeds 0 1 2

Pretrained is once a seed, on the set's own training sequences, all of them whatever the fraction; where the set names
no val, without those that the seed makes val. Or on `--pretrain-on FASTA`, which is taken as it is. Both trainings
have the same settings, seed and records. All is judged on the validation records, which choose the epoch as well; no
record of the test split is read by any of it. A run that is complete is not repeated, one that was stopped goes on, and
one that is now asked for otherwise, or with other data, is said to be, and made anew. Writes RESULTS.tsv, a row a run,
and RESULTS.md, a row a fraction.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import shutil
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from learning_curve import draw_records, parse_fraction
from runs import call, leave_with
from sets import DataSet, open_sets, read_split, write_table

from genomix.checkpoint import BEGUN, META, METRICS, WEIGHTS, is_complete
from genomix.data.labels import LabelRow
from genomix.data.store import build_store
from genomix.data.vocabulary import decode
from genomix.files import atomic_path, hash_file, write_text

STARTS = ("scratch", "pretrained")
METRIC_NAMES = ("accuracy", "mcc", "f1_macro", "log_loss")


def run(words: Sequence[str], data: Mapping[str, str], path: Path, threads: int) -> None:
    """Run a command of genomix that leaves a run directory, or go on with it, unless that is done.

    Args:
        words: The command, without the run directory.
        data: The sha256 of what it reads, by the names that the run states them by.
        path: The run directory. Beside it stands what was asked for.
        threads: That the words name.

    Raises:
        SystemExit: If it fails, or something is there that this script did not make.
    """
    record, asked = path.with_name(f"{path.name}.json"), {"arguments": [*words], "data": {**data}}
    if path.exists() and not record.is_file():
        sys.exit(f"{path}: was not made by this command; move it away, or name another --out")
    if record.is_file() and _read_asked(record, path) != asked:
        print(f"{path}: was made with other settings or data; it is made anew", file=sys.stderr, flush=True)
        shutil.rmtree(path, ignore_errors=True)
    if not (path / BEGUN).is_file():
        shutil.rmtree(path, ignore_errors=True)
    elif is_complete(path):
        return
    write_text(record, json.dumps(asked, indent=1) + "\n")
    done = call([*words, "--resume", str(path), "--quiet"], threads)
    sys.stderr.write(done.stderr)
    if done.returncode:
        sys.exit(done.returncode)


def _read_asked(record: Path, path: Path) -> dict[str, Any]:
    """Return what a run was asked for; where that is words alone, as it once was, the run itself tells of its data."""
    stated = json.loads(record.read_text(encoding="utf-8"))
    if isinstance(stated, dict):
        return stated
    meta = json.loads((path / META).read_text(encoding="utf-8")) if (path / META).is_file() else {"inputs": {}}
    source = meta.get("training", {}).get("init_from")
    return {"arguments": stated, "data": meta["inputs"] | ({"init_from": source["sha256"]} if source else {})}


def write_corpus(one: DataSet, rows: Sequence[LabelRow], seed: int, place: Path) -> Path:
    """Write what is pretrained on with a seed, and return the file: all records that are for training with that seed.

    Where the set names no val, the seed makes some of its training records val, and they are not in it.
    """
    own_val = any(row.split == "val" for row in rows)
    path = place / ("train.fa" if own_val else f"train-{seed}.fa")
    train_ids = {row.id for row in draw_records(rows, 1.0, seed) if row.split == "train"}
    write_training_sequences(one.data.sequences, train_ids, path)
    return path


def write_training_sequences(sequences: Path, train_ids: set[str], path: Path) -> None:
    """Write the records of a set that are for training as FASTA, without labels."""
    store = build_store([str(sequences)], on_invalid="mask")
    with atomic_path(path) as temporary, temporary.open("w", encoding="ascii") as file:
        for row, name in enumerate(store.ids):
            if name in train_ids:
                file.write(f">{name}\n{decode(store.tokens(row))}\n")


def hash_sequences(path: Path) -> str:
    """Return the sha256 of sequences as a run states it, of a file or of all in a directory."""
    return build_store([str(path)], on_invalid="mask", unique_ids=False, log=lambda _: None).sha256


def perform(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Pretrain and train whatever is not done yet, and return a row a run."""
    folder = options.set_dir.resolve()
    (one,) = open_sets(folder.parent, [folder.name], "val", options.out)
    rows = read_split(one.data.labels)
    place = one.folder / "pretrain_gain"
    place.mkdir(parents=True, exist_ok=True)
    settings = [word for text in options.set for word in ("--set", text)]
    model = ["--model", options.model, *settings]
    machine = ["--threads", str(options.threads), "--device", options.device]
    found = []
    for seed in options.seeds:
        common = ["--seed", str(seed), *machine]
        first = place / f"pretrained-{seed}"
        corpus = options.pretrain_on or write_corpus(one, rows, seed, place)
        words = ["pretrain", str(corpus), "--on-invalid", "mask", *model, *common, "--budget", options.pretrain_budget]
        words += ["--max-epochs", str(options.pretrain_epochs)]
        run(words, {"sequences": hash_sequences(corpus)}, first, options.threads)
        length = json.loads((first / BEGUN).read_text(encoding="utf-8"))["config"]["model"]["max_length"]
        for fraction in sorted(options.fractions):
            labels = place / f"labels-{fraction:g}-{seed}.tsv"
            drawn = draw_records(rows, fraction, seed)
            write_table(labels, drawn)
            for start in STARTS:
                path = place / f"{start}-{fraction:g}-{seed}"
                # the length that pretraining has decided holds for both
                same = ["--set", f"model.max_length={length or _length(first)}"]
                begin, data = [*model, *same], one.data.hashes | {"labels": hash_file(labels)}
                if start == "pretrained":
                    begin = ["--init-from", str(first), *settings, *same]
                    data |= {"init_from": hash_file(first / WEIGHTS)}
                given = [str(one.data.sequences), str(labels), "--on-missing", "skip", "--on-invalid", "mask"]
                kept = ["--no-baselines", "--no-checks", "--budget", options.budget, *common]
                run(["train", *given, *begin, *kept], data, path, options.threads)
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


def main() -> int:
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
    return 0


if __name__ == "__main__":
    leave_with(main)
