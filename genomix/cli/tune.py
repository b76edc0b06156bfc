"""`genomix tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genomix.cli import options, training_options
from genomix.errors import UsageError

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
    positive: training_options.Positive = None,
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
    stop = training_options.watch(context, max_time)

    from genomix.cli.tuning import find_searched, limit_each, perform, print_space, take_over
    from genomix.config import KmerConfig, make_config
    from genomix.train.begun import Begun
    from genomix.tune.asked import Asked, read_asked
    from genomix.tune.space_file import to_tree

    options.start_log(quiet=quiet)
    budget_s = training_options.parse_limit("--budget", budget)
    overrides = (
        training_options.parse_settings(settings)
        | training_options.learning_overrides(
            max_length=max_length,
            max_epochs=max_epochs,
            budget_s=training_options.parse_limit("--trial-budget", trial_budget or None),
            seed=seed,
        )
        | training_options.data_overrides(
            split=split,
            splits_path=splits_path,
            similarity=similarity,
            multi_label=multi_label,
            levels=levels,
            positive=positive,
        )
    )
    base = make_config(model, config, overrides)
    if isinstance(base.model, KmerConfig) and (trial_budget or max_epochs):
        raise UsageError(
            "--trial-budget and --max-epochs do not apply to kmer, which is fitted at once; leave them out"
        )
    options.check_splits(split, splits_path)
    training_options.check_resume(resume, out, force=force, names="the study")
    searched = find_searched(base, list(overrides), space)
    if dry_run:
        print_space(searched, base)
        return
    pairs = options.parse_class_files(class_files)
    sequences, table = options.split_inputs(inputs or [], labels, labelled_otherwise=bool(label_regex or pairs))
    path = Path(resume or out or "study")
    found = None if resume is None else read_asked(path)
    limit_each(base, found, None if budget_s is None else budget_s / (trials or SHARES))
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
    if resume is None:
        options.check_directory(str(path), force=force)
    else:
        stated = bool(overrides or model or config or space or labels or pairs or splits_path)
        length = trials is not None or budget is not None
        asked = take_over(path, found, asked, states_settings=stated, states_length=length)
    perform(asked, path, device=device, threads=threads, stop=stop, resume=resume is not None, force=force)
