"""`genomix evaluate`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from genomix.cli import options
from genomix.cli.predict import (
    BatchBases,
    Coverage,
    Long,
    MinConfidence,
    NoCalibration,
    Strands,
    Stride,
    describe_probabilities,
    split_models,
)
from genomix.errors import UsageError


def evaluate(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL...] INPUT... [LABELS]",
            help="Run directories or models' folders, sequences, then the table of labels; "
            "with --predictions, the labels alone.",
        ),
    ] = None,
    predictions: Annotated[
        str | None, typer.Option("--predictions", "-p", help="Evaluate this table of predictions; no model is needed.")
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="Directory for metrics.json, predictions.tsv and report.html.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics as JSON, not as tables.")] = False,
    split: Annotated[
        Literal["train", "val", "test"] | None,
        typer.Option("--split", help="Evaluate only records of this split of the labels."),
    ] = None,
    labels: options.Labels = None,
    label_regex: options.LabelRegex = None,
    class_files: options.ClassFiles = None,
    long: Long = None,
    strands: Strands = None,
    stride: Stride = None,
    batch_bases: BatchBases = None,
    min_confidence: MinConfidence = None,
    coverage: Coverage = None,
    no_calibration: NoCalibration = False,
    multi_label: Annotated[
        bool,
        typer.Option("--multi-label", help="With --predictions: records may have several labels (a;b), or none (-)."),
    ] = False,
    levels: options.Levels = None,
    on_invalid: options.OnInvalid = "error",
    on_missing: options.OnMissing = "error",
    device: options.Device = "auto",
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure a model, or a table of predictions, on labelled records."""
    from genomix.data.levels import parse_levels
    from genomix.runtime import choose_device, keep_freed_memory, set_threads

    options.start_log(quiet=quiet)
    pairs = options.parse_class_files(class_files)
    set_threads(threads)
    keep_freed_memory()

    from genomix import evaluate as evaluation

    if out is not None:
        named = [*(inputs or []), predictions, labels, *(file for _, file in pairs)]
        evaluation.check_replaceable(Path(out), [path for path in named if path not in (None, "-")])
        options.check_directory(out, force=force)

    if predictions is not None:
        tables = [*(inputs or []), *([labels] if labels else [])]
        if len(tables) != 1:
            raise UsageError(
                "--predictions takes one table of labels: genomix evaluate --predictions pred.tsv labels.tsv"
            )
        if coverage is not None:
            raise UsageError(
                "--coverage makes sets of labels, for which a model is needed; sets that are in the table "
                "(genomix predict --coverage) are measured as they are"
            )
        evaluated = evaluation.evaluate_predictions(
            predictions,
            tables[0],
            split=split,
            min_confidence=min_confidence,
            multi_label=multi_label,
            levels=parse_levels(levels) if levels else (),
            warn=options.warn,
        )
        stated = {"predictions": predictions, "labels": tables[0], "split": split}
        title = predictions
    else:
        from genomix.data.labels import LabelKind, load_labelled
        from genomix.scoring import load_scorer

        models, rest = split_models(inputs) if inputs else ([], [])
        if levels is not None:
            raise UsageError("--levels is for --predictions; a model knows the levels of its labels")
        if not models or not (rest or pairs):
            raise UsageError(
                "give a model, sequences and labels: genomix evaluate run/ test.fa test.tsv "
                "(or --predictions pred.tsv labels.tsv)"
            )
        scorer = load_scorer(
            models,
            device=choose_device(device),
            long=long,
            strands=strands,
            stride=stride,
            batch_bases=batch_bases,
            calibrated=not no_calibration,
        )
        known = scorer.members[0].model
        sequences, table = options.split_inputs(rest, labels, labelled_otherwise=bool(label_regex or pairs))
        records = load_labelled(
            sequences,
            table,
            label_regex=label_regex,
            class_files=pairs,
            on_invalid=on_invalid,
            on_missing=on_missing,
            min_per_class=1,
            min_classes=1,
            kind=LabelKind(known.is_multi_label, known.config.data.levels or ()),
            warn=options.warn,
        )
        options.say(describe_probabilities(scorer))
        evaluated = evaluation.evaluate_model(
            scorer, records, split=split, min_confidence=min_confidence, coverage=coverage, warn=options.warn
        )
        model = models[0] if len(models) == 1 else models
        stated = {"model": model, "sequences": sequences, "labels": table, "split": split}
        title = ", ".join(models)
    if out is not None:
        from genomix.report import write_report

        evaluation.write_evaluation(Path(out), evaluated, stated, force=force)
        options.say(f"report: {write_report(Path(out))}")
    if as_json:
        sys.stdout.write(json.dumps(stated | evaluated.to_dict(), indent=2) + "\n")
    else:
        from genomix.cli.tables import print_answers, print_levels, print_metrics

        print_metrics(evaluated.metrics, title)
        if evaluated.levels:
            print_levels(evaluated.levels)
        print_answers(evaluated.answered, evaluated.coverage)
