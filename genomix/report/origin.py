"""What was trained on what, and how to do it again."""

from __future__ import annotations

import shlex
from collections import Counter
from datetime import datetime

import numpy as np

from genomix.checkpoint import Meta
from genomix.report.files import Labelled, RunFiles
from genomix.report.page import Cell, Code, Section, Table, cells
from genomix.report.results import MOST_SHOWN
from genomix.report.wording import count_of, duration

SPLIT_TITLES = {"train": "train", "val": "validation", "test": "test", "": "unused"}


def describe_training(files: RunFiles) -> Section:
    """Return what was trained on what: records, classes, lengths, machine and time."""
    section = Section("training", "What was trained on what")
    facts: list[tuple[str, str]] = []
    if files.labelled is not None:
        facts.append(("records", _describe_parts(files.labelled)))
    if files.meta is not None:
        facts += _facts_of(files.meta)
    if files.members:
        kind = files.members[0].partition("-")[0]
        facts.append(("runs", f"{count_of(len(files.members), kind)}; figures of training are those of the first"))
    if files.predictions is not None:
        lengths = files.predictions.lengths[files.predictions.lengths >= 0]
        if len(lengths):
            said = f"{lengths.min():,} to {lengths.max():,} bp, median {np.median(lengths):,.0f}"
            facts.append(("lengths, held out", said))
    if facts:
        section.tables.append(Table([], [cells(*fact) for fact in facts], num_texts=2))
    if files.labelled is not None:
        section.tables.append(_count_classes(files.labelled))
    return section


def describe_repeating(files: RunFiles) -> list[Section]:
    """Return the command, the configuration, and the versions and inputs."""
    again = Section("again", "To do it again")
    if files.meta is not None and files.meta.command:
        again.codes.append(Code(shlex.join(files.meta.command)))
        again.sentences.append("The command that trained it:")
    if files.config is not None:
        again.codes.append(Code(files.config, "The resolved configuration, config.yaml (input for --config)"))
    origin = Section("versions", "Versions and inputs")
    if files.meta is not None:
        origin.tables.append(
            Table(["program", "version"], [cells(*pair) for pair in files.meta.versions.items()], num_texts=2)
        )
        inputs = [cells(*pair) for pair in files.meta.inputs.items()]
        if inputs:
            origin.tables.append(Table(["input", "sha256"], inputs, num_texts=2))
    return [again, origin]


def _facts_of(meta: Meta) -> list[tuple[str, str]]:
    lengths, training = meta.train_lengths, meta.training
    facts = [
        ("classes", f"{len(meta.classes):,}"),
        ("lengths, trained on", f"{lengths.min:,} to {lengths.max:,} bp, median {lengths.median:,}"),
        ("parameters", f"{meta.num_parameters:,}"),
    ]
    if isinstance(training.get("seconds"), int | float):
        facts.append(("training took", duration(training["seconds"])))
    if training.get("epochs"):
        facts.append(
            ("epochs", f"{training['epochs']}; the weights are those of epoch {training.get('best_epoch', '?')}")
        )
    if "device" in training:
        threads = training.get("threads")
        said = f", {count_of(threads, 'thread')}" if isinstance(threads, int) else ""
        facts.append(("device", f"{training['device']}{said}"))
    origin = training.get("init_from")
    if isinstance(origin, dict):
        said = f"{origin.get('path')} ({origin.get('kind')}), sha256 {origin.get('sha256')}"
        facts.append(("first weights from", f"{said}; {origin.get('num_parameters'):,} parameters"))
    return [*facts, ("trained", _date(meta.created))]


def _date(created: str) -> str:
    try:
        return datetime.fromisoformat(created).strftime("%Y-%m-%d %H:%M %Z").strip()
    except ValueError:
        return created


def _describe_parts(labelled: Labelled) -> str:
    counts = Counter(labelled.parts)
    total = f"{len(labelled.ids):,}"
    if labelled.has_folds:
        names = [name for name in counts if name]
        sizes = sorted(counts[name] for name in names)
        held = f"; {counts['']:,} in none" if counts[""] else ""
        return f"{total} in {len(names)} folds of {sizes[0]:,} to {sizes[-1]:,}{held}"
    return f"{total}: " + ", ".join(f"{counts[name]:,} {title}" for name, title in SPLIT_TITLES.items() if counts[name])


def _count_classes(labelled: Labelled) -> Table:
    counts = Counter(zip(labelled.labels, labelled.parts, strict=True))
    classes = Counter(labelled.labels)
    if labelled.has_folds:
        header, parts = ["class", "records"], []
    else:
        parts = [name for name in SPLIT_TITLES if any(part == name for _, part in counts)]
        header = ["class", "records", *(SPLIT_TITLES[part] for part in parts)]
    rows = [
        [Cell(label), Cell(f"{total:,}"), *(Cell(f"{counts[label, part]:,}") for part in parts)]
        for label, total in classes.most_common()
    ]
    is_folded = len(rows) > MOST_SHOWN
    return Table(header, rows, f"Records of the {len(rows)} classes" if is_folded else "", is_folded=is_folded)
