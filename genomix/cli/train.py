"""`genomix train`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from genomix.cli import options
from genomix.errors import UsageError


def train(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT... [LABELS]",
            help="Sequence files (FASTA, FASTQ or a table with a sequence column; plain, gz, bz2, xz or zst), a "
            "directory of them, or - for stdin; then the table of labels, unless another option or the table itself "
            "has them.",
        ),
    ] = None,
    out: Annotated[str, typer.Option("--out", "-o", help="Run directory to write.")] = "run",
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Preset (see genomix models), paramixer by default, or a model's folder."),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option("--config", "-c", help="Configuration to start from, such as another run's config.yaml."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value of the configuration, e.g. model.encoder.protocol=cdil."),
    ] = None,
    labels: options.Labels = None,
    label_regex: options.LabelRegex = None,
    class_files: options.ClassFiles = None,
    split: options.Split = None,
    similarity: options.Similarity = None,
    splits_path: options.SplitsPath = None,
    folds: Annotated[
        int | None, typer.Option("--folds", help="Train so many models, each tested on the fold it has not seen.")
    ] = None,
    ensemble: Annotated[
        int | None, typer.Option("--ensemble", help="Train so many models of other seeds, to predict by their mean.")
    ] = None,
    multi_label: options.MultiLabel = None,
    levels: options.Levels = None,
    positive: Annotated[
        str | None, typer.Option("--positive", help="The class that is looked for, where there are two.")
    ] = None,
    max_length: Annotated[
        int | None, typer.Option("--max-length", help="bp the network reads at once; from the data by default.")
    ] = None,
    max_epochs: Annotated[int | None, typer.Option("--max-epochs", help="Most passes over the records.")] = None,
    max_time: Annotated[
        str | None, typer.Option("--max-time", help="Most time to train, e.g. 45m or 2h; the schedule ends with it.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", "--lr", help="The highest one, behind the warm-up.")
    ] = None,
    batch_records: Annotated[int | None, typer.Option("--batch-records", help="Records in a step.")] = None,
    batch_bases: Annotated[
        int | None, typer.Option("--batch-bases", help="Most bases computed at once; from the memory by default.")
    ] = None,
    classes: Annotated[
        Literal["natural", "weighted", "sampled"] | None,
        typer.Option(
            "--classes", help="Rare classes: as they are, weighted in the loss, or sampled as often as others."
        ),
    ] = None,
    strands: Annotated[
        Literal["forward", "both"] | None,
        typer.Option("--strands", help="both: learn and predict from either strand; forward: only as given."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Of the split, the first weights, the order and the crops.")
    ] = None,
    deterministic: Annotated[
        bool | None, typer.Option("--deterministic", help="Only operations that give the same bits each time.")
    ] = None,
    precision: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"] | None,
        typer.Option("--precision", help="Of the computation; auto is bfloat16 on a GPU that has it."),
    ] = None,
    baselines: Annotated[
        bool | None, typer.Option("--baselines/--no-baselines", help="Also fit the k-mer baseline.", show_default=False)
    ] = None,
    calibrate: Annotated[
        bool | None,
        typer.Option(
            "--calibration/--no-calibration",
            help="Make the probabilities honest by the validation records.",
            show_default=False,
        ),
    ] = None,
    checks: Annotated[
        bool, typer.Option("--checks/--no-checks", help="Look for leaks and shortcuts in the data first.")
    ] = True,
    on_invalid: options.OnInvalid = "error",
    on_missing: options.OnMissing = "error",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Decide everything and estimate the memory; print both, train nothing, write no run directory.",
        ),
    ] = False,
    device: options.Device = "auto",
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a classifier and measure it on records it has not seen, beside the k-mer and majority baselines."""
    from genomix.config import PRESETS, KmerConfig, make_config, parse_assignment
    from genomix.data.labels import label_kind, load_labelled
    from genomix.data.levels import parse_levels
    from genomix.data.splits import take_splits
    from genomix.runtime import choose_device, keep_freed_memory, set_threads

    console = options.start_log(quiet=quiet)
    overrides = dict(parse_assignment(text) for text in settings or [])
    overrides |= options.stated(
        model__max_length=max_length,
        training__max_epochs=max_epochs,
        training__max_time_s=options.parse_duration("--max-time", max_time) if max_time is not None else None,
        training__learning_rate=learning_rate,
        training__batch_records=batch_records,
        training__batch_bases=batch_bases,
        training__classes=classes,
        training__reverse_complement=None if strands is None else strands == "both",
        prediction__strands=strands,
        training__seed=seed,
        training__deterministic=deterministic,
        training__precision=precision,
        training__baselines=baselines,
        training__calibrate=calibrate,
        data__split="given" if split is None and splits_path is not None else split,
        data__similarity=similarity,
        data__labels="multi" if multi_label else None,
        data__levels=list(parse_levels(levels)) if levels is not None else None,
        data__positive=positive,
    )
    if max_length is not None and isinstance(make_config(model, config).model, KmerConfig):
        raise UsageError(
            f"--max-length {max_length}: --max-length does not apply to kmer, which reads all of a record; leave it out"
        )
    resolved = make_config(model, config, overrides)
    _check_several(folds, ensemble)
    options.check_splits(split, splits_path)
    if not dry_run:
        options.check_directory(out, force=force)
    count = set_threads(threads)
    keep_freed_memory()
    if model is not None and model not in PRESETS and _has_weights(Path(model)):
        options.say(f"configuration of {model}; its weights are not used")
    chosen = choose_device(device)
    pairs = options.parse_class_files(class_files)
    sequences, table = options.split_inputs(inputs or [], labels, labelled_otherwise=bool(label_regex or pairs))
    records = load_labelled(
        sequences,
        table,
        label_regex=label_regex,
        class_files=pairs,
        on_invalid=on_invalid,
        on_missing=on_missing,
        min_per_class=resolved.data.min_per_class,
        kind=label_kind(resolved.data),
        warn=options.warn,
    )
    if splits_path is not None:
        records = take_splits(records, splits_path, on_missing=on_missing, warn=options.warn)

    if dry_run:
        from genomix.cli.dry_run import print_dry_run
        from genomix.train import dry_run as rehearsal

        print_dry_run(rehearsal.dry_run(resolved, records, chosen), chosen)
        return

    from genomix.cli.progress import TrainingProgress
    from genomix.cli.tables import print_comparison, print_levels, print_spread
    from genomix.report import write_report
    from genomix.runtime import hash_file
    from genomix.train.division import divide_folds
    from genomix.train.run import Training
    from genomix.train.several import Several

    hashes = {"sequences": records.store.sha256}
    for name, path in (("labels", table), ("splits", splits_path)):
        if path is not None and Path(path).is_file():
            hashes[name] = hash_file(path)
    with TrainingProgress(console, quiet=quiet) as progress:
        training = Training(
            config=resolved,
            records=records,
            path=Path(out),
            device=chosen,
            threads=count,
            command=["genomix", *sys.argv[1:]],
            inputs=hashes,
            force=force,
            on_step=progress.show,
            checks=checks,
        )
        if folds is not None:
            trained = Several(training).run_folds(divide_folds(records, resolved, folds))
        elif ensemble is not None:
            trained = Several(training).run_members(ensemble)
        else:
            trained = training.run()
    options.say(f"report: {write_report(Path(out))}")
    print_comparison(trained.measured.results, trained.measured.split)
    if trained.measured.levels:
        print_levels(trained.measured.levels)
    if trained.spread:
        print_spread(trained.spread)


def _check_several(folds: int | None, ensemble: int | None) -> None:
    """Check that the options for several models go together.

    Raises:
        UsageError: If they do not.
    """
    if folds is not None and ensemble is not None:
        raise UsageError("--folds and --ensemble: choose one; predict with the folds to have an ensemble of them")
    for name, number in (("--folds", folds), ("--ensemble", ensemble)):
        if number is not None and number < 2:
            raise UsageError(f"{name} {number}: train 2 models at least")


def _has_weights(model: Path) -> bool:
    from genomix.checkpoint import WEIGHTS

    return ((model if model.is_dir() else model.parent) / WEIGHTS).is_file()
