"""Checks of whether the class can be told by something that is not the sequence's meaning.

A class whose records are longer, have more N or begin with an adapter makes any network look perfect. GC and
dinucleotides may be biology, so that they are warned of only where hardly anything else is left to learn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from genomix.data.checks.check import Check, Status
from genomix.data.checks.features import END_BP, FURTHER_BP, Feature, find_motif, make_features
from genomix.data.checks.predictability import NUM_FOLDS, Areas, Kind, measure_areas, predict_out_of_fold
from genomix.data.checks.wording import percent

if TYPE_CHECKING:
    from genomix.data.checks.examined import Examined

SUSPICIOUS = 0.65
"""ROC AUC, by the lower end of its interval, that is warned of: a right order in two of three pairs of records, more
than sampling brings about by chance."""
TELLING = 0.9
"""And that fails: nearly all of what a network can reach is there without the sequence. One class of several that is
told from the rest by so much is warned of as well."""
NOTHING_ELSE = 0.95
"""Of GC and dinucleotides, that is warned of: hardly anything is left for longer patterns."""
CLEAR_EXCESS = 0.05
"""ROC AUC by which an end must be better than the bases further in, by the lower end of the interval of the
difference: what is equally so further in is composition, or an alignment of all records, and nothing about the end."""
MOST_RECORDS = {True: 5_000, False: 50_000}
"""Records looked at, by whether the checks are the fast ones: 5,000 give intervals of about 3 hundredths."""
MOST_PROBABILITIES = {True: 60_000, False: 500_000}
"""Likewise records times classes, as resampling takes about 0.1 s for 10,000 of them and a feature."""
FEWEST_OF_A_CLASS = 20
"""Records of a class that are drawn at least, if there are so many."""
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
    """How well do length, GC, N, dinucleotides and either end, each alone, predict the class?"""
    places = choose_records(examined)
    targets = examined.records.targets[places]
    kept, targets = np.unique(targets, return_inverse=True)
    classes = [examined.names[target] for target in kept.tolist()]
    size = {"num_records": len(places), "num_of": len(examined), "classes": classes}
    if len(classes) < 2:
        sentence = f"Too few records to tell: two classes of {NUM_FOLDS} different records (or groups) each are needed."
        return [Check(name, "PASS", sentence, size) for name in WORDINGS]
    units = examined.units[places]
    num_units = np.array([len(np.unique(units[targets == target])) for target in range(len(classes))])
    groups = units if examined.groups is not None else None
    features = make_features(examined, places)
    values: dict[str, tuple[Kind, np.ndarray]] = {
        name: (feature.kind, feature.values) for name, feature in features.items()
    }
    values |= {
        f"{name}/further": (feature.kind, feature.further)
        for name, feature in features.items()
        if feature.further is not None
    }
    varied = {name: one for name, one in values.items() if np.ptp(one[1], axis=0).any()}
    predictions = [predict_out_of_fold(*one, targets, groups, examined.seed) for one in varied.values()]
    areas = dict(zip(varied, measure_areas(targets, predictions, num_units, examined.seed), strict=True))
    return [
        _judge(name, feature, areas.get(name), areas.get(f"{name}/further"), targets, size)
        for name, feature in features.items()
    ]


def choose_records(examined: Examined) -> np.ndarray:
    """Return the places to look at, rising: no copies, no class too small to be cross-validated, a sample of the rest.

    The sample is stratified, with at least `FEWEST_OF_A_CLASS` of each class.
    """
    places = np.sort(np.unique(examined.identical.groups, return_index=True)[1])
    targets, units = examined.records.targets[places], examined.units[places]
    num_units = [len(np.unique(units[targets == target])) for target in range(len(examined.names))]
    places = places[np.isin(targets, np.flatnonzero(np.array(num_units) >= NUM_FOLDS))]
    most = min(MOST_RECORDS[examined.fast], MOST_PROBABILITIES[examined.fast] // len(examined.names))
    if len(places) <= most:
        return places
    rng = np.random.default_rng(examined.seed)
    chosen = []
    for target in range(len(examined.names)):
        own = places[examined.records.targets[places] == target]
        wanted = max(FEWEST_OF_A_CLASS, round(most * len(own) / len(places)))
        chosen.append(rng.permutation(own)[:wanted])
    return np.sort(np.concatenate(chosen))


def _judge(
    name: str,
    feature: Feature,
    areas: Areas | None,
    further: Areas | None,
    targets: np.ndarray,
    figures: dict[str, Any],
) -> Check:
    """Return the check of one feature from its areas; None where all records have the same value."""
    subject, mend, is_artefact = WORDINGS[name]
    if areas is None:
        figures = figures | {"roc_auc": 0.5, "low": 0.5, "high": 0.5}
        return Check(name, "PASS", f"{subject} nothing, as it is the same in all records.", figures)
    classes: list[str] = figures["classes"]
    figures = figures | {"roc_auc": areas.value, "low": areas.low, "high": areas.high}
    best = int(areas.class_lows.argmax())
    found = f"ROC AUC {areas.value:.2f} ({areas.low:.2f} to {areas.high:.2f}, chance 0.5)"
    if len(classes) > 2:
        figures["by_class"] = dict(zip(classes, areas.class_values.tolist(), strict=True))
        found += f', "{classes[best]}" told best with {areas.class_values[best]:.2f}'
    status = _level(areas, best, is_artefact=is_artefact)
    if further is not None:
        excess = np.nanquantile(areas.drawn - further.drawn, 0.025)
        excess_of_best = np.nanquantile(areas.class_drawn[best] - further.class_drawn[best], 0.025)
        figures |= {"further_roc_auc": further.value, "least_excess": float(max(excess, excess_of_best))}
        if status != "PASS" and figures["least_excess"] < CLEAR_EXCESS:
            text = f"{subject} the class, but hardly better than those {FURTHER_BP} bp further in: {found}, and there"
            reason = "that comes of composition or of records that are all aligned, not of an adapter"
            return Check(name, "PASS", f"{text} {further.value:.2f}; {reason}.", figures)
        if status == "FAIL" and further.value >= SUSPICIOUS:
            status = "WARN"
        found += f"; {FURTHER_BP} bp further in {further.value:.2f}"
    if status == "PASS":
        much = "little" if areas.value < SUSPICIOUS else "some" if areas.value < TELLING else "much"
        why = "" if much == "little" else ", not enough to warn of" if is_artefact else ", which may be biology"
        return Check(name, status, f"{subject} {much} of the class{why}: {found}.", figures)
    if feature.tokens is not None:
        motif = find_motif(feature.tokens, targets, MOTIF_BP, is_start=name == "start_shortcut")
        figures["motif"] = motif._asdict() | {"target": classes[motif.target]}
        if motif.share - motif.share_of_others >= TYPICAL:
            found += (
                f'; {motif.letters} stands there in {percent(motif.share)} of "{classes[motif.target]}" and in '
                f"{percent(motif.share_of_others)} of the others"
            )
    return Check(name, status, f"{subject} the class with {found}: {mend}.", figures)


def _level(areas: Areas, best: int, *, is_artefact: bool) -> Status:
    if not is_artefact:
        return "WARN" if areas.low >= NOTHING_ELSE else "PASS"
    if areas.low >= TELLING:
        return "FAIL"
    return "WARN" if areas.low >= SUSPICIOUS or areas.class_lows[best] >= TELLING else "PASS"
