"""`genomix explain`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from genomix.cli import options
from genomix.cli.embed import RunPath, Sequences, load_one
from genomix.cli.predict import BatchBases
from genomix.errors import UsageError


def explain(
    run: RunPath,
    inputs: Sequences,
    output: Annotated[str, typer.Option("--output", "--out", "-o", help="Directory to write.")],
    method: Annotated[
        Literal["mutagenesis", "gradient", "mixing"],
        typer.Option(
            "--method",
            help="mutagenesis: replace each base by each other; gradient: integrated gradients; mixing: what each "
            "position weighs in the pooled output (Paramixer).",
        ),
    ] = "gradient",
    regions: Annotated[
        list[str] | None,
        typer.Option(
            "--region", help="id:start-end, from 0 and without the end, as in BED; or a record's id. May come again."
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option("--class", help="What is explained; by default the class that the model chooses.")
    ] = None,
    against: Annotated[
        str | None, typer.Option("--against", help="The class it is held against; all others by default.")
    ] = None,
    strands: Annotated[
        Literal["forward", "both"],
        typer.Option("--strands", help="forward: the strand as given; both: mean of what is found on either."),
    ] = "forward",
    long: Annotated[
        Literal["window", "whole"],
        typer.Option("--long", help="Records longer than the model reads: the bases around a region, or the whole."),
    ] = "window",
    baseline: Annotated[
        Literal["shuffled", "uniform", "unknown"] | None,
        typer.Option(
            "--baseline",
            help="gradient: the bases of the record shuffled (8 times, the default), a quarter of each base, or N "
            "everywhere.",
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="gradient: points of the integral; 32 by default.")
    ] = None,
    max_evaluations: Annotated[
        int | None,
        typer.Option(
            "--max-evaluations", min=1, help="mutagenesis: most applications of the model; 50,000 by default."
        ),
    ] = None,
    kmer_length: Annotated[int, typer.Option("--kmer-length", help="bp of the words of top_kmers.tsv, 1 to 10.")] = 6,
    plots: Annotated[int, typer.Option("--plots", min=0, help="Pictures of the first so many regions.")] = 10,
    batch_bases: BatchBases = None,
    on_invalid: options.OnInvalid = "error",
    device: options.Device = "auto",
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Write what each base does to the score of a class: tracks, tables, top k-mers and pictures."""
    from genomix.runtime import choose_device, keep_freed_memory, set_threads

    options.start_log(quiet=quiet)
    _check_method(method, "gradient", {"--baseline": baseline, "--steps": steps})
    _check_method(method, "mutagenesis", {"--max-evaluations": max_evaluations})
    options.check_directory(output, force=force)
    set_threads(threads)
    keep_freed_memory()
    chosen = choose_device(device)
    model = load_one(run, inputs, chosen, "explain")

    from genomix.explain import Explainer
    from genomix.explain import explain as explain_records
    from genomix.explain.run import MOST_EVALUATIONS
    from genomix.scoring import DEFAULT_BATCH_BASES

    ways: dict[str, Any] = {"baseline": baseline, "steps": steps}
    explainer = Explainer(
        model,
        method,
        label,
        against,
        strands,
        device=chosen,
        batch_bases=batch_bases or model.config.prediction.batch_bases or DEFAULT_BATCH_BASES,
        **{name: value for name, value in ways.items() if value is not None},
    )
    began = time.monotonic()
    summary = explain_records(
        explainer,
        inputs,
        output,
        regions=regions or (),
        long=long,
        max_evaluations=max_evaluations or MOST_EVALUATIONS,
        kmer_length=kmer_length,
        most_plots=plots,
        on_invalid=on_invalid,
        force=force,
        warn=options.warn,
        say=options.say,
    )
    for sentence in summary.report.warnings():
        options.warn(sentence)
    options.say(
        f"{output}: {method} of {summary.num_bases} bp in {summary.num_explained} pieces, "
        f"{time.monotonic() - began:.1f} s"
    )


def _check_method(method: str, own: str, given: Mapping[str, Any]) -> None:
    """Check that options of one method are not given for another.

    Raises:
        UsageError: If one is.
    """
    for option, value in given.items():
        if method != own and value is not None:
            raise UsageError(f"{option} {value}: goes with --method {own} only, not with {method}; leave it out")
