"""`genomix train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from genomix.cli import options, training_options
from genomix.errors import UsageError


def train(
    context: typer.Context,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT... [LABELS]",
            help="Sequence files (FASTA, FASTQ or a table with a sequence column; plain, gz, bz2, xz or zst), a "
            "directory of them, or - for stdin; then the table of labels, unless another option or the table itself "
            "has them.",
        ),
    ] = None,
    out: training_options.Out = None,
    model: training_options.Model = None,
    config: training_options.ConfigPath = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value of the configuration, e.g. model.encoder.protocol=cdil."),
    ] = None,
    init_from: Annotated[
        str | None,
        typer.Option(
            "--init-from",
            help="Start from the network of this run, pretrained (genomix pretrain) or trained, with a new head.",
        ),
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
    positive: training_options.Positive = None,
    max_length: training_options.MaxLength = None,
    max_epochs: Annotated[int | None, typer.Option("--max-epochs", help="Most passes over the records.")] = None,
    budget: training_options.Budget = None,
    learning_rate: training_options.LearningRate = None,
    batch_records: Annotated[int | None, typer.Option("--batch-records", help="Records in a step.")] = None,
    batch_bases: training_options.BatchBases = None,
    classes: Annotated[
        Literal["natural", "weighted", "sampled"] | None,
        typer.Option(
            "--classes", help="Rare classes: as they are, weighted in the loss, or sampled as often as others."
        ),
    ] = None,
    strands: Annotated[
        training_options.Strands | None,
        typer.Option("--strands", help="both: learn and predict from either strand; forward: only as given."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Of the split, the first weights, the order and the crops.")
    ] = None,
    deterministic: training_options.Deterministic = None,
    precision: training_options.Precision = None,
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
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            help="Go on with this run directory. With sequences and options as before, a training that has not begun "
            "begins there.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        int | None, typer.Option("--only", help="With --folds or --ensemble: train this one, numbered from 1.")
    ] = None,
    max_time: training_options.MaxTime = None,
    checkpoint_every: training_options.CheckpointEvery = None,
    devices: Annotated[
        int | None, typer.Option("--devices", help="Processes on this machine to train with, such as one for each GPU.")
    ] = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a classifier and measure it on records it has not seen, beside the k-mer and majority baselines."""
    stop = training_options.watch(context, max_time)

    from genomix.cli.resuming import Request, settle
    from genomix.cli.training import perform
    from genomix.config import PRESETS, KmerConfig, make_config
    from genomix.distributed import find_ranks
    from genomix.train.adoption import adopt
    from genomix.train.begun import Begun
    from genomix.train.init import check_freezing, read_source
    from genomix.train.lineage import check_apart

    options.start_log(quiet=quiet, silent=not find_ranks().is_first)
    overrides = (
        training_options.parse_settings(settings)
        | training_options.learning_overrides(
            max_length=max_length,
            max_epochs=max_epochs,
            budget_s=training_options.parse_limit("--budget", budget),
            seed=seed,
            strands=strands,
            learning_rate=learning_rate,
            batch_records=batch_records,
            batch_bases=batch_bases,
            deterministic=deterministic,
            precision=precision,
            classes=classes,
            baselines=baselines,
            calibrate=calibrate,
        )
        | training_options.data_overrides(
            split=split,
            splits_path=splits_path,
            similarity=similarity,
            multi_label=multi_label,
            levels=levels,
            positive=positive,
        )
        | options.stated(prediction__strands=strands)
    )
    if max_length is not None and isinstance(make_config(model, config).model, KmerConfig):
        raise UsageError(
            f"--max-length {max_length}: --max-length does not apply to kmer, which reads all of a record; leave it out"
        )
    source = None if init_from is None else read_source(init_from)
    if masked := [key for key in overrides if key.partition(".")[0] == "masking"]:
        raise UsageError(
            f"--set {masked[0]}: is of genomix pretrain; what genomix train hides, training.mask_fraction says"
        )
    resolved = make_config(model, config, overrides) if source is None else adopt(source, model, config, overrides)
    resolved.masking = None
    if resume is None or inputs:
        check_freezing(resolved, source and source.init_from)
    _check_several(folds, ensemble, only)
    path = _member_path(Path(resume or out or "run"), folds, only)
    if init_from is not None and resume is None:
        check_apart(init_from, path)
    options.check_splits(split, splits_path)
    training_options.check_resume(resume, out, force=force)
    if devices is not None and devices < 1:
        raise UsageError(f"--devices {devices}: must be 1 at least")
    if model is not None and model not in PRESETS and _has_weights(Path(model)) and init_from is None:
        options.say(f"configuration of {model}; its weights are not used")
    pairs = options.parse_class_files(class_files)
    sequences, table = options.split_inputs(inputs or [], labels, labelled_otherwise=bool(label_regex or pairs))
    begun = Begun(
        config=resolved,
        inputs=sequences,
        labels=table,
        label_regex=label_regex,
        class_files=pairs,
        splits_path=splits_path,
        on_invalid=on_invalid,
        on_missing=on_missing,
        folds=folds,
        ensemble=ensemble,
        only=only,
        checks=checks,
        init_from=source and source.init_from,
    )
    request = Request(
        begun=begun,
        path=path,
        resume=resume is not None,
        states_settings=bool(
            overrides or model or config or folds or ensemble or labels or pairs or splits_path or init_from
        ),
        force=force,
        devices=devices,
        device=device,
        threads=threads,
        checkpoint_every_s=training_options.parse_interval(checkpoint_every),
        quiet=quiet,
        stop=stop,
    )
    if dry_run:
        from genomix.cli.dry_run import rehearse

        if resume is None or settle(request):
            rehearse(request.begun, device, threads)
        return
    if code := perform(request):
        raise typer.Exit(code)


def _member_path(path: Path, folds: int | None, only: int | None) -> Path:
    """Return the directory of the one model of several that is asked for, or of all."""
    return path if only is None else path / f"{'member' if folds is None else 'fold'}-{only}"


def _check_several(folds: int | None, ensemble: int | None, only: int | None) -> None:
    """Check that the options for several models go together.

    Raises:
        UsageError: If they do not.
    """
    if folds is not None and ensemble is not None:
        raise UsageError("--folds and --ensemble: choose one; predict with the folds to have an ensemble of them")
    for name, number in (("--folds", folds), ("--ensemble", ensemble)):
        if number is not None and number < 2:
            raise UsageError(f"{name} {number}: train 2 models at least")
    count = folds or ensemble
    if only is not None and (count is None or not 1 <= only <= count):
        known = "goes with --folds or --ensemble" if count is None else f"there are 1 to {count}"
        raise UsageError(f"--only {only}: {known}")


def _has_weights(model: Path) -> bool:
    from genomix.checkpoint import WEIGHTS

    return ((model if model.is_dir() else model.parent) / WEIGHTS).is_file()
