"""Options that the commands which train share, and what these come to."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from genomix.cli import options
from genomix.errors import UsageError
from genomix.stopping import Stopping, seconds_to_stop

Out = Annotated[
    str | None, typer.Option("--out", "-o", help="Run directory to write; run by default.", show_default=False)
]
Model = Annotated[
    str | None,
    typer.Option("--model", "-m", help="Preset (see genomix models), paramixer by default, or a model's folder."),
]
ConfigPath = Annotated[
    str | None,
    typer.Option("--config", "-c", help="Configuration to start from, such as another run's config.yaml."),
]
Positive = Annotated[str | None, typer.Option("--positive", help="The class that is looked for, where there are two.")]
MaxLength = Annotated[
    int | None, typer.Option("--max-length", help="bp the network reads at once; from the data by default.")
]
Budget = Annotated[
    str | None, typer.Option("--budget", help="Time to train, e.g. 45m or 2h: the learning rate falls to zero by then.")
]
LearningRate = Annotated[
    float | None, typer.Option("--learning-rate", "--lr", help="The highest one, behind the warm-up.")
]
BatchBases = Annotated[
    int | None, typer.Option("--batch-bases", help="Most bases computed at once; from the memory by default.")
]
Strands = Literal["forward", "both"]
Deterministic = Annotated[
    bool | None, typer.Option("--deterministic", help="Only operations that give the same bits each time.")
]
Precision = Annotated[
    Literal["auto", "float32", "bfloat16", "float16"] | None,
    typer.Option("--precision", help="Of the computation; auto is bfloat16 on a GPU that has it."),
]
MaxTime = Annotated[
    str | None,
    typer.Option("--max-time", help="Save and leave with exit code 75 before so much time is up, e.g. 3h50m."),
]
CheckpointEvery = Annotated[
    str | None, typer.Option("--checkpoint-every", help="Time between checkpoints, 1m by default; step is allowed.")
]


def watch(context: typer.Context, max_time: str | None) -> Stopping:
    """Return what says when to stop: as long as the command runs, for a signal, or because its time is nearly up.

    Raises:
        UsageError: If `--max-time` is not a duration.
    """
    return context.with_resource(Stopping().watching(seconds_to_stop(parse_limit("--max-time", max_time))))


def parse_limit(option: str, text: str | None) -> float | None:
    """Return the seconds that an option grants; None where it was not given.

    Raises:
        UsageError: If it is not a duration.
    """
    return None if text is None else options.parse_duration(option, text)


def parse_interval(text: str | None) -> float | None:
    """Return the seconds between checkpoints; `step` is as often as can be."""
    return 0.0 if text == "step" else parse_limit("--checkpoint-every", text)


def parse_settings(settings: list[str] | None) -> dict[str, Any]:
    """Return the overrides that `--set` states.

    Raises:
        UsageError: If one of them is not `key=value`.
    """
    from genomix.config import parse_assignment

    return dict(parse_assignment(text) for text in settings or [])


def learning_overrides(
    *,
    max_length: int | None,
    max_epochs: int | None,
    budget_s: float | None,
    seed: int | None,
    strands: Strands | None = None,
    **training: Any,
) -> dict[str, Any]:
    """Return the overrides that say how a network learns.

    Args:
        max_length: bp the network reads at once.
        max_epochs: Most passes over the data.
        budget_s: Seconds that a training may take.
        seed: Of all that is drawn.
        strands: Which strands are learnt from.
        training: What else is stated, by its name in the section `training` of the configuration.
    """
    return options.stated(
        model__max_length=max_length,
        training__max_epochs=max_epochs,
        training__budget_s=budget_s,
        training__seed=seed,
        training__reverse_complement=None if strands is None else strands == "both",
        **{f"training__{name}": value for name, value in training.items()},
    )


def data_overrides(
    *,
    split: str | None,
    splits_path: str | None,
    similarity: float | None,
    multi_label: bool | None,
    levels: str | None,
    positive: str | None,
) -> dict[str, Any]:
    """Return the overrides that say how records are labelled and divided; a table of splits is one that is given.

    Raises:
        UsageError: If the names of levels are wrong.
    """
    return options.label_overrides(multi_label, levels) | options.stated(
        data__split="given" if split is None and splits_path is not None else split,
        data__similarity=similarity,
        data__positive=positive,
    )


def check_resume(resume: str | None, out: str | None, *, force: bool, names: str = "the run directory") -> None:
    """Check that `--resume` is not given along with where to write, or what to replace.

    Raises:
        UsageError: If it is.
    """
    if resume is not None and (out is not None or force):
        raise UsageError(f"--resume {resume}: names {names}, and replaces nothing; leave out --out and --force")
