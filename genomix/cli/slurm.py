"""`genomix slurm`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from genomix.cli import options, tracks
from genomix.errors import CannotWriteError, UsageError

SETTINGS = {"allow_interspersed_args": False}
"""Of the command: what follows the first word that is no option belongs to the command inside."""


def slurm(
    command: Annotated[
        list[str],
        typer.Argument(metavar="train|tune|predict ...", help="The command to run, with all its own options."),
    ],
    time: Annotated[str | None, typer.Option("--time", help="Limit of the job, such as 08:00:00 or 2-00:00.")] = None,
    cpus: Annotated[int | None, typer.Option("--cpus", min=1, help="Cores a task.")] = None,
    memory: Annotated[str | None, typer.Option("--memory", help="Of a node, such as 32G.")] = None,
    gpus: Annotated[str | None, typer.Option("--gpus", help="On a node, such as 1 or a100:2; train uses all.")] = None,
    nodes: Annotated[int, typer.Option("--nodes", min=1, help="Nodes to train on together.")] = 1,
    tasks: Annotated[
        int | None, typer.Option("--tasks", min=1, help="Processes a node to train with; one a GPU by default.")
    ] = None,
    array: Annotated[
        int | None,
        typer.Option(
            "--array", min=1, help="Share among so many jobs: folds, members of an ensemble, trials, or shards."
        ),
    ] = None,
    at_once: Annotated[
        int | None, typer.Option("--at-once", min=1, help="Most jobs of the array to run at the same time.")
    ] = None,
    partition: Annotated[str | None, typer.Option("--partition", help="Where to queue.")] = None,
    account: Annotated[str | None, typer.Option("--account", help="Who pays.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Of job and log; genomix-train by default.")] = None,
    grace: Annotated[int, typer.Option("--grace", min=1, help="Seconds before the limit to stop at and save.")] = 120,
    max_restarts: Annotated[
        int, typer.Option("--max-restarts", min=0, help="How often to queue it again after a stop.")
    ] = 100,
    sbatch: Annotated[
        list[str] | None, typer.Option("--sbatch", help="Further option of sbatch: --sbatch=--constraint=a100.")
    ] = None,
    setup: Annotated[
        list[str] | None, typer.Option("--setup", help="Line of shell to run first: --setup 'module load cuda'.")
    ] = None,
) -> None:
    """Write a SLURM script to stdout: it trains, tunes or predicts, stops in time, is queued again and goes on."""
    from genomix.slurm import Job, plan_work, write_script

    options.start_log(quiet=False)
    own, *words = command
    parameters = _parse(own, words)
    is_track = own == "predict" and _check_prediction(parameters)
    work = plan_work(own, words, parameters, array, is_track=is_track)
    job = Job(
        name=name or f"genomix-{own}",
        time=time,
        cpus=cpus,
        memory=memory,
        gpus=gpus,
        nodes=nodes,
        tasks=tasks,
        partition=partition,
        account=account,
        grace_s=grace,
        at_once=at_once,
        max_restarts=max_restarts,
        extra=sbatch or [],
        setup=setup or [],
    )
    typer.echo(write_script(job, work), nl=False)


def _parse(command: str, words: list[str]) -> dict[str, Any]:
    """Parse the words as the command would when the job runs, so that what is wrong with them is found now."""
    from genomix.cli.main import app

    group: Any = typer.main.get_command(app)
    if command not in ("train", "tune", "predict"):
        raise UsageError(f"genomix slurm writes jobs of train, tune and predict, not of {command!r}")
    found: dict[str, Any] = group.commands[command].make_context(f"genomix {command}", list(words)).params
    for path in found.get("inputs") or []:
        if not Path(path).exists():
            options.warn(f"{path}: there is no such file yet")
    return found


def _check_prediction(parameters: dict[str, Any]) -> bool:
    """Check what a prediction checks before it reads its model; say whether it writes tracks."""
    from genomix.data.predictions import check_output
    from genomix.data.shards import parse_shard

    output, shard = parameters["output"], parameters["shard"]
    if shard is not None:
        parse_shard(shard)
    if tracks.is_asked_for(output, window=parameters["window"], regions=parameters["regions"]):
        names = ("long", "min_confidence", "coverage", "shard")
        tracks.check_options(output, {f"--{name.replace('_', '-')}": parameters[name] for name in names})
        return True
    tracks.refuse_options({"--classes": parameters["classes"], "--max-unknown": parameters["max_unknown"]})
    try:
        check_output(output, force=True)  # the job may go on with what is there
    except CannotWriteError as error:
        options.warn(str(error))
    return False
