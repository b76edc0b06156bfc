"""Checks of whether the class can be told by something that is not the sequence's meaning.

A class whose records are longer, have more N or begin with an adapter makes any network look perfect. GC and
dinucleotides may be biology, so that they are warned of only where hardly anything else is left to learn.
"""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from genomix.data.checks.check import STATUSES, Check
from genomix.data.checks.choice import Choice, choose
from genomix.data.checks.features import END_BP, FURTHER_BP, Feature, find_motif, make_features
from genomix.data.checks.predictability import NUM_FOLDS, Areas, Kind, measure_areas, predict_out_of_fold
from genomix.data.checks.wording import percent

if TYPE_CHECKING:
    from genomix.data.checks.examined import Examined

SUSPICIOUS = 0.65
"""ROC AUC, by the lower end of its interval, that is warned of: a right order in two of three pairs of records, more
than sampling brings about by chance."""
TELLING = 0.9
"""And that fails, for all classes or for one of several: nearly all of what a network can reach is there without the
sequence."""
CLASS_SUSPICIOUS = 0.8
"""Of one class of several, that is warned of: the best of many classes is higher than their mean by chance."""
NOTHING_ELSE = 0.95
"""Of GC and dinucleotides, that is warned of: hardly anything is left for longer patterns."""
CLEAR_EXCESS = 0.05
"""ROC AUC by which an end must be better than the bases further in, by the lower end of the interval of the
difference: what is equally so further in is composition, or an alignment of all records, and nothing about the end."""
MOTIF_BP = 8
TYPICAL = 0.2
"""Share of a class that must have a motif more often than others do for it to be shown."""


class Wording(NamedTuple):
    """What a feature is called, what to do about it, and whether what it tells is an artefact as a rule."""

    subject: str
    mend: str
    is_artefact: bool


_MIMIC = "a network may learn it in place of the sequence"
_BIOLOGY = "this may be biology, but leaves little to learn beyond it, so set the result against the k-mer baseline"
_TRIM = (
    "look there for an adapter, a primer or a cut at a fixed place, and trim it, unless it is biology and new records "
    "will {} like these"
)
WORDINGS = {
    "length_shortcut": Wording(
        "Length alone predicts",
        f"{_MIMIC}, so cut the records of all classes alike, unless new records will differ in length like these",
        True,
    ),
    "gc_shortcut": Wording("GC content alone predicts", _BIOLOGY, False),
    "unknown_shortcut": Wording(
        "The share of N alone predicts",
        f"{_MIMIC}, so find out why the classes differ in quality, or leave out the records with many N",
        True,
    ),
    "dinucleotide_shortcut": Wording("Frequencies of dinucleotides alone predict", _BIOLOGY, False),
    "start_shortcut": Wording(f"The first {END_BP} bases alone predict", _TRIM.format("begin"), True),
    "end_shortcut": Wording(f"The last {END_BP} bases alone predict", _TRIM.format("end"), True),
}


def check_shortcuts(examined: Examined) -> list[Check]:
    """How well do length, GC, N, dinucleotides and either end, each alone, predict the class, or any of the labels?"""
    choice = choose(examined)
    figures: dict[str, Any] = {
        "num_records": len(choice.places),
        "num_of": len(examined),
        "classes": choice.classes,
        "num_classes_of": len(examined.records.classes),
    }
    if len(choice.classes) < 2 - choice.is_multi:
        sentence = f"Too few records to tell: two classes of {NUM_FOLDS} different records (or groups) each are needed."
        return [Check(name, "PASS", sentence, figures) for name in WORDINGS]
    groups = examined.units[choice.places] if examined.groups is not None else None
    features = make_features(examined, choice.places)
    values: dict[str, tuple[Kind, np.ndarray]] = {
        name: (feature.kind, feature.values) for name, feature in features.items()
    }
    values |= {
        f"{name}/further": (feature.kind, feature.further)
        for name, feature in features.items()
        if feature.further is not None
    }
    varied = {name: one for name, one in values.items() if np.ptp(one[1], axis=0).any()}
    predictions = [predict_out_of_fold(*one, choice.truth, groups, examined.seed) for one in varied.values()]
    found = measure_areas(choice.truth, predictions, choice.with_class, choice.without, examined.seed)
    areas = dict(zip(varied, found, strict=True))
    return [
        _judge(name, feature, areas.get(name), areas.get(f"{name}/further"), choice, figures)
        for name, feature in features.items()
    ]


