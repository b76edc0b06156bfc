"""`genomix predict`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genomix.cli import options, tracks
from genomix.errors import UsageError
from genomix.stopping import Stopping, seconds_to_stop

if TYPE_CHECKING:
    from genomix.scoring import AnyScorer

ModelPath = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Run directory, model's folder, or the weights in it; or a directory of several runs. Further ones may "
        "follow: several models predict together.",
    ),
]
Long = Annotated[
    Literal["window", "whole", "crop"] | None,
    typer.Option(
        "--long", help="Records longer than the model reads: cover with windows, read whole, or read the middle."
    ),
]
Strands = Annotated[
    Literal["forward", "both"] | None,
    typer.Option(
        "--strands", help="both: mean over the record and its reverse complement; as the model says by default."
    ),
]
Stride = Annotated[
    int | None,
    typer.Option(
        "--stride", min=1, help="bp between windows; as wide as the windows by default, a quarter of them for tracks."
    ),
]
BatchBases = Annotated[int | None, typer.Option("--batch-bases", min=1, help="Most bases computed at once.")]
MinConfidence = Annotated[
    float | None,
    typer.Option(
        "--min-confidence", help="Give no label where its probability is below this; the row stays.", show_default=False
    ),
]
Coverage = Annotated[
    float | None,
    typer.Option(
        "--coverage",
        help="Give each record a set of labels, which holds the right one in this share of records like those of "
        "training, such as 0.9.",
        show_default=False,
    ),
]
NoCalibration = Annotated[
    bool, typer.Option("--no-calibration", help="Leave the probabilities as the network gives them.")
]
Shard = Annotated[
    str | None,
    typer.Option("--shard", metavar="N/COUNT", help="Only this part of the records; genomix merge joins the tables."),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on where this command was stopped or killed; else begin, as without it.")
]


def predict(
    context: typer.Context,
    model: ModelPath,
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Sequence files, directories of them, or - for stdin.")
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "--out",
            "-o",
            help="Table to write: .tsv, .csv, .tsv.gz, .csv.gz or .parquet; - is stdout. Or tracks along sequences: "
            ".bw, .bedgraph, .bed; with --window or --regions also .parquet and .tsv.",
        ),
    ] = "-",
    long: Long = None,
    strands: Strands = None,
    stride: Stride = None,
    batch_bases: BatchBases = None,
    min_confidence: MinConfidence = None,
    coverage: Coverage = None,
    no_calibration: NoCalibration = False,
    shard: Shard = None,
    resume: Resume = False,
    window: tracks.WindowSize = None,
    regions: tracks.RegionsPath = None,
    classes: tracks.Classes = None,
    max_unknown: tracks.MaxUnknown = None,
    on_invalid: options.OnInvalid = "error",
    device: options.Device = "auto",
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Write one row a record: id, length, label, confidence, a probability for each class, status and note.

    Where the output is a track (or --window or --regions is given): the probabilities along sequences, such as
    genomes, from windows that overlap.
    """
    stop = context.with_resource(Stopping().watching(seconds_to_stop(None)))

    from genomix.data.predictions import check_output
    from genomix.data.shards import parse_shard
    from genomix.runtime import choose_device, keep_freed_memory, set_threads

    console = options.start_log(quiet=quiet)
    own_shard = None if shard is None else parse_shard(shard)
    is_track = tracks.is_asked_for(output, window=window, regions=regions)
    if is_track:
        others = {"--long": long, "--min-confidence": min_confidence, "--coverage": coverage, "--shard": own_shard}
        tracks.check_options(output, others)
    else:
        tracks.refuse_options({"--classes": classes, "--max-unknown": max_unknown})
        if not resume:
            check_output(output, force=force)
    with stop.deferred():
        set_threads(threads)
        keep_freed_memory()

        from genomix.predict import predict as predict_records
        from genomix.scoring import load_scorer, make_answers

        models, sequences = split_models([model, *inputs])
        if not sequences:
            raise UsageError("give sequences after the models: genomix predict run/ new.fa")
        scorer = load_scorer(
            models,
            device=choose_device(device),
            long=long,
            strands=strands,
            stride=None if is_track else stride,
            batch_bases=batch_bases,
            calibrated=not no_calibration,
        )
        stop.check("before anything was computed")
    if is_track:
        from genomix.tracks import choose_settings

        settings = choose_settings(scorer, window=window, stride=stride, classes=classes, max_unknown=max_unknown)
        options.say(describe_probabilities(scorer))
        tracks.write(
            settings,
            sequences,
            output,
            regions=regions,
            on_invalid=on_invalid,
            force=force,
            resume=resume,
            progress=tracks.TrackProgress(console, quiet=quiet),
            stopping=stop,
        )
        return
    answers = make_answers(scorer, min_confidence=min_confidence, coverage=coverage)
    options.say(describe_probabilities(scorer))
    began = time.monotonic()
    summary = predict_records(
        scorer,
        sequences,
        output,
        answers=answers,
        on_invalid=on_invalid,
        force=force,
        warn=options.warn,
        shard=own_shard,
        resume=resume,
    )
    for sentence in summary.report.warnings():
        options.warn(sentence)
    seconds = time.monotonic() - began
    labels = ", ".join(f"{label} {count}" for label, count in summary.labels.most_common())
    flagged = ", ".join(f"{status} {count}" for status, count in sorted(summary.statuses.items()) if status != "ok")
    options.say(
        f"{summary.num_records} records, {summary.num_bases} bp in {seconds:.1f} s "
        f"({summary.num_bases / seconds / 1000:.0f} kbp/s): {labels}" + (f"; flagged: {flagged}" if flagged else "")
    )


def split_models(words: list[str]) -> tuple[list[str], list[str]]:
    """Tell models from what follows: the first word is one, and so are those after it that look like models."""
    from genomix.checkpoint import is_model

    num_models = 1
    while num_models < len(words) and is_model(words[num_models]):
        num_models += 1
    return words[:num_models], words[num_models:]


def describe_probabilities(scorer: AnyScorer) -> str:
    """Say whose probabilities these are, and whether they are calibrated."""
    members = scorer.members
    found = [
        f"temperature {member.calibration.temperature:.3g} from {member.calibration.num_records} "
        f"{member.calibration.kind} records"
        for member in members
        if member.calibration is not None
    ]
    of = f"the mean of {len(members)} models, " if len(members) > 1 else ""
    if not found:
        reason = "" if not members[0].calibrated else ": there is no calibration.json"
        return f"probabilities: {of}not calibrated{reason}"
    some = "" if len(found) == len(members) else f"{len(members) - len(found)} of them not "
    return f"probabilities: {of}{some}calibrated ({'; '.join(found)})"
