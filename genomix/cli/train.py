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
    from genomix.data.labels import load_labelled
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
    )
    if max_length is not None and isinstance(make_config(model, config).model, KmerConfig):
        raise UsageError(
            f"--max-length {max_length}: --max-length does not apply to kmer, which reads all of a record; leave it out"
        )
    resolved = make_config(model, config, overrides)
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
        warn=options.warn,
    )

    if dry_run:
        from genomix.cli.dry_run import print_dry_run
        from genomix.train import dry_run as rehearsal

        print_dry_run(rehearsal.dry_run(resolved, records, chosen), chosen)
        return

    from genomix.cli.progress import TrainingProgress
    from genomix.cli.tables import print_comparison
    from genomix.runtime import hash_file
    from genomix.train.run import Training

    hashes = {"sequences": records.store.sha256}
    if table is not None and Path(table).is_file():
        hashes["labels"] = hash_file(table)
    with TrainingProgress(console, quiet=quiet) as progress:
        trained = Training(
            config=resolved,
            records=records,
            path=Path(out),
            device=chosen,
            threads=count,
            command=["genomix", *sys.argv[1:]],
            inputs=hashes,
            force=force,
            on_step=progress.show,
        ).run()
    print_comparison(trained.results, trained.split)


def _has_weights(model: Path) -> bool:
    from genomix.checkpoint import WEIGHTS

    return ((model if model.is_dir() else model.parent) / WEIGHTS).is_file()
