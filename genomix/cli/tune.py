"""`genomix tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genomix.cli import options
from genomix.errors import UsageError
from genomix.stopping import Stopping, seconds_to_stop

TRIALS = 50
"""Where neither a number nor a time is stated."""
SHARES = 20
"""Of the time of a study that has no number of trials, each may take one part in so many."""


def tune(
    context: typer.Context,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="INPUT... [LABELS]", help="Sequences, then the table of labels, as for genomix train."),
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="Directory of the study; study by default.", show_default=False)
    ] = None,
    trials: Annotated[
        int | None, typer.Option("--trials", "-n", min=1, help="How many, the preset's own settings being the first.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", help="Time that all trials together may take, e.g. 2h.")
    ] = None,
    trial_budget: Annotated[
        str | None, typer.Option("--trial-budget", help="Time for each: its learning rate falls to zero by then.")
    ] = None,
    max_epochs: Annotated[int | None, typer.Option("--max-epochs", help="Most passes over the records, each.")] = None,
    space: Annotated[
        str | None, typer.Option("--space", help="YAML that adds to what is searched, or replaces it; see --dry-run.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Preset, paramixer by default, or a model's folder.")
    ] = None,
    config: Annotated[str | None, typer.Option("--config", "-c", help="Configuration to start from.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value of the configuration, which is then not searched.")
    ] = None,
    labels: options.Labels = None,
    label_regex: options.LabelRegex = None,
    class_files: options.ClassFiles = None,
    split: options.Split = None,
    similarity: options.Similarity = None,
    splits_path: options.SplitsPath = None,
    multi_label: options.MultiLabel = None,
    levels: options.Levels = None,
    positive: Annotated[
        str | None, typer.Option("--positive", help="The class that is looked for, where there are two.")
    ] = None,
    max_length: Annotated[int | None, typer.Option("--max-length", help="bp the network reads at once.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of the proposals, the split and each training.")] = None,
    on_invalid: options.OnInvalid = "error",
    on_missing: options.OnMissing = "error",
    keep: Annotated[bool, typer.Option("--keep", help="Keep the weights of all trials.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be searched, as --space takes it; begin nothing.")
    ] = False,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            help="Go on with the study in this directory, or begin it; several processes may do so at once.",
            show_default=False,
        ),
    ] = None,
    max_time: Annotated[
        str | None, typer.Option("--max-time", help="Leave with exit code 75 before so much time is up, e.g. 3h50m.")
    ] = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Search settings that make a model better on the validation records; the test records are not touched."""
    limit_s = options.parse_duration("--max-time", max_time) if max_time is not None else None
    stop = context.with_resource(Stopping().watching(seconds_to_stop(limit_s)))

    from genomix.cli.tuning import find_searched, perform, print_space, take_over
    from genomix.config import KmerConfig, make_config, parse_assignment
    from genomix.data.levels import parse_levels
    from genomix.train.begun import Begun
    from genomix.tune.asked import Asked
    from genomix.tune.space_file import to_tree

    options.start_log(quiet=quiet)
    budget_s = options.parse_duration("--budget", budget) if budget is not None else None
    overrides = dict(parse_assignment(text) for text in settings or [])
    overrides |= options.stated(
        model__max_length=max_length,
        training__max_epochs=max_epochs,
        training__budget_s=options.parse_duration("--trial-budget", trial_budget) if trial_budget else None,
        training__seed=seed,
        data__split="given" if split is None and splits_path is not None else split,
        data__similarity=similarity,
        data__labels="multi" if multi_label else None,
        data__levels=list(parse_levels(levels)) if levels is not None else None,
        data__positive=positive,
    )
    base = make_config(model, config, overrides)
    if isinstance(base.model, KmerConfig) and (trial_budget or max_epochs):
        raise UsageError(
            "--trial-budget and --max-epochs do not apply to kmer, which is fitted at once; leave them out"
        )
    if budget_s is not None and base.training.budget_s is None and base.training.max_epochs is None:
        base.training.budget_s = budget_s / (trials or SHARES)
    options.check_splits(split, splits_path)
    if resume is not None and (out is not None or force):
        raise UsageError(f"--resume {resume}: names the study, and replaces nothing; leave out --out and --force")
    searched = find_searched(base, list(overrides), space)
    if dry_run:
        print_space(searched, base)
        return
    pairs = options.parse_class_files(class_files)
    sequences, table = options.split_inputs(inputs or [], labels, labelled_otherwise=bool(label_regex or pairs))
    asked = Asked(
        training=Begun(
            config=base,
            inputs=sequences,
            labels=table,
            label_regex=label_regex,
            class_files=pairs,
            splits_path=splits_path,
            on_invalid=on_invalid,
            on_missing=on_missing,
        ),
        space=to_tree(searched),
        trials=trials or (TRIALS if budget is None else None),
        budget_s=budget_s,
        keep=keep,
    )
    path = Path(resume or out or "study")
    if resume is None:
        options.check_directory(str(path), force=force)
    else:
        stated = bool(overrides or model or config or space or labels or pairs or splits_path)
        asked = take_over(path, asked, states_settings=stated, states_length=trials is not None or budget is not None)
    perform(asked, path, device=device, threads=threads, stop=stop, resume=resume is not None, force=force)
