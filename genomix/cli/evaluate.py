"""`genomix evaluate`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from genomix.cli import options
from genomix.cli.predict import BatchBases, Long, Strands, Stride
from genomix.errors import UsageError


def evaluate(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL] INPUT... [LABELS]",
            help="Run directory or model's folder, sequences, then the table of labels; "
            "with --predictions, the labels alone.",
        ),
    ] = None,
    predictions: Annotated[
        str | None, typer.Option("--predictions", "-p", help="Evaluate this table of predictions; no model is needed.")
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="Directory for metrics.json and predictions.tsv.")
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
    on_invalid: options.OnInvalid = "error",
    on_missing: options.OnMissing = "error",
    device: options.Device = "auto",
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure a model, or a table of predictions, on labelled records."""
    from genomix.runtime import choose_device, keep_freed_memory, set_threads

    options.start_log(quiet=quiet)
    if out is not None:
        options.check_directory(out, force=force)
    set_threads(threads)
    keep_freed_memory()

    from genomix import evaluate as evaluation

    if predictions is not None:
        tables = [*(inputs or []), *([labels] if labels else [])]
        if len(tables) != 1:
            raise UsageError(
                "--predictions takes one table of labels: genomix evaluate --predictions pred.tsv labels.tsv"
            )
        evaluated = evaluation.evaluate_predictions(predictions, tables[0], split=split, warn=options.warn)
        stated = {"predictions": predictions, "labels": tables[0], "split": split}
        title = predictions
    else:
        from genomix.data.labels import load_labelled
        from genomix.scoring import load_scorer

        model, *rest = inputs or [""]
        pairs = options.parse_class_files(class_files)
        if not model or not (rest or pairs):
            raise UsageError(
                "give a model, sequences and labels: genomix evaluate run/ test.fa test.tsv "
                "(or --predictions pred.tsv labels.tsv)"
            )
        scorer = load_scorer(
            model, device=choose_device(device), long=long, strands=strands, stride=stride, batch_bases=batch_bases
        )
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
            warn=options.warn,
        )
        for sentence in records.warnings:
            options.warn(sentence)
        evaluated = evaluation.evaluate_model(scorer, records, split=split, warn=options.warn)
        stated = {"model": model, "sequences": sequences, "labels": table, "split": split}
        title = model
    if out is not None:
        evaluation.write_evaluation(Path(out), evaluated, stated, force=force)
    if as_json:
        sys.stdout.write(json.dumps({**stated, "metrics": evaluated.metrics.to_dict()}, indent=2) + "\n")
    else:
        from genomix.cli.tables import print_metrics

        print_metrics(evaluated.metrics, title)
