"""Explanations: sequences in, a directory of tracks, tables and pictures out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from genomix.data.records import OnInvalid, ReadReport, expand_inputs, read_records
from genomix.errors import DataError, UsageError
from genomix.explain.explainer import Explainer
from genomix.explain.kmers import KmerTable
from genomix.explain.mutagenesis import count_evaluations
from genomix.explain.output import ExplanationWriter
from genomix.explain.reading import Reading, choose_readings, parse_region
from genomix.explain.saliency import Saliency
from genomix.explain.score import logits

Long = Literal["window", "whole"]
MOST_EVALUATIONS = 50_000
GAP = 0.05
"""Share of the difference of scores that may be missing in a sum of integrated gradients before it is said."""


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
