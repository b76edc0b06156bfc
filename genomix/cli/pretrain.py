"""`genomix pretrain`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genomix.cli import options, training_options
from genomix.cli.resuming import Request
from genomix.errors import UsageError

if TYPE_CHECKING:
    from genomix.pretrain.context import Said
    from genomix.pretrain.run import Pretraining

MEANINGLESS = (
    "data",
    "prediction",
    "model.head",
    "training.metric",
    "training.classes",
    "training.label_smoothing",
    "training.mask_fraction",
)
"""Keys that have no effect without classes, or have another name here: what is hidden says `masking`."""


def pretrain(
    context: typer.Context,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT...",
            help="Sequence files (FASTA, FASTQ or a table with a sequence column; plain, gz, bz2, xz or zst), "
            "directories of them, or - for stdin. Labels are not looked at.",
        ),
    ] = None,
    out: training_options.Out = None,
    model: training_options.Model = None,
    config: training_options.ConfigPath = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value of the configuration, e.g. masking.span=1.")
    ] = None,
    max_length: training_options.MaxLength = None,
    max_epochs: Annotated[int | None, typer.Option("--max-epochs", help="Most passes over the sequences.")] = None,
    budget: training_options.Budget = None,
    learning_rate: training_options.LearningRate = None,
    batch_records: Annotated[int | None, typer.Option("--batch-records", help="Windows in a step.")] = None,
    batch_bases: training_options.BatchBases = None,
    strands: Annotated[
        training_options.Strands | None,
        typer.Option("--strands", help="both: learn from either strand; forward: only as given."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Of what is held out and hidden, the first weights and the order.")
    ] = None,
    deterministic: training_options.Deterministic = None,
    precision: training_options.Precision = None,
    on_invalid: options.OnInvalid = "error",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Decide everything and print it; train nothing, write no run directory.")
    ] = False,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            help="Go on with this run directory. With sequences and options as before, a pretraining that has not "
            "begun begins there.",
            show_default=False,
        ),
    ] = None,
    max_time: training_options.MaxTime = None,
    checkpoint_every: training_options.CheckpointEvery = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a network to say hidden bases of sequences without labels, for genomix train --init-from."""
    stop = training_options.watch(context, max_time)

    from genomix.config import KmerConfig, MaskingConfig, make_config
    from genomix.distributed import find_ranks
    from genomix.train.begun import Begun

    options.start_log(quiet=quiet)
    if find_ranks().size > 1:
        raise UsageError("genomix pretrain: runs in one process; start it with one task, not with several")
    overrides = training_options.parse_settings(settings)
    if useless := [key for key in overrides if key.startswith(MEANINGLESS)]:
        raise UsageError(
            f"--set {', '.join(useless)}: has no effect in pretraining, which has no classes and hides bases by "
            "masking.fraction; state it in genomix train"
        )
    overrides |= training_options.learning_overrides(
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
    )
    if isinstance(make_config(model, config).model, KmerConfig):
        raise UsageError("--model kmer: k-mer models count, and have no layers to pretrain; choose another --model")
    resolved = make_config(model, config, overrides)
    resolved.masking = resolved.masking or MaskingConfig()
    training_options.check_resume(resume, out, force=force)
    if not inputs and resume is None:
        raise UsageError("no sequences are named: genomix pretrain data.fa -o run/")
    request = Request(
        begun=Begun(command="pretrain", config=resolved, inputs=inputs or [], on_invalid=on_invalid),
        path=Path(resume or out or "run"),
        resume=resume is not None,
        states_settings=bool(overrides or model or config),
        force=force,
        device=device,
        threads=threads,
        checkpoint_every_s=training_options.parse_interval(checkpoint_every),
        quiet=quiet,
        stop=stop,
    )
    _perform(request, dry_run=dry_run)


def _perform(request: Request, *, dry_run: bool) -> None:
    from genomix.cli.progress import TrainingProgress
    from genomix.cli.resuming import load_store, settle
    from genomix.cli.training import telling_how_to_go_on
    from genomix.pretrain.plan import check
    from genomix.pretrain.run import Pretraining
    from genomix.runtime import choose_device, keep_freed_memory, set_threads
    from genomix.train.checkpoints import EVERY_S

    check(request.begun.config)
    if (not dry_run or request.resume) and not settle(request):
        return
    threads = set_threads(request.threads)
    keep_freed_memory()
    device = choose_device(request.device)
    with telling_how_to_go_on(request.path, "pretrain"):
        store = load_store(request.begun)
        begun = request.begun.model_copy(update={"sequences": store.sha256, "complete": False})
        console = options.start_log(quiet=request.quiet)
        with TrainingProgress(console, quiet=request.quiet) as progress:
            pretraining = Pretraining(
                config=begun.config,
                store=store,
                path=request.path,
                device=device,
                threads=threads,
                command=["genomix", *sys.argv[1:]],
                force=request.force,
                on_step=progress.show,
                begun=begun,
                resume=request.resume,
                checkpoint_every_s=EVERY_S if request.checkpoint_every_s is None else request.checkpoint_every_s,
                stop=request.stop,
            )
            if dry_run:
                _print_plan(pretraining)
                return
            done = pretraining.run()
    _print_said(done.said)


def _print_plan(pretraining: Pretraining) -> None:
    from genomix.pretrain.network import build_masked_base_model

    decided = pretraining.decide()
    for sentence in [*decided.division.notes, *(f"decided {sentence}" for sentence in decided.said)]:
        typer.echo(sentence)
    parameters = build_masked_base_model(decided.network).parameters()
    typer.echo(f"network: {sum(parameter.numel() for parameter in parameters)} parameters")
    training = decided.config.training
    typer.echo(f"steps: {len(decided.training_set.plan(1))} an epoch, at most {training.max_epochs} epochs")
    typer.echo(f"held out: {decided.held_out.num_hidden} hidden bases")


def _print_said(said: dict[str, Said]) -> None:
    from genomix.cli.tables import print_rows

    rows = [[name, f"{one.bits_per_base:.4f}", f"{one.accuracy:.4f}"] for name, one in said.items()]
    count = next(iter(said.values())).num_bases
    print_rows(f"val: {count} hidden bases of what was held out", ["said by", "bits a base", "accuracy"], rows)