def _judge(
    name: str,
    feature: Feature,
    areas: Areas | None,
    further: Areas | None,
    choice: Choice,
    figures: dict[str, Any],
) -> Check:
    """Return the check of one feature from its areas; None where all records have the same value."""
    subject, mend, is_artefact = WORDINGS[name]
    if areas is None:
        figures = figures | {"roc_auc": 0.5, "low": 0.5, "high": 0.5}
        return Check(name, "PASS", f"{subject} nothing, as it is the same in all records.", figures)
    told, nouns = ("labels", "labels") if choice.is_multi else ("class", "classes")
    figures = figures | {"roc_auc": areas.value, "low": areas.low, "high": areas.high}
    verdict = _decide(areas, further, is_artefact=is_artefact)
    best = verdict.best
    found = f"ROC AUC {areas.value:.2f} ({_lower_end(areas.low)} to {areas.high:.2f}, chance 0.5)"
    if areas.is_mean:
        figures["by_class"] = dict(zip(choice.classes, areas.class_values.tolist(), strict=True))
        low = _lower_end(areas.class_lows[best])
        found += f', "{choice.classes[best]}" told best with {areas.class_values[best]:.2f} (from {low} on)'
    if choice.is_cut:
        found += f", looked for in the {len(choice.classes)} most frequent of {figures['num_classes_of']:,} {nouns}"
    status = STATUSES[verdict.level]
    if further is not None:
        figures |= {"further_roc_auc": further.value, "least_excess": verdict.excess}
        there = f"{further.value:.2f}"
        if areas.is_mean:
            there += f' ("{choice.classes[best]}" {further.class_values[best]:.2f})'
        if status == "PASS" and verdict.level_alone:
            text = f"{subject} the {told}, but hardly better than those {FURTHER_BP} bp further in: {found}, and there"
            reason = "that comes of composition or of records that are all aligned, not of an adapter"
            return Check(name, "PASS", f"{text} {there}; {reason}.", figures)
        found += f"; {FURTHER_BP} bp further in {there}"
    if status == "PASS":
        much = "little" if areas.value < SUSPICIOUS else "some" if areas.value < TELLING else "much"
        why = "" if much == "little" else ", not enough to warn of" if is_artefact else ", which may be biology"
        return Check(name, status, f"{subject} {much} of the {told}{why}: {found}.", figures)
    if feature.tokens is not None:
        motif = find_motif(feature.tokens, choice.truth, MOTIF_BP, is_start=name == "start_shortcut")
        label = choice.classes[motif.target]
        figures["motif"] = motif._asdict() | {"target": label}
        if motif.share - motif.share_of_others >= TYPICAL:
            found += (
                f'; {motif.letters} stands there in {percent(motif.share)} of "{label}" and in '
                f"{percent(motif.share_of_others)} of the others"
            )
    return Check(name, status, f"{subject} the {told} with {found}: {mend}.", figures)


class Verdict(NamedTuple):
    """What the areas of a feature come to.

    Attributes:
        level: Number of the status, the worst of all classes together and of each.
        level_alone: Likewise, whatever the bases further in tell.
        best: The class with the worst status, and of these that with the highest lower end.
        excess: Of an end, the lower end of what all classes together, or the best, are told better by than further in.
    """

    level: int
    level_alone: int
    best: int
    excess: float


def _decide(areas: Areas, further: Areas | None, *, is_artefact: bool) -> Verdict:
    """Judge all classes together, and each of several against the rest."""
    lows = np.array([areas.low, *(areas.class_lows if areas.is_mean else [])])
    if not is_artefact:
        level = int(areas.low >= NOTHING_ELSE)
        return Verdict(level, level, int(areas.class_lows.argmax()), 0.0)
    limits = np.full(len(lows), CLASS_SUSPICIOUS)
    limits[0] = SUSPICIOUS
    alone = (lows >= limits).astype(np.int64) + (lows >= TELLING)
    levels, excess = alone, np.zeros(len(lows))
    if further is not None:
        there = np.array([further.value, *further.class_values])[: len(lows)]
        drawn = np.vstack([areas.drawn - further.drawn, areas.class_drawn - further.class_drawn])[: len(lows)]
        excess = np.nanquantile(drawn, 0.025, axis=1)
        capped = np.where(there >= SUSPICIOUS, np.minimum(alone, STATUSES.index("WARN")), alone)
        levels = np.where(excess < CLEAR_EXCESS, STATUSES.index("PASS"), capped)
    best = int(np.lexsort((lows[1:], alone[1:], levels[1:]))[-1]) if areas.is_mean else 1
    of_best = excess[1 + best] if areas.is_mean else excess[0]
    return Verdict(int(levels.max()), int(alone.max()), best, float(max(excess[0], of_best)))


def _lower_end(low: float) -> str:
    """Return what limits are compared with, with a third digit, rounded down, where two might hide its side of one."""
    is_near = any(f"{low:.2f}" == f"{limit:.2f}" for limit in (SUSPICIOUS, CLASS_SUSPICIOUS, TELLING, NOTHING_ELSE))
    return f"{floor(1000 * low) / 1000:.3f}" if is_near else f"{low:.2f}"
