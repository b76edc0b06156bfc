"""`genomix pretrain`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from genomix.cli import options
from genomix.cli.resuming import Request
from genomix.errors import UsageError
from genomix.stopping import Stopping, seconds_to_stop

if TYPE_CHECKING:
    from genomix.pretrain.context import Said
    from genomix.pretrain.run import Pretraining

MEANINGLESS = ("data", "prediction", "model.head", "training.metric", "training.classes", "training.label_smoothing")
"""Keys that have no effect without classes."""


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
        list[str] | None, typer.Option("--set", help="key=value of the configuration, e.g. masking.span=1.")
    ] = None,
    max_length: Annotated[
        int | None, typer.Option("--max-length", help="bp the network reads at once; from the data by default.")
    ] = None,
    max_epochs: Annotated[int | None, typer.Option("--max-epochs", help="Most passes over the sequences.")] = None,
    budget: Annotated[
        str | None,
        typer.Option("--budget", help="Time to train, e.g. 45m or 2h: the learning rate falls to zero by then."),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", "--lr", help="The highest one, behind the warm-up.")
    ] = None,
    batch_records: Annotated[int | None, typer.Option("--batch-records", help="Windows in a step.")] = None,
    batch_bases: Annotated[
        int | None, typer.Option("--batch-bases", help="Most bases computed at once; from the memory by default.")
    ] = None,
    strands: Annotated[
        Literal["forward", "both"] | None,
        typer.Option("--strands", help="both: learn from either strand; forward: only as given."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Of what is held out and hidden, the first weights and the order.")
    ] = None,
    deterministic: Annotated[
        bool | None, typer.Option("--deterministic", help="Only operations that give the same bits each time.")
    ] = None,
    precision: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"] | None,
        typer.Option("--precision", help="Of the computation; auto is bfloat16 on a GPU that has it."),
    ] = None,
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
    max_time: Annotated[
        str | None,
        typer.Option("--max-time", help="Save and leave with exit code 75 before so much time is up, e.g. 3h50m."),
    ] = None,
    checkpoint_every: Annotated[
        str | None, typer.Option("--checkpoint-every", help="Time between checkpoints, 1m by default; step is allowed.")
    ] = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a network to say hidden bases of sequences without labels, for genomix train --init-from."""
    limit_s = options.parse_duration("--max-time", max_time) if max_time is not None else None
    stop = context.with_resource(Stopping().watching(seconds_to_stop(limit_s)))

    from genomix.cli.train import parse_interval
    from genomix.config import KmerConfig, MaskingConfig, make_config, parse_assignment
    from genomix.distributed import find_ranks
    from genomix.train.begun import Begun

    options.start_log(quiet=quiet)
    if find_ranks().size > 1:
        raise UsageError("genomix pretrain: runs in one process; start it with one task, not with several")
    overrides: dict[str, Any] = dict(parse_assignment(text) for text in settings or [])
    if useless := [key for key in overrides if key.startswith(MEANINGLESS)]:
        raise UsageError(f"--set {', '.join(useless)}: has no effect without classes; state it in genomix train")
    overrides |= options.stated(
        model__max_length=max_length,
        training__max_epochs=max_epochs,
        training__budget_s=options.parse_duration("--budget", budget) if budget is not None else None,
        training__learning_rate=learning_rate,
        training__batch_records=batch_records,
        training__batch_bases=batch_bases,
        training__reverse_complement=None if strands is None else strands == "both",
        training__seed=seed,
        training__deterministic=deterministic,
        training__precision=precision,
    )
    if isinstance(make_config(model, config).model, KmerConfig):
        raise UsageError("--model kmer: k-mer models count, and have no layers to pretrain; choose another --model")
    resolved = make_config(model, config, overrides)
    resolved.masking = resolved.masking or MaskingConfig()
    if resume is not None and (out is not None or force):
        raise UsageError(
            f"--resume {resume}: names the run directory, and replaces nothing; leave out --out and --force"
        )
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
        checkpoint_every_s=parse_interval(checkpoint_every),
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
    if not dry_run and not settle(request):
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
