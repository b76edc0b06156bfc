"""Run directories that were never trained, and what a browser finds in a report."""

import json
from html.parser import HTMLParser

import numpy as np

from genomix.config import make_config, to_yaml
from genomix.data.checks import Check, Checks, HeldOut, write_checks, write_held_out
from genomix.data.predictions import PredictionRow, PredictionWriter
from genomix.data.splits import Splits, write_folds, write_splits
from genomix.metrics import compute_metrics
from genomix.metrics.calibration import calibrate
from genomix.report.compose import write_report

CLASSES = ("phage", "plasmid", "virus")
VOID = {"meta", "link", "img", "br", "hr", "input", "path", "use"}
HASH = "0123456789abcdef" * 4


def write_run(directory, classes=CLASSES, num_records=120, skill=2.0, seed=0, split="test", baselines=True, folds=0):
    """Write all the files of a run whose records are guessed with some skill, but for weights and log."""
    rng = np.random.default_rng(seed)
    directory.mkdir()
    ids = [f"record-{number}" for number in range(2 * num_records)]
    targets = np.arange(2 * num_records) % len(classes)
    labels = [classes[target] for target in targets]
    rows, held_out = np.arange(2 * num_records), np.arange(num_records, 2 * num_records)
    if folds:
        parts = [rows[rows % folds == fold] for fold in range(folds)]
        others = [np.setdiff1d(rows, part) for part in parts]
        divided = [
            Splits(rest[1:], rest[:1], part, fold=f"{number}")
            for number, (part, rest) in enumerate(zip(parts, others, strict=True), 1)
        ]
        write_folds(directory / "splits.tsv", ids, labels, divided)
        held_out = rows
    else:
        middle, end = num_records - 20, (held_out if split == "test" else held_out[:0])
        val = np.arange(middle, num_records) if split == "test" else held_out
        write_splits(directory / "splits.tsv", ids, labels, Splits(np.arange(middle), val, end))
    right = targets[held_out]
    probabilities = guess(rng, right, len(classes), skill)
    predicted = [
        PredictionRow(ids[row], int(length), found)
        for row, length, found in zip(held_out, rng.integers(200, 2000, len(held_out)), probabilities, strict=True)
    ]
    with PredictionWriter(directory / "predictions.tsv", classes) as writer:
        writer.write(predicted)
    write_results(directory, right, probabilities, classes, "folds" if folds else split, baselines, rng)
    if folds:
        content = json.loads((directory / "metrics.json").read_text())
        content["folds"] = {"accuracy": {"mean": 0.7, "deviation": 0.05, "values": [0.65, 0.7, 0.75][:folds]}}
        (directory / "metrics.json").write_text(json.dumps(content))
    for member in [directory / f"fold-{number}" for number in range(1, folds + 1)] or [directory]:
        member.mkdir(exist_ok=True)
        write_history(member / "history.csv")
    (directory / "config.yaml").write_text(to_yaml(make_config()))
    write_meta(directory / "meta.json", classes)
    (directory / "calibration.json").write_text(calibrate(probabilities, right).model_dump_json())
    similarity = rng.uniform(0.5, 1, len(held_out))
    gc = rng.uniform(0.3, 0.6, len(held_out))
    names = ["test" if folds else split] * len(held_out)
    nearest = [ids[0]] * len(held_out)
    lengths = np.array([row.length for row in predicted])
    found = HeldOut([ids[row] for row in held_out], names, lengths, gc, 0 * gc, nearest, similarity)
    write_held_out(directory / "held_out.tsv", found)
    checks = [Check("duplicates", "PASS", "No copies."), Check("length_shortcut", "WARN", "Length predicts the class.")]
    write_checks(directory / "checks.json", Checks(checks, {}, {}, {}))
    return directory


def guess(rng, targets, num_classes, skill):
    scores = rng.normal(size=(len(targets), num_classes)) + skill * np.eye(num_classes)[targets]
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


def write_results(directory, targets, probabilities, classes, split, baselines, rng):
    few = {"num_resamples": 100 if len(targets) < 1000 else 10}
    metrics = compute_metrics(targets, probabilities, classes, **few)
    content = {"split": split, "model": "paramixer", "metrics": metrics.to_dict(), "baselines": {}}
    if baselines:
        kmer = compute_metrics(targets, guess(rng, targets, len(classes), 0.5), classes, **few)
        even = np.full((len(targets), len(classes)), 1 / len(classes))
        majority = compute_metrics(targets, even, classes, **few)
        content["baselines"] = {"kmer": kmer.to_dict(), "majority": majority.to_dict()}
    (directory / "metrics.json").write_text(json.dumps(content))


def write_history(path):
    path.write_text(
        "epoch,step,train_loss,val_log_loss,val_f1_macro,learning_rate,bases_per_s,seconds,best\n"
        "1,5,1.100000,1.000000,0.400000,1e-3,1000,1.0,1\n"
        "2,10,0.900000,,,1e-3,1000,2.0,0\n"
        "3,15,0.700000,0.800000,0.600000,1e-3,1000,3.0,1\n"
    )


def write_meta(path, classes):
    content = {
        "classes": list(classes),
        "train_lengths": {"min": 200, "median": 900, "max": 1999},
        "num_parameters": 104108,
        "created": "2026-01-02T03:04:05+00:00",
        "versions": {"genomix": "0.1.0", "torch": "2.13.0"},
        "inputs": {"sequences": HASH},
        "command": ["genomix", "train", "my data.fa", "labels.tsv"],
        "training": {"device": "cpu", "threads": 2, "seconds": 125.0, "epochs": 3, "best_epoch": 3},
    }
    path.write_text(json.dumps(content))


class Page(HTMLParser):
    """What is in a page: texts, elements with their attributes, and whether all that is opened is closed."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.texts, self.open = [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def alts(self):
        return [attributes["aria-label"] for attributes in self.all("svg")]


def report(directory):
    return Page(write_report(directory))


def results_of(directory):
    return json.loads((directory / "metrics.json").read_text())
