"""Checks of how many records there are of each class, how long they are, and how many bases are unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genomix.data.checks.check import Check, Status, worst
from genomix.data.checks.wording import count_of, does, has, listed, percent, sentence_of, share_of

if TYPE_CHECKING:
    from genomix.data.checks.examined import Examined

IMBALANCED = 10
"""Times as many records in the largest class as in the smallest: from there on a model that never names the smallest is
right in nine of ten records of the two."""
FEW_TO_LEARN = 20
"""Training records of a class below which hardly any network learns what they have in common."""
FEW_TO_MEASURE = 10
"""Held-out records of a class below which its recall is known to 30 points at best (9 of 10 right is 55 to 99.7 %, the
exact binomial interval)."""
FEW_RECORDS = 40
"""Records of a class below which a random split leaves fewer to learn or to measure than that."""
SHORT_BP = 30
"""A record shorter than this has hardly a motif."""
MANY_UNKNOWN = 0.1
"""Share of N in a record that is much: half of all windows of 7 bp have one if they are spread."""
WORTH_SAYING = 0.01
"""Share of the records from which on a fault in some may show in the result."""
DIFFERENT_LENGTH = 2.0
"""Times: splits whose medians differ by so much are of different kinds of records."""
FEW_FOR_MEDIAN = 20
"""Records below which a median says little."""


def check_classes(examined: Examined) -> Check:
    """Are there enough records of each class to learn it and to measure it, and are the classes alike in number?"""
    counts = examined.by_class()
    classes = examined.records.classes
    ratio = float(counts.max() / counts.min())
    status, found = _few_of_a_class(examined, counts)
    if ratio >= IMBALANCED:
        status = worst([status, "WARN"])
        found.append(
            f'"{classes[int(counts.argmax())]}" has {ratio:.0f} times as many records as '
            f'"{classes[int(counts.argmin())]}", so train with --classes weighted and look at macro F1, not at accuracy'
        )
    if not found:
        low, high = int(counts.min()), int(counts.max())
        between = f"{low:,} to {high:,} records each" if low < high else f"{count_of(low, 'record')} each"
        found.append(f"{len(classes)} classes of {between}, enough to learn and to measure them")
    figures = {"counts": dict(zip(classes, counts.tolist(), strict=True)), "imbalance": ratio}
    return Check("classes", status, sentence_of(found), figures)


def _few_of_a_class(examined: Examined, counts: np.ndarray) -> tuple[Status, list[str]]:
    classes = np.array(examined.records.classes, dtype=object)
    found: list[str] = []
    status: Status = "PASS"
    if not examined.parts:
        few = classes[counts < FEW_RECORDS].tolist()
        if few:
            found.append(
                f"{len(few)} of {len(classes)} classes {has(len(few))} fewer than {FEW_RECORDS} records "
                f"({listed(few)}): too few to learn and to measure, so add records, or join classes"
            )
        return ("WARN" if few else "PASS"), found
    learnt = examined.by_class(examined.parts["train"])
    if absent := classes[learnt == 0].tolist():
        status = "FAIL"
        found.append(
            f"no training record of class {listed(absent)}: nothing can be learnt of it, so move some to train"
        )
    if few := classes[(learnt > 0) & (learnt < FEW_TO_LEARN)].tolist():
        status = worst([status, "WARN"])
        found.append(f"fewer than {FEW_TO_LEARN} training records of class {listed(few)}: add records, or join classes")
    if "test" not in examined.parts:
        found.append("no test records: nothing will be measured on records that training never used, so hold some out")
        return worst([status, "WARN"]), found
    if few := classes[examined.by_class(examined.parts["test"]) < FEW_TO_MEASURE].tolist():
        status = worst([status, "WARN"])
        found.append(
            f"fewer than {FEW_TO_MEASURE} test records of class {listed(few)}: the share that is recognised will be "
            "uncertain by 30 points or more, so hold out more, or use folds (--folds 5)"
        )
    return status, found


def check_lengths(examined: Examined) -> Check:
    """Are records long enough to hold anything, and do the splits have records of the same lengths?"""
    lengths = examined.records.lengths
    num_short = int((lengths < SHORT_BP).sum())
    medians = {
        name: float(np.median(lengths[places]))
        for name, places in examined.parts.items()
        if len(places) >= FEW_FOR_MEDIAN
    }
    found: list[str] = []
    if num_short >= WORTH_SAYING * len(lengths):
        found.append(
            f"{share_of(num_short, len(lengths), 'records')} {has(num_short)} fewer than {SHORT_BP} bp, which hold "
            "hardly a motif: leave them out, or find out why they are so short"
        )
    if medians and max(medians.values()) >= DIFFERENT_LENGTH * min(medians.values()):
        each = ", ".join(f"{name} {median:,.0f} bp" for name, median in medians.items())
        found.append(
            f"the splits have records of different lengths (medians: {each}): the held-out records are of another kind "
            "than the training records, so find out how the splits were made"
        )
    figures = {"num_short": num_short, "short_bp": SHORT_BP, "median_by_split": medians}
    if found:
        return Check("lengths", "WARN", sentence_of(found), figures)
    sentence = f"Records of {lengths.min():,} to {lengths.max():,} bp, median {np.median(lengths):,.0f}"
    return Check("lengths", "PASS", sentence + (", alike in all splits." if len(medians) > 1 else "."), figures)


def check_unknown(examined: Examined) -> Check:
    """Are many bases N?"""
    shares = examined.base_counts.unknown
    total = float(examined.records.store.num_unknown[examined.records.indices].sum() / examined.records.lengths.sum())
    num_rich, num_empty = int((shares > MANY_UNKNOWN).sum()), int((shares == 1).sum())
    ids = [examined.records.ids[place] for place in np.argsort(-shares, kind="stable")[: min(num_rich, 10)].tolist()]
    figures = {"share": total, "num_rich": num_rich, "rich": MANY_UNKNOWN, "num_empty": num_empty, "ids": ids}
    if num_empty or num_rich >= WORTH_SAYING * len(examined):
        text = (
            f"{share_of(num_rich, len(examined), 'records')} {has(num_rich)} N in more than {percent(MANY_UNKNOWN)} of "
            f"their bases ({listed(ids, num_rich)})"
        )
        if num_empty:
            text += f", {num_empty:,} of them wholly"
        return Check("unknown", "WARN", f"{text}: leave them out, or get better assemblies.", figures)
    text = f"{percent(total)} of all bases are N" if total else "No base is N"
    if num_rich:
        text += f"; {count_of(num_rich, 'record')} {does('exceed', num_rich)} {percent(MANY_UNKNOWN)}"
    return Check("unknown", "PASS", text + ".", figures)
