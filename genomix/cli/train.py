"""`genomix train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genomix.cli import options
from genomix.errors import UsageError
from genomix.stopping import Stopping, seconds_to_stop

if TYPE_CHECKING:
    from genomix.train.begun import Begun


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
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="Run directory to write; run by default.", show_default=False)
    ] = None,
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
    positive: Annotated[
        str | None, typer.Option("--positive", help="The class that is looked for, where there are two.")
    ] = None,
    max_length: Annotated[
        int | None, typer.Option("--max-length", help="bp the network reads at once; from the data by default.")
    ] = None,
    max_epochs: Annotated[int | None, typer.Option("--max-epochs", help="Most passes over the records.")] = None,
    budget: Annotated[
        str | None,
        typer.Option("--budget", help="Time to train, e.g. 45m or 2h: the learning rate falls to zero by then."),
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
    max_time: Annotated[
        str | None,
        typer.Option("--max-time", help="Save and leave with exit code 75 before so much time is up, e.g. 3h50m."),
    ] = None,
    checkpoint_every: Annotated[
        str | None, typer.Option("--checkpoint-every", help="Time between checkpoints, 1m by default; step is allowed.")
    ] = None,
    devices: Annotated[
        int | None, typer.Option("--devices", help="Processes on this machine to train with, such as one for each GPU.")
    ] = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a classifier and measure it on records it has not seen, beside the k-mer and majority baselines."""
    limit_s = options.parse_duration("--max-time", max_time) if max_time is not None else None
    stop = context.with_resource(Stopping().watching(seconds_to_stop(limit_s)))

    from genomix.cli.resuming import Request
    from genomix.cli.training import perform
    from genomix.config import PRESETS, KmerConfig, make_config, parse_assignment
    from genomix.data.levels import parse_levels
    from genomix.distributed import find_ranks
    from genomix.train.begun import Begun
    from genomix.train.init import adopt, check_freezing, read_source

    options.start_log(quiet=quiet, silent=not find_ranks().is_first)
    overrides = dict(parse_assignment(text) for text in settings or [])
    overrides |= options.stated(
        model__max_length=max_length,
        training__max_epochs=max_epochs,
        training__budget_s=options.parse_duration("--budget", budget) if budget is not None else None,
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
    source = None if init_from is None else read_source(init_from)
    if masked := [key for key in overrides if key.partition(".")[0] == "masking"]:
        raise UsageError(f"--set {masked[0]}: is of genomix pretrain; genomix train hides no bases, leave it out")
    resolved = make_config(model, config, overrides) if source is None else adopt(source, model, config, overrides)
    resolved.masking = None
    if resume is None or inputs:
        check_freezing(resolved, source and source.init_from)
    _check_several(folds, ensemble, only)
    options.check_splits(split, splits_path)
    if resume is not None and (out is not None or force):
        raise UsageError(
            f"--resume {resume}: names the run directory, and replaces nothing; leave out --out and --force"
        )
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
        path=_member_path(Path(resume or out or "run"), folds, only),
        resume=resume is not None,
        states_settings=bool(
            overrides or model or config or folds or ensemble or labels or pairs or splits_path or init_from
        ),
        force=force,
        devices=devices,
        device=device,
        threads=threads,
        checkpoint_every_s=parse_interval(checkpoint_every),
        quiet=quiet,
        stop=stop,
    )
    if dry_run:
        _print_dry_run(begun, device, threads)
        return
    if code := perform(request):
        raise typer.Exit(code)


def _print_dry_run(begun: Begun, device: str, threads: int | None) -> None:
    from genomix.cli.dry_run import print_dry_run
    from genomix.cli.resuming import load
    from genomix.runtime import choose_device, keep_freed_memory, set_threads
    from genomix.train import dry_run as rehearsal

    set_threads(threads)
    keep_freed_memory()
    chosen = choose_device(device)
    records, _ = load(begun)
    print_dry_run(rehearsal.dry_run(begun.config, records, chosen), chosen)


def _member_path(path: Path, folds: int | None, only: int | None) -> Path:
    """Return the directory of the one model of several that is asked for, or of all."""
    return path if only is None else path / f"{'member' if folds is None else 'fold'}-{only}"


def parse_interval(text: str | None) -> float | None:
    """Return the seconds between checkpoints; `step` is as often as can be."""
    if text is None or text == "step":
        return None if text is None else 0.0
    return options.parse_duration("--checkpoint-every", text)


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
