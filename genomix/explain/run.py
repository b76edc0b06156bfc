"""Explanations: sequences in, a directory of tracks, tables and pictures out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from genomix.checkpoint import Model
from genomix.data.records import OnInvalid, ReadReport, expand_inputs, read_records
from genomix.data.vocabulary import reverse_complement
from genomix.errors import DataError, UsageError
from genomix.explain.gradient import Baseline, gradient, over_one_hot
from genomix.explain.kmers import KmerTable
from genomix.explain.mixing import check_mixing, mixing
from genomix.explain.mutagenesis import count_evaluations, mutagenesis
from genomix.explain.output import ExplanationWriter
from genomix.explain.reading import Reading, choose_readings, parse_region
from genomix.explain.saliency import Saliency, mean_of_strands
from genomix.explain.score import Score, find_class, logits, make_score
from genomix.scoring import DEFAULT_BATCH_BASES

Method = Literal["mutagenesis", "gradient", "mixing"]
Long = Literal["window", "whole"]
MOST_EVALUATIONS = 50_000
GAP = 0.05
"""Share of the difference of scores that may be missing in a sum of integrated gradients before it is said."""


@dataclass(frozen=True)
class Explainer:
    """A method, and how it is applied.

    Attributes:
        model: What is explained.
        method: `mutagenesis`, `gradient` or `mixing`; see the modules of these names.
        label: The class; None for the one that the model chooses, record by record.
        against: The class it is held against; None for all others.
        strands: `forward`, the strand as given; `both`, the mean of what is found on it and on the other.
        baseline, steps: Of `gradient`, see there.
        device: Where the model is.
        batch_bases: Bases computed at once.

    Raises:
        UsageError: If the model has no such class, or the method is not for such models.
    """

    model: Model
    method: Method
    label: str | None = None
    against: str | None = None
    strands: Literal["forward", "both"] = "forward"
    baseline: Baseline = "shuffled"
    steps: int = 32
    device: str = "cpu"
    batch_bases: int = DEFAULT_BATCH_BASES

    def __post_init__(self) -> None:
        """Check that model, method and classes go together."""
        if self.label is not None:
            make_score(self.model, self.label, self.against)
        elif self.against is not None:
            find_class(self.model.classes, self.against, "--against")
            raise UsageError(f"--against {self.against}: name the class that is explained as well, with --class")
        if self.method == "mixing":
            check_mixing(self.model)
        elif self.method == "gradient":
            over_one_hot(self.model)

    @property
    def num_strands(self) -> int:
        """How many strands are read."""
        return 2 if self.strands == "both" else 1

    @property
    def is_of_network(self) -> bool:
        """Whether only the network is explained, and not the k-mers that speak beside it: they have no gradient."""
        return self.model.composition is not None and self.method != "mutagenesis"

    def explain(self, reading: Reading) -> tuple[Score, float, Saliency]:
        """Return what is explained, its value for this reading (mean over strands), and what was found."""
        strands = [reading.tokens, reverse_complement(reading.tokens)][: self.num_strands]
        found = logits(self.model, strands, self.device, self.batch_bases).mean(0)
        label = self.model.classes[int(found.argmax())] if self.label is None else self.label
        score = make_score(self.model, label, self.against)
        if self.is_of_network:
            found = logits(self.model, strands, self.device, self.batch_bases, alone=True).mean(0)
        within = reading.explained
        forward = self._apply(strands[0], score, within.start, within.stop)
        value = float(found @ score.weights)
        if len(strands) == 1:
            return score, value, forward
        size = len(reading.tokens)
        other = self._apply(strands[1], score, size - within.stop, size - within.start)
        return score, value, mean_of_strands(forward, other.flipped())

    def _apply(self, tokens: np.ndarray, score: Score, start: int, end: int) -> Saliency:
        where: dict[str, Any] = {"device": self.device}
        match self.method:
            case "mutagenesis":
                return mutagenesis(self.model, tokens, score, start, end, batch_bases=self.batch_bases, **where)
            case "gradient":
                ways: dict[str, Any] = {"baseline": self.baseline, "steps": self.steps, "batch_bases": self.batch_bases}
                return gradient(self.model, tokens, score, **ways, **where)
            case _:
                return mixing(self.model, tokens, score, **where)


@dataclass
class Summary:
    """What was explained.

    Attributes:
        num_explained: Records or regions.
        num_bases: Bases of them.
        report: What the readers counted.
    """

    num_explained: int
    num_bases: int
    report: ReadReport


def explain(
    explainer: Explainer,
    paths: Sequence[str],
    directory: str | Path,
    *,
    regions: Sequence[str] = (),
    long: Long = "window",
    max_evaluations: int = MOST_EVALUATIONS,
    kmer_length: int = 6,
    most_plots: int = 10,
    on_invalid: OnInvalid = "error",
    force: bool = False,
    warn: Callable[[str], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Summary:
    """Write why a model says what it says of some records, or of regions of them, into a directory.

    Args:
        explainer: The model and the method.
        paths: Sequence files, directories, or `-` for stdin.
        directory: New or empty.
        regions: `id:start-end`, half-open and from 0; all records whole where there is none.
        long: Of records longer than the model reads at once: `window`, the bases around a region; `whole`, all.
        max_evaluations: Most applications of the model by mutagenesis.
        kmer_length: bp of the words of `top_kmers.tsv`.
        most_plots: Pictures that are drawn.
        on_invalid: What to do with records that hold other letters than nucleotide codes.
        force: Write into a directory that holds something.
        warn: Called with each thing that may be wrong.
        say: Called with what is done.

    Raises:
        UsageError: If a region is not there, or the work is more than `max_evaluations`.
        DataError: If the data are bad.
        NoInputError: If an input is missing or there is no record.
        CannotWriteError: If the directory cannot be written.
    """
    model = explainer.model
    KmerTable(kmer_length)
    places = [parse_region(region) for region in dict.fromkeys(regions)]
    if long == "whole" and model.config.model.is_position_bound:
        raise UsageError(
            f"--long whole: this model has a place for each of {model.max_length} bases and no more; use --region"
        )
    if explainer.is_of_network and model.composition is not None:
        warn(
            f"--method {explainer.method} explains the network alone (weight {model.composition.network:.3g}), not the "
            f"k-mers that the model counts beside it (weight {model.composition.kmers:.3g}); mutagenesis explains both"
        )
    report = ReadReport()
    records = read_records(expand_inputs(paths, warn), on_invalid=on_invalid, report=report)
    readings = choose_readings(records, places, model.max_length, whole=long == "whole")
    if explainer.method == "mutagenesis":
        _check_effort(explainer, readings, max_evaluations, say)
    names = {"mutagenesis": ["attribution", "effect"], "mixing": ["attribution", "influence"]}
    columns = [f"delta_{base}" for base in "ACGT"] if explainer.method == "mutagenesis" else []
    with ExplanationWriter(
        directory,
        {reading.id: reading.length for reading in readings},
        names.get(explainer.method, ["attribution"]),
        columns,
        kmer_length=kmer_length,
        most_plots=most_plots,
        unit=_unit(explainer),
        force=force,
    ) as writer:
        for reading in readings:
            score, value, found = explainer.explain(reading)
            _warn_of_gap(found, reading, warn)
            writer.write(reading, score.label, found, {"score": value, "formula": score.formula})
        of = {"explained": "network" if explainer.is_of_network else "model"}
        writer.finish({"model": str(model.path), "method": explainer.method, "strands": explainer.strands} | of)
    return Summary(len(readings), sum(reading.end - reading.start for reading in readings), report)


def _check_effort(
    explainer: Explainer, readings: Sequence[Reading], max_evaluations: int, say: Callable[[str], None]
) -> None:
    """Say how much there is to compute, and how long that takes; raise a UsageError where it is too much."""
    counts = [
        explainer.num_strands * count_evaluations(reading.tokens, reading.explained.start, reading.explained.stop)
        for reading in readings
    ]
    if sum(counts) == explainer.num_strands * len(readings):
        raise DataError("there is no known base (A, C, G, T) to replace in what is to be explained")
    longest = max(readings, key=lambda reading: len(reading.tokens)).tokens
    batch = [longest] * max(1, min(explainer.batch_bases // len(longest), max(counts)))
    timed = batch[: 1 + len(batch) // 4]
    logits(explainer.model, timed, explainer.device, explainer.batch_bases)  # the first time compiles
    began = time.monotonic()
    logits(explainer.model, timed, explainer.device, explainer.batch_bases)
    a_base = (time.monotonic() - began) / (len(longest) * len(timed))
    total = a_base * sum(count * len(reading.tokens) for count, reading in zip(counts, readings, strict=True))
    effort = f"{sum(counts):,} evaluations of the model, each of up to {len(longest):,} bp, about {_duration(total)}"
    if sum(counts) > max_evaluations:
        raise UsageError(
            f"mutagenesis of {sum(reading.end - reading.start for reading in readings):,} bp takes {effort}; choose "
            f"less with --region, take --method gradient, or allow it with --max-evaluations {sum(counts)}"
        )
    say(f"mutagenesis: {effort}")


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.0f} h"
    )


def _warn_of_gap(found: Saliency, reading: Reading, warn: Callable[[str], None]) -> None:
    gaps, wholes = (np.ravel(found.facts.get(name, 0.0)) for name in ("gap", "score_above_baseline"))
    if np.any(np.abs(gaps) > GAP * np.abs(wholes)):
        gap, whole = max(zip(gaps, wholes, strict=True), key=lambda pair: abs(pair[0]))
        warn(
            f"{reading.id}:{reading.start}-{reading.end}: the attributions miss {gap:.3g} of {whole:.3g}, what the "
            "score lies above that of the baseline; take more --steps"
        )


def _unit(explainer: Explainer) -> str:
    if explainer.method == "mutagenesis":
        return "loss of score where the base is replaced"
    return "share in the score above " + ("the baseline" if explainer.method == "gradient" else "the median position")
